import { recordValues, text } from "./jsonValues.ts"
import { keyValue } from "./protoValues.ts"
import { lengthOf, Writer } from "./Writer.ts"

/** What all items of a request share: who sends them, and which library made them. */
export interface Origin {
  readonly resource: Readonly<Record<string, unknown>>
  readonly scope: { readonly name: string; readonly version: string }
}

export type Format = "protobuf" | "json"

/** The names of one signal's messages; their field numbers are the same for all signals. */
export const signals = {
  traces: { resources: "resourceSpans", scopes: "scopeSpans", items: "spans" },
  metrics: { resources: "resourceMetrics", scopes: "scopeMetrics", items: "metrics" },
  logs: { resources: "resourceLogs", scopes: "scopeLogs", items: "logRecords" }
} as const

export type SignalName = keyof typeof signals

/** Wraps items into an export request: one resource, one scope. */
export interface Envelope {
  /** `items` are the concatenated fields 2 of `ScopeSpans` (or the other signals' message of that place). */
  readonly protobuf: (items: Uint8Array) => Uint8Array<ArrayBuffer>
  /** `items` are joined by commas. */
  readonly json: (items: string) => Uint8Array<ArrayBuffer>
}

export const envelope = (signal: SignalName, origin: Origin): Envelope => {
  const writer = new Writer(1024)
  const resource = writer.begin(0x0a)
  for (const key of Object.keys(origin.resource)) keyValue(writer, 0x0a, key, origin.resource[key])
  writer.end(resource)
  const resourceField = writer.toBytes()
  writer.clear()
  const scope = writer.begin(0x0a)
  if (origin.scope.name !== "") writer.text(0x0a, origin.scope.name)
  if (origin.scope.version !== "") writer.text(0x12, origin.scope.version)
  writer.end(scope)
  const scopeField = writer.toBytes()

  const names = signals[signal]
  const head = `{"${names.resources}":[{"resource":{"attributes":[${recordValues(origin.resource)}]},"${names.scopes}":[{"scope":{"name":${
    text(origin.scope.name)
  },"version":${text(origin.scope.version)}},"${names.items}":[`

  return {
    protobuf: (items) => {
      const scopes = scopeField.length + items.length
      const resources = resourceField.length + 1 + lengthOf(scopes) + scopes
      const out = new Writer(1 + lengthOf(resources) + resources)
      out.tag(0x0a)
      out.varint(resources)
      out.raw(resourceField)
      out.tag(0x12)
      out.varint(scopes)
      out.raw(scopeField)
      out.raw(items)
      return out.peek()
    },
    json: (items) => encoder.encode(`${head}${items}]}]}]}`)
  }
}

const encoder = new TextEncoder()
