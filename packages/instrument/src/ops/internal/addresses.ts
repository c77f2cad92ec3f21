import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Result from "effect/Result"

/** The address a text names, an IPv4-mapped IPv6 address as the IPv4 address it stands for; `undefined` for anything else. */
export const addressOf = (text: string): NetAddress.IpAddress | undefined => {
  if (text.length > 64) return undefined
  const bare = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text
  // A zone names an interface of the machine, not another address.
  const parsed = Result.getOrUndefined(NetAddress.ipFromString(bare.split("%")[0]!))
  return parsed === undefined ? undefined : unmapped(parsed)
}

const unmapped = (address: NetAddress.IpAddress): NetAddress.IpAddress =>
  NetAddress.isIpv6Address(address) ? Option.getOrElse(NetAddress.fromIpv4Mapped(address), () => address) : address

export const isLoopback = (address: NetAddress.IpAddress): boolean =>
  NetAddress.isIpv4Address(address)
    ? IpNetwork.contains(loopback4, address)
    : NetAddress.formatIp(address) === "::1"

const loopback4 = IpNetwork.fromStringUnsafe("127.0.0.0/8")

/** Networks like `10.0.0.0/8`, single addresses, or `loopback`. */
export class Networks {
  private readonly networks: ReadonlyArray<IpNetwork.IpNetwork>
  /** What could not be read. */
  readonly wrong: ReadonlyArray<string>

  constructor(texts: ReadonlyArray<string>) {
    const networks: Array<IpNetwork.IpNetwork> = []
    const wrong: Array<string> = []
    for (const text of texts.flatMap((one) => one === "loopback" ? ["127.0.0.0/8", "::1"] : [one])) {
      const network = text.includes("/") ? Result.getOrUndefined(IpNetwork.fromString(text)) : single(text)
      if (network === undefined) wrong.push(text.slice(0, 64))
      else networks.push(network)
    }
    this.networks = networks
    this.wrong = wrong
  }

  has(address: NetAddress.IpAddress): boolean {
    return this.networks.some((network) => NetAddress.isIpv4Address(address) === IpNetwork.isIpv4Network(network) && IpNetwork.contains(network, address))
  }
}

const single = (text: string): IpNetwork.IpNetwork | undefined => {
  const address = addressOf(text)
  return address === undefined ? undefined : IpNetwork.fromAddressUnsafe(address, NetAddress.width(address))
}

/**
 * Who asks: the peer of the connection, or what trusted proxies say about it. Read from the right, each name in `X-Forwarded-For` counts
 * only if the one who wrote it is trusted; whatever else stands there is made up by the client. `undefined` when a trusted proxy names
 * somebody who cannot be read: to take the proxy itself for the client would let strangers in as a part of the house.
 */
export const clientOf = (peer: NetAddress.IpAddress, forwarded: string | undefined, trusted: Networks): NetAddress.IpAddress | undefined => {
  let client = peer
  if (forwarded === undefined || !trusted.has(peer)) return client
  // What proxies wrote stands at the end, however much the client has put before it.
  const kept = forwarded.length > maxForwarded ? forwarded.slice(-maxForwarded) : forwarded
  for (const text of kept.split(",").toReversed()) {
    if (!trusted.has(client)) return client
    const next = addressOf(withoutPort(text.trim()))
    if (next === undefined) return undefined
    client = next
  }
  return kept === forwarded || !trusted.has(client) ? client : undefined
}

const maxForwarded = 4_096

/** Some proxies write the port too: `203.0.113.9:4711`, `[2001:db8::1]:4711`. */
const withoutPort = (text: string): string => /^([0-9.]{7,15}|\[[0-9a-fA-F:.]{2,45}\]):[0-9]{1,5}$/.exec(text)?.[1] ?? text
