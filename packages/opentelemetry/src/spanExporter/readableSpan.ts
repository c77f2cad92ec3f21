import type { SpanData } from "@effect-observability/core"
import type { Origin } from "../encoding/envelope.ts"

/** `[seconds, nanoseconds]`. */
type HrTime = [number, number]

/** `SpanKind` of `@opentelemetry/api`. */
const kinds = { internal: 0, server: 1, client: 2, producer: 3, consumer: 4 } as const
const codes = { unset: 0, ok: 1, error: 2 } as const
const sampled = 1

/**
 * A span as OpenTelemetry's SDKs hand it to a `SpanExporter`: the `ReadableSpan` of SDK 2, with the names SDK 1 had for the same beside them.
 * Attributes keep their values, though OpenTelemetry knows no bigint: it becomes text.
 */
export const readableSpan = (data: SpanData, origin: Origin) => {
  const { parentSpanId, traceId } = data
  const traceState = data.traceState === "" ? undefined : readOnlyState(data.traceState)
  const context = { traceId, spanId: data.spanId, traceFlags: sampled, traceState, isRemote: false }
  const startTime = hrTime(data.startTime)
  const nanos = data.endTime - data.startTime
  const resource = resourceOf(origin)
  return {
    name: data.name,
    kind: kinds[data.kind],
    spanContext: () => context,
    parentSpanContext: parentSpanId === undefined ? undefined : { traceId, spanId: parentSpanId, traceFlags: sampled },
    parentSpanId,
    startTime,
    endTime: hrTime(data.endTime),
    duration: hrTime(nanos < 0n ? 0n : nanos),
    ended: true,
    status: data.statusMessage === undefined ? { code: codes[data.status] } : { code: codes[data.status], message: data.statusMessage },
    attributes: plain(data.attributes),
    events: data.events.map(({ attributes, name, time }) => ({ name, time: hrTime(time), attributes: plain(Object.entries(attributes)), droppedAttributesCount: 0 })),
    links: data.links.map((link) => ({
      context: { traceId: link.traceId, spanId: link.spanId, traceFlags: sampled },
      attributes: plain(Object.entries(link.attributes)),
      droppedAttributesCount: 0
    })),
    resource,
    instrumentationScope: origin.scope,
    instrumentationLibrary: origin.scope,
    droppedAttributesCount: data.droppedAttributes,
    droppedEventsCount: data.droppedEvents,
    droppedLinksCount: data.droppedLinks
  }
}

const hrTime = (nanos: bigint): HrTime => [Number(nanos / 1_000_000_000n), Number(nanos % 1_000_000_000n)]

const plain = (attributes: Iterable<readonly [string, unknown]>): Record<string, unknown> => {
  const out: Record<string, unknown> = Object.create(null)
  for (const [key, value] of attributes) {
    out[key] = typeof value === "bigint" ? String(value) : Array.isArray(value) ? value.map((one) => typeof one === "bigint" ? String(one) : one) : value
  }
  return out
}

const resources = new WeakMap<Origin, ReturnType<typeof makeResource>>()

/** One object for all spans of an origin: exporters group by it. */
const resourceOf = (origin: Origin) => {
  let known = resources.get(origin)
  if (known === undefined) resources.set(origin, known = makeResource(origin))
  return known
}

const makeResource = ({ resource }: Origin) => {
  const self = {
    attributes: resource,
    schemaUrl: undefined,
    asyncAttributesPending: false,
    waitForAsyncAttributes: () => Promise.resolve(),
    getRawAttributes: () => Object.entries(resource),
    merge: () => self
  }
  return self
}

const readOnlyState = (text: string) => {
  const self = {
    get: (key: string) => text.split(",").find((member) => member.startsWith(`${key}=`))?.slice(key.length + 1),
    set: () => self,
    unset: () => self,
    serialize: () => text
  }
  return self
}
