import { hasControl } from "./printable.ts"

/** Where DogStatsD messages go. */
export type StatsdTarget =
  | { readonly kind: "udp" | "tcp"; readonly host: string; readonly port: number; readonly label: string }
  | { readonly kind: "unixgram" | "unixstream"; readonly path: string; readonly label: string }

/** Where traces go. */
export interface AgentTarget {
  readonly protocol: "http:" | "https:"
  readonly host: string
  readonly port: number
  /** Path of a Unix socket, instead of host and port. */
  readonly socketPath: string | undefined
  /** Before `/v0.4/traces`; empty or without a slash at its end. */
  readonly path: string
  /** For people. */
  readonly label: string
}

/** Longest path of a Unix socket (Linux: 108 bytes with the zero at the end). */
const maxPath = 107

/** The target, or what is wrong with the address. No message repeats credentials. */
export const statsdTarget = (address: unknown): StatsdTarget | string => {
  if (typeof address !== "string") return "is no text: use an address such as udp://127.0.0.1:8125, or false"
  const unix = /^(unix|unixgram|unixstream):\/\/(.*)$/s.exec(address)
  if (unix !== null) {
    const path = unixPath(unix[2]!)
    if (typeof path !== "string") return path.problem
    return { kind: unix[1] === "unixstream" ? "unixstream" : "unixgram", path, label: `${unix[1]}://${path}` }
  }
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url === undefined) return "is no address: use udp://host:8125, unix:///path/to/socket, unixstream:///path/to/socket or tcp://host:port"
  if (url.protocol !== "udp:" && url.protocol !== "tcp:") return `has the scheme ${url.protocol.slice(0, 20)} use udp:, unix:, unixstream: or tcp:`
  const wrong = problemOf(url)
  if (wrong !== undefined) return wrong
  if (url.pathname !== "" && url.pathname !== "/") return "has a path: an address ends after the port"
  const kind = url.protocol === "udp:" ? "udp" : "tcp"
  const port = url.port === "" ? 8125 : Number(url.port)
  if (port < 1) return "has the port 0: use the port the agent listens on, 8125 by default"
  return { kind, host: hostOf(url), port, label: `${kind}://${url.hostname}:${port}` }
}

/** As `statsdTarget`. */
export const agentTarget = (address: unknown): AgentTarget | string => {
  if (typeof address !== "string") return "is no text: use an address such as http://127.0.0.1:8126, or false"
  if (address.startsWith("unix://")) {
    const path = unixPath(address.slice(7))
    if (typeof path !== "string") return path.problem
    return { protocol: "http:", host: "localhost", port: 0, socketPath: path, path: "", label: `unix://${path}` }
  }
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url === undefined) return "is no address: use http://host:8126 or unix:///path/to/socket"
  const { protocol } = url
  if (protocol !== "http:" && protocol !== "https:") return `has the scheme ${protocol.slice(0, 20)} use http:, https: or unix:`
  const wrong = problemOf(url)
  if (wrong !== undefined) return wrong
  const port = url.port === "" ? (protocol === "https:" ? 443 : 80) : Number(url.port)
  const path = url.pathname.replace(/\/+$/, "").replace(/\/v0\.[0-9]+\/traces$/, "")
  return { protocol, host: hostOf(url), port, socketPath: undefined, path, label: `${url.origin}${path}` }
}

const problemOf = (url: URL): string | undefined => {
  if (url.username !== "" || url.password !== "") return "has credentials: the agent takes none, leave them out"
  if (url.search !== "" || url.hash !== "") return "has a query or fragment: leave it out"
  if (url.hostname === "") return "has no host"
  return undefined
}

const hostOf = (url: URL): string => url.hostname.replace(/^\[(.*)\]$/, "$1")

const unixPath = (path: string): string | { readonly problem: string } => {
  if (!path.startsWith("/")) return { problem: "has no absolute path: use unix:///path/to/socket" }
  if (hasControl(path)) return { problem: "has control characters in its path" }
  if (Buffer.byteLength(path) > maxPath) return { problem: `has a path longer than ${maxPath} bytes, which no Unix socket can have` }
  return path
}
