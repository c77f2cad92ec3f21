import * as Effect from "effect/Effect"
import { HistoryError } from "../../history/HistoryError.ts"
import type { StoredSpan, TraceHistory, TraceSummary } from "../../history/TraceHistory.ts"

/** Answers from the spans at hand. */
export const make = (spans: () => ReadonlyArray<StoredSpan>): TraceHistory["Service"] => ({
  getTrace: (traceId) =>
    Effect.suspend(() => {
      const id = traceId.toLowerCase()
      if (!/^[0-9a-f]{32}$/.test(id)) return invalid("traceId must have 32 hex digits")
      const found = spans().filter((span) => span.traceId === id).toSorted(byStart)
      return Effect.succeed(found.length === 0 ? undefined : { traceId: id, spans: found })
    }),
  getRecentTraces: (query = {}) =>
    Effect.suspend(() => {
      const { limit = 20, serviceName, status } = query
      if (!(limit >= 1)) return invalid("limit must be 1 or more")
      const byId = Map.groupBy(spans(), (span) => span.traceId)
      const summaries = [...byId.values()].map(summarise).filter((trace) =>
        (status === undefined || trace.status === status) &&
        (serviceName === undefined || byId.get(trace.traceId)!.some((span) => span.serviceName === serviceName))
      )
      return Effect.succeed(summaries.toSorted((a, b) => Number(b.startTime - a.startTime)).slice(0, Math.min(limit, 1000)))
    })
})

const invalid = (message: string) => Effect.fail(new HistoryError({ reason: "invalid", message }))

const byStart = (a: StoredSpan, b: StoredSpan): number => Number(a.startTime - b.startTime)

const summarise = (spans: ReadonlyArray<StoredSpan>): TraceSummary => {
  const ordered = spans.toSorted(byStart)
  const root = ordered.find((span) => span.parentSpanId === undefined) ?? ordered[0]!
  const end = spans.reduce((most, span) => span.endTime > most ? span.endTime : most, 0n)
  const errorCount = spans.filter((span) => span.status === "error").length
  return {
    traceId: root.traceId,
    name: root.name,
    serviceName: root.serviceName,
    startTime: ordered[0]!.startTime,
    duration: end - ordered[0]!.startTime,
    spanCount: spans.length,
    errorCount,
    status: errorCount > 0 ? "ERROR" : "OK"
  }
}

