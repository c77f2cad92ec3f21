import type * as EffectTracer from "effect/Tracer"
import { type Carrier, extract, inject, isSpanId, isTraceId, remoteSpan, type SpanContext } from "../tracing/Propagation.ts"
import { type Baggage, decode, empty, toHeader } from "./Baggage.ts"
import { read, readList, readOne, type Settable, write } from "./internal/carriers.ts"
import { toHeaders, toSpan } from "./internal/datadogHeaders.ts"

/** What goes from one process to the next. */
export interface Outgoing {
  readonly span: (SpanContext & { readonly traceState: string }) | undefined
  readonly baggage: Baggage
}

/** What came from another process. */
export interface Incoming {
  readonly span: EffectTracer.ExternalSpan | undefined
  readonly baggage: Baggage
}

/** One format of the trace context, or several. Neither call throws, whatever the carrier is. */
export interface Propagator {
  /** The keys it may write, in lower case. */
  readonly fields: ReadonlyArray<string>
  /** Writes into headers, message properties, a `Map` or `Headers`. What is not there is not written. */
  readonly inject: (carrier: Carrier | Settable, outgoing: Outgoing) => void
  /** Reads any carrier, whatever the case of its keys; an environment's `TRACEPARENT` too. */
  readonly extract: (carrier: unknown) => Incoming
}

/** OpenTelemetry's names, as in `OTEL_PROPAGATORS`; `datadog` and `sentry` for the headers of their SDKs. */
export type PropagatorName = "tracecontext" | "baggage" | "b3" | "b3multi" | "datadog" | "sentry"

export const propagatorNames: ReadonlyArray<PropagatorName> = ["tracecontext", "baggage", "b3", "b3multi", "datadog", "sentry"]

const nothing: Incoming = { span: undefined, baggage: empty }
const withSpan = (span: EffectTracer.ExternalSpan | undefined): Incoming => span === undefined ? nothing : { span, baggage: empty }

/** W3C Trace Context: `traceparent` and `tracestate`. */
export const w3c: Propagator = {
  fields: ["traceparent", "tracestate"],
  inject: (carrier, { span }) => {
    if (span !== undefined) inject(carrier, span, span.traceState)
  },
  extract: (carrier) => withSpan(extract(carrier))
}

/** W3C Baggage. */
export const baggage: Propagator = {
  fields: ["baggage"],
  inject: (carrier, { baggage }) => {
    const header = toHeader(baggage)
    if (header !== "") write(carrier, "baggage", header)
  },
  extract: (carrier) => ({ span: undefined, baggage: decode(readList(carrier, "baggage")) })
}

/** B3 in one header: `{trace id}-{span id}-{flag}`. */
export const b3: Propagator = {
  fields: ["b3"],
  inject: (carrier, { span }) => {
    if (span !== undefined) write(carrier, "b3", `${span.traceId}-${span.spanId}-${span.sampled ? "1" : "0"}`)
  },
  extract: (carrier) => {
    const found = singleB3.exec(readOne(carrier, "b3") ?? "")
    return withSpan(found === null ? undefined : b3Span(found[1], found[2], found[3]))
  }
}

/** B3 in several headers: `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled`, `x-b3-flags`. */
export const b3multi: Propagator = {
  fields: ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled"],
  inject: (carrier, { span }) => {
    if (span === undefined) return
    write(carrier, "x-b3-traceid", span.traceId)
    write(carrier, "x-b3-spanid", span.spanId)
    write(carrier, "x-b3-sampled", span.sampled ? "1" : "0")
  },
  extract: (carrier) => {
    // Nearly all requests have none of them: one look settles it.
    const traceId = read(carrier, "x-b3-traceid")
    if (traceId.length !== 1) return nothing
    const flag = readOne(carrier, "x-b3-flags") === "1" ? "d" : readOne(carrier, "x-b3-sampled")
    return withSpan(b3Span(traceId[0], readOne(carrier, "x-b3-spanid"), flag))
  }
}

/**
 * Datadog's headers: `x-datadog-trace-id`, `x-datadog-parent-id` (decimal numbers of 64 bits), `x-datadog-sampling-priority`, `x-datadog-origin` and
 * `x-datadog-tags`, which holds the upper half of the trace id. What they say beyond ids is kept in the member `dd` of `tracestate`.
 */
