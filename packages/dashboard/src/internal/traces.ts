import type { SearchTracesQuery, StoredSpan, StoredTrace, TraceHistory, TraceSummary } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { Params } from "./params.ts"
import { refuse } from "./answers.ts"

const kinds = ["internal", "server", "client", "producer", "consumer"] as const

/** Given fields only: the histories tell `undefined` from absent. */
const given = <A extends object>(fields: A): { [K in keyof A]: Exclude<A[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never

const filterOf = (params: Params) =>
  Effect.gen(function*() {
    const range = yield* params.range
    const min = yield* params.number("minMs", 0, 1e9)
    const max = yield* params.number("maxMs", 0, 1e9)
    return given({
      ...range,
      ...(yield* params.resource),
      serviceName: yield* params.text("service"),
      operation: yield* params.text("operation"),
      kind: yield* params.oneOf("kind", kinds),
      status: yield* params.oneOf("status", ["OK", "ERROR"]),
      minDuration: min,
      maxDuration: max,
      attributes: yield* params.pairs("attribute"),
      text: yield* params.text("text")
    })
  })

export const operations = (history: TraceHistory["Service"], params: Params) =>
  Effect.gen(function*() {
    const query = given({ ...(yield* params.range), ...(yield* params.resource), serviceName: yield* params.text("service"), limit: (yield* params.number("limit", 1, 500)) ?? 200 })
    return { query, operations: yield* history.operations(query) }
  })

export const dependencies = (history: TraceHistory["Service"], params: Params) =>
  Effect.gen(function*() {
    const query = { ...(yield* params.range), ...(yield* params.resource), limit: 200 }
    return { query, dependencies: yield* history.dependencies(query) }
  })

export const latency = (history: TraceHistory["Service"], params: Params) =>
  Effect.gen(function*() {
    const filter = yield* filterOf(params)
    const range = yield* params.range
    const query = { ...filter, step: Math.max(1_000, Math.ceil((range.endTime - range.startTime) / 60_000) * 1_000) }
    return { query, ...(yield* history.latency(query)) }
  })

const summary = ({ duration, startTime, ...rest }: TraceSummary) => ({ ...rest, startMs: Number(startTime / 1_000n) / 1e3, durationMs: Number(duration) / 1e6 })

export const search = (history: TraceHistory["Service"], params: Params) =>
  Effect.gen(function*() {
    const filter = yield* filterOf(params)
    const query: SearchTracesQuery = given({
      ...filter,
      order: yield* params.oneOf("order", ["newest", "oldest", "slowest"]),
      limit: (yield* params.number("limit", 1, 500)) ?? 100,
      cursor: yield* params.text("cursor")
    })
    const page = yield* history.searchTraces(query)
    return { query, cursor: page.cursor, traces: page.traces.map(summary) }
  })

export const differs = (history: TraceHistory["Service"], params: Params) =>
  Effect.gen(function*() {
    const { maxDuration: _, minDuration, status, ...among } = yield* filterOf(params)
    if (minDuration === undefined && status === undefined) return yield* refuse(400, "status or minMs: say what stands out, the failed or the slow ones")
    const query = { among, selection: given({ minDuration, status }), limit: 20 }
    return { query, ...(yield* history.whatDiffers(query)) }
  })

const needTrace = (history: TraceHistory["Service"], params: Params) =>
  Effect.gen(function*() {
    const id = yield* params.needed("id")
    if (!/^[0-9a-f]{32}$/i.test(id)) return yield* refuse(400, "id: must be 32 hex digits")
    const found = yield* history.getTrace(id)
    if (found === undefined) return yield* refuse(404, "Nothing of this trace is stored: it was not sampled, or is older than what is kept.")
    return found
  })

/** All spans in the few words a waterfall needs; what a span carries is asked for one by one. */
export const trace = (history: TraceHistory["Service"], params: Params) =>
  Effect.map(needTrace(history, params), ({ spans, traceId }: StoredTrace) => {
    const start = spans.reduce((least, span) => span.startTime < least ? span.startTime : least, spans[0]?.startTime ?? 0n)
    return {
      query: { getTrace: traceId },
      traceId,
      startMs: Number(start / 1_000n) / 1e3,
      spans: spans.map((span) => ({
        id: span.spanId,
        parent: span.parentSpanId,
        name: span.name,
        service: span.serviceName,
        kind: span.kind,
        /** Milliseconds after the begin of the trace. */
        at: Number(span.startTime - start) / 1e6,
        ms: Number(span.endTime - span.startTime) / 1e6,
        failed: span.status === "error"
      }))
    }
  })

export const span = (history: TraceHistory["Service"], params: Params) =>
  Effect.gen(function*() {
    const spanId = yield* params.needed("span")
    const { spans } = yield* needTrace(history, params)
    const found: StoredSpan | undefined = spans.find((one) => one.spanId === spanId)
    if (found === undefined) return yield* refuse(404, "The trace has no such span.")
    return {
      ...found,
      startTime: Number(found.startTime / 1_000n) / 1e3,
      endTime: Number(found.endTime / 1_000n) / 1e3,
      events: found.events.map((event) => ({ ...event, time: Number(event.time - found.startTime) / 1e6 }))
    }
  })
