import * as Path from "node:path"
import protobuf from "protobufjs"

// A strict reader of OTLP on the official .proto files: it refuses what lenient receivers let pass.

const folder = Path.resolve(import.meta.dirname, "../fixtures/opentelemetry-proto")
const root = new protobuf.Root()
root.resolvePath = (_, target) => Path.join(folder, target)
root.loadSync(["trace/v1/trace", "metrics/v1/metrics", "logs/v1/logs"].map((name) => `opentelemetry/proto/collector/${name}_service.proto`))

const collector = "opentelemetry.proto.collector"
export const requestTypes = {
  traces: root.lookupType(`${collector}.trace.v1.ExportTraceServiceRequest`),
  metrics: root.lookupType(`${collector}.metrics.v1.ExportMetricsServiceRequest`),
  logs: root.lookupType(`${collector}.logs.v1.ExportLogsServiceRequest`)
} as const

export const responseTypes = {
  traces: root.lookupType(`${collector}.trace.v1.ExportTraceServiceResponse`),
  metrics: root.lookupType(`${collector}.metrics.v1.ExportMetricsServiceResponse`),
  logs: root.lookupType(`${collector}.logs.v1.ExportLogsServiceResponse`)
} as const

export type Signal = keyof typeof requestTypes

/** A decoded message: 64-bit integers as text, bytes as lower-case hex, enums as numbers, absent fields left out. */
export type Message = { readonly [field: string]: any }

/** Decodes protobuf and refuses it when it is not what a canonical encoder would have written, byte by byte: unknown fields, wrong order, defaults. */
export const readProtobuf = (signal: Signal, body: Uint8Array): Message => {
  const type = requestTypes[signal]
  const message = type.decode(body)
  const again = type.encode(message).finish()
  if (!Buffer.from(again).equals(Buffer.from(body))) throw new Error(`not canonical: ${body.length} bytes became ${again.length}`)
  return plain(type, message as Message)
}

/** As `readProtobuf`, from an encoder that is not canonical: one that writes what is default. */
export const readLenientProtobuf = (signal: Signal, body: Uint8Array): Message => withoutDefaults(plain(requestTypes[signal], requestTypes[signal].decode(body) as Message))

/** As `readJson`, from an encoder that writes 64-bit integers as numbers. */
export const readLenientJson = (signal: Signal, body: Uint8Array): Message =>
  withoutDefaults(checked(requestTypes[signal], JSON.parse(new TextDecoder().decode(body), (key, value) => typeof value === "number" && (key === "intValue" || key === "count") ? String(value) : value), signal))

/** Decodes OTLP's JSON and refuses unknown names, ids that are no hex, 64-bit integers that are no text, and enums by name. */
export const readJson = (signal: Signal, body: Uint8Array | string): Message =>
  checked(requestTypes[signal], JSON.parse(typeof body === "string" ? body : new TextDecoder("utf-8", { fatal: true }).decode(body)), signal)

const wide = new Set(["int64", "uint64", "fixed64", "sfixed64"])

const plain = (type: protobuf.Type, message: Message): Message => {
  const out: Record<string, unknown> = {}
  for (const field of type.fieldsArray) {
    const value: unknown = message[field.name]
    if (!Object.hasOwn(message, field.name) || (Array.isArray(value) && value.length === 0)) continue
    out[field.name] = Array.isArray(value) ? value.map((one) => plainValue(field, one)) : plainValue(field, value)
  }
  return out
}

const plainValue = (field: protobuf.Field, value: any): unknown => {
  const nested = field.resolve().resolvedType
  if (nested instanceof protobuf.Type) return plain(nested, value)
  if (field.type === "bytes") return Buffer.from(value).toString("hex")
  return wide.has(field.type) ? String(value) : value
}

const checked = (type: protobuf.Type, value: unknown, path: string): Message => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`${path} is no object`)
  const out: Record<string, unknown> = {}
  for (const [name, given] of Object.entries(value)) {
    const field = type.fields[name]
    if (field === undefined) throw new Error(`${path}.${name} is no field of ${type.name}`)
    if (field.repeated !== Array.isArray(given)) throw new Error(`${path}.${name} is ${field.repeated ? "repeated" : "not repeated"}`)
    if (Array.isArray(given) && given.length === 0) continue
    out[name] = Array.isArray(given)
      ? given.map((one, i) => checkedValue(field, one, `${path}.${name}[${i}]`))
      : checkedValue(field, given, `${path}.${name}`)
  }
  return out
}

const checkedValue = (field: protobuf.Field, value: unknown, path: string): unknown => {
  const nested = field.resolve().resolvedType
  if (nested instanceof protobuf.Type) return checked(nested, value, path)
  const wrong = (expected: string) => new Error(`${path} is ${JSON.stringify(value)}, expected ${expected}`)
  if (nested !== null) {
    if (typeof value !== "number" || !Object.values((nested as protobuf.Enum).values).includes(value)) throw wrong("an enum's number")
    return value
  }
  if (wide.has(field.type)) {
    if (typeof value !== "string" || !/^-?(0|[1-9][0-9]*)$/.test(value)) throw wrong("a 64-bit integer as text")
    const parsed = BigInt(value)
    const signed = field.type === "int64" || field.type === "sfixed64"
    if (parsed !== (signed ? BigInt.asIntN(64, parsed) : BigInt.asUintN(64, parsed))) throw wrong("64 bits")
    return value
  }
  switch (field.type) {
    case "bytes": {
      const id = field.name.endsWith("Id")
      if (typeof value !== "string" || (id ? !/^([0-9a-f]{16}|[0-9a-f]{32})$/.test(value) : Buffer.from(value, "base64").toString("base64") !== value)) throw wrong(id ? "a hex id" : "base64")
      return id ? value : Buffer.from(value, "base64").toString("hex")
    }
    case "double":
      if (typeof value === "string" && ["NaN", "Infinity", "-Infinity"].includes(value)) return Number(value)
      if (typeof value !== "number") throw wrong("a double")
      return value
    case "string":
      if (typeof value !== "string" || !value.isWellFormed()) throw wrong("well-formed text")
      return value
    case "bool":
      if (typeof value !== "boolean") throw wrong("a boolean")
      return value
    default:
      if (!Number.isInteger(value)) throw wrong("an integer")
      return value
  }
}

/** A decoded message without what is default, so that both encodings of the same thing are equal. */
export const withoutDefaults = (value: any): any => {
  if (Array.isArray(value)) return value.map(withoutDefaults)
  if (typeof value !== "object" || value === null) return value
  // Which member of a oneof was set is no default, and neither is an optional field.
  const explicit = new Set(["stringValue", "boolValue", "intValue", "doubleValue", "bytesValue", "asDouble", "sum", "min", "max"])
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, inner]) => explicit.has(key) || !(inner === "" || inner === 0 || inner === "0" || inner === false))
      .map(([key, inner]) => [key, withoutDefaults(inner)])
      .toSorted(([a], [b]) => (a as string) < (b as string) ? -1 : 1)
  )
}