export const datadog: Propagator = {
  fields: ["x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-sampling-priority", "x-datadog-origin", "x-datadog-tags"],
  inject: (carrier, { span }) => {
    if (span === undefined) return
    const { origin, parentId, priority, tags, traceId } = toHeaders(span)
    write(carrier, "x-datadog-trace-id", traceId!)
    write(carrier, "x-datadog-parent-id", parentId!)
    write(carrier, "x-datadog-sampling-priority", priority!)
    if (origin !== undefined) write(carrier, "x-datadog-origin", origin)
    if (tags !== undefined) write(carrier, "x-datadog-tags", tags)
  },
  extract: (carrier) => {
    // Most requests have none of them: one look settles it.
    const traceId = readOne(carrier, "x-datadog-trace-id")
    if (traceId === undefined) return nothing
    return withSpan(toSpan({
      traceId,
      parentId: readOne(carrier, "x-datadog-parent-id"),
      priority: readOne(carrier, "x-datadog-sampling-priority"),
      origin: readOne(carrier, "x-datadog-origin"),
      tags: readList(carrier, "x-datadog-tags")
    }))
  }
}

/**
 * Sentry's header `sentry-trace`: `{trace id}-{span id}-{flag}` (Sentry SDK docs, "Distributed Tracing"). Without a flag the decision is open, and who
 * asks for a trace gets one. What Sentry's SDKs put into `baggage` beside it belongs to their sampling and is not made.
 */
export const sentry: Propagator = {
  fields: ["sentry-trace"],
  inject: (carrier, { span }) => {
    if (span !== undefined) write(carrier, "sentry-trace", `${span.traceId}-${span.spanId}-${span.sampled ? "1" : "0"}`)
  },
  extract: (carrier) => {
    const found = sentryTrace.exec(readOne(carrier, "sentry-trace") ?? "")
    const traceId = found?.[1]?.toLowerCase()
    const spanId = found?.[2]?.toLowerCase()
    if (traceId === undefined || spanId === undefined || !isTraceId(traceId) || !isSpanId(spanId)) return nothing
    return withSpan(remoteSpan({ traceId, spanId, sampled: found?.[3] !== "0" }, ""))
  }
}

const sentryTrace = /^[ \t]*([0-9a-fA-F]{32})-([0-9a-fA-F]{16})(?:-([01]))?[ \t]*$/

/** Several formats at once: each writes; of those that find a span the first counts, of baggage the first that has any. */
export const composite = (propagators: ReadonlyArray<Propagator>): Propagator => ({
  fields: [...new Set(propagators.flatMap((one) => one.fields))],
  inject: (carrier, outgoing) => {
    for (const one of propagators) one.inject(carrier, outgoing)
  },
  extract: (carrier) => {
    let span: EffectTracer.ExternalSpan | undefined
    let found = empty
    for (const one of propagators) {
      const incoming = one.extract(carrier)
      span ??= incoming.span
      if (found.size === 0) found = incoming.baggage
    }
    return { span, baggage: found }
  }
})

const byName: Readonly<Record<PropagatorName, Propagator>> = { tracecontext: w3c, baggage, b3, b3multi, datadog, sentry }

/** The formats of these names at once; what comes in is read in B3 too, unless there is no format at all. */
export const named = (names: ReadonlyArray<PropagatorName>): Propagator => {
  const own = names.map((name) => byName[name])
  const out = composite(own)
  if (own.length === 0) return out
  const { extract } = composite([...new Set([...own, b3, b3multi])])
  return { ...out, extract }
}

const singleB3 = /^([0-9a-fA-F]{16}|[0-9a-fA-F]{32})-([0-9a-fA-F]{16})(?:-([01d])(?:-[0-9a-fA-F]{16})?)?$/

/** `d` is debug, which means sampled; no flag leaves the decision open, and who asks for a trace gets one. */
const b3Span = (traceId: string | undefined, spanId: string | undefined, flag: string | undefined): EffectTracer.ExternalSpan | undefined => {
  if (traceId === undefined || spanId === undefined || (traceId.length !== 16 && traceId.length !== 32)) return undefined
  const long = traceId.toLowerCase().padStart(32, "0")
  const id = spanId.toLowerCase()
  if (!isTraceId(long) || !isSpanId(id)) return undefined
  const sampled = flag === undefined || flag === "1" || flag === "d" || flag === "true"
  return remoteSpan({ traceId: long, spanId: id, sampled }, "")
}
