import type { MessageCarrier } from "../MessageCarrier.ts"
import type { OutgoingMessage } from "../Messaging.ts"
import type { Destination } from "./Destinations.ts"
import { known } from "./known.ts"
import type { Subscription } from "./Topic.ts"

type Attributes = Record<string, unknown>

/** A broker's address. */
export interface Server {
  readonly address: string
  readonly port: number | undefined
  /** For the rules of propagation, which judge host and port. */
  readonly url: URL
}

/** `host:port` or an URL; `undefined` when it is neither. User and password of an URL are left out. */
export const serverOf = (text: unknown): Server | undefined => {
  if (typeof text !== "string") return undefined
  const written = text.includes("://") ? text.slice(text.indexOf("://") + 3) : text
  // As http, since the URL parser knows host and port of few schemes only.
  const authority = written.slice(written.lastIndexOf("@") + 1).split("/", 1)[0]!
  if (authority === "" || !URL.canParse(`http://${authority}`)) return undefined
  const url = new URL(`http://${authority}`)
  const { hostname } = url
  const port = /:(\d+)$/.exec(authority)?.[1]
  return { address: hostname.startsWith("[") ? hostname.slice(1, -1) : hostname, port: port === undefined ? undefined : Number(port), url }
}

/** `{operation} {destination}`; the operation alone where the destination has no name of low cardinality. */
export const spanName = (operation: "send" | "process", label: string): string =>
  label === "_OTHER" || label === "_unknown" ? operation : `${operation} ${label}`

// OpenTelemetry semantic conventions, messaging spans (1.3x).

const common = (system: string, operation: "send" | "process", name: unknown, destination: Destination, server: Server | undefined): Attributes => {
  const out: Attributes = { "messaging.system": system, "messaging.operation.name": operation, "messaging.operation.type": operation }
  if (typeof name === "string") out["messaging.destination.name"] = name
  if (destination.template !== undefined) out["messaging.destination.template"] = destination.template
  if (destination.temporary) out["messaging.destination.temporary"] = true
  if (server !== undefined) {
    out["server.address"] = server.address
    if (server.port !== undefined) out["server.port"] = server.port
  }
  return out
}

export const attributesOfSend = (system: string, message: OutgoingMessage, destination: Destination, server: Server | undefined): Attributes => {
  const out = common(system, "send", message.topic, destination, server)
  if (message.id !== undefined) out["messaging.message.id"] = message.id
  if (message.size !== undefined) out["messaging.message.body.size"] = message.size
  if (message.count !== undefined && message.count !== 1) out["messaging.batch.message_count"] = message.count
  return Object.assign(out, known(() => message.attributes?.()))
}

export const attributesOfDelivery = <M>(
  system: string,
  carrier: MessageCarrier<M>,
  message: M,
  name: unknown,
  { group, topic }: Subscription,
  server: Server | undefined
): Attributes => {
  const out = common(system, "process", name, topic.destination, server)
  if (group !== "") out["messaging.consumer.group.name"] = group
  const id = known(() => carrier.id?.(message))
  if (id !== undefined) out["messaging.message.id"] = id
  const size = known(() => carrier.size?.(message))
  if (size !== undefined) out["messaging.message.body.size"] = size
  const deliveries = known(() => carrier.deliveries?.(message))
  if (deliveries !== undefined && deliveries > 1) out["messaging.message.delivery_count"] = deliveries
  return Object.assign(out, known(() => carrier.attributes?.(message)))
}

export const attributesOfBatch = (
  system: string,
  count: number,
  name: unknown,
  { group, topic }: Subscription,
  server: Server | undefined
): Attributes => {
  const out = common(system, "process", name, topic.destination, server)
  if (group !== "") out["messaging.consumer.group.name"] = group
  out["messaging.batch.message_count"] = count
  return out
}
