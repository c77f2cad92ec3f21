import { Propagation } from "@effect-observability/core"
import * as Otel from "@opentelemetry/api"
import { isSuppressed } from "./BridgedContext.ts"

const fields = ["traceparent", "tracestate"]

/** W3C trace context for OpenTelemetry's instrumentation; without a propagator it would send no headers. */
export const propagator: Otel.TextMapPropagator = {
  inject: (context, carrier, setter) => {
    const span = Otel.trace.getSpanContext(context)
    if (span === undefined || !Otel.isSpanContextValid(span) || isSuppressed(context)) return
    const sampled = (span.traceFlags & Otel.TraceFlags.SAMPLED) !== 0
    setter.set(carrier, "traceparent", Propagation.formatTraceparent({ traceId: span.traceId, spanId: span.spanId, sampled }))
    const state = span.traceState?.serialize() ?? ""
    if (state !== "") setter.set(carrier, "tracestate", state)
  },
  extract: (context, carrier, getter) => {
    const [parent, state] = fields.map((field) => {
      const value = getter.get(carrier, field)
      return Array.isArray(value) ? value.join(",") : value
    })
    const found = Propagation.parseTraceparent(parent)
    if (found === undefined) return context
    const known = Propagation.parseTracestate(state)
    return Otel.trace.setSpanContext(context, {
      traceId: found.traceId,
      spanId: found.spanId,
      traceFlags: found.sampled ? Otel.TraceFlags.SAMPLED : Otel.TraceFlags.NONE,
      isRemote: true,
      ...(known === "" ? {} : { traceState: Otel.createTraceState(known) })
    })
  },
  fields: () => fields
}
