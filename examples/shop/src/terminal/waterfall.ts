import { type StoredSpan, type StoredTrace, TraceHistory } from "@effect-observability/core"
import { Effect } from "effect"
import { supplierSpan } from "../supplier/server.ts"

/** The last trace with an error in it, read back from history and drawn as a waterfall. */
export const lastFailedTrace = Effect.gen(function*() {
  const [latest] = yield* (yield* TraceHistory).getRecentTraces({ limit: 1, status: "ERROR" })
  return latest === undefined ? ["  no trace with an error yet"] : yield* waterfall(latest.traceId)
})

/** The last trace that went on from the shop into the supplier. */
export const lastSuppliedTrace = Effect.gen(function*() {
  const { traces: [latest] } = yield* (yield* TraceHistory).searchTraces({ operation: supplierSpan, limit: 1 })
  return latest === undefined ? ["  no such trace yet"] : yield* waterfall(latest.traceId)
})

const packed = { operation: "warehouse.pack", limit: 1 }

/** The last order that went from the shop through the queue to the warehouse. */
export const lastPackedTrace = Effect.gen(function*() {
  const { traces: [latest] } = yield* (yield* TraceHistory).searchTraces(packed)
  return latest === undefined ? ["  no such trace yet"] : yield* waterfall(latest.traceId)
})

/** Waits until an order of this start is packed and stored, but not for long: the warehouse is a process that may be away. */
export const somethingPacked = (startTime: number) =>
  Effect.gen(function*() {
    const history = yield* TraceHistory
    while ((yield* history.searchTraces({ ...packed, startTime })).traces.length === 0) yield* Effect.sleep("100 millis")
  }).pipe(Effect.timeoutOption("10 seconds"))

const waterfall = Effect.fnUntraced(function*(traceId: string) {
  const trace = yield* (yield* TraceHistory).getTrace(traceId)
  return trace === undefined ? [`  trace ${traceId} is not stored any more`] : draw(trace)
})

const width = 32

const draw = ({ spans, traceId }: StoredTrace): ReadonlyArray<string> => {
  const ids = new Set(spans.map((span) => span.spanId))
  const childrenOf = (parent: string | undefined) =>
    spans.filter((span) => parent === undefined ? span.parentSpanId === undefined || !ids.has(span.parentSpanId) : span.parentSpanId === parent)
      .toSorted((a, b) => Number(a.startTime - b.startTime))
  const start = spans.reduce((least, span) => span.startTime < least ? span.startTime : least, spans[0]!.startTime)
  const end = spans.reduce((most, span) => span.endTime > most ? span.endTime : most, spans[0]!.endTime)
  const whole = Math.max(1, Number(end - start))

  const lines: Array<{ readonly label: string; readonly bar: string; readonly note: string }> = []
  const visit = (span: StoredSpan, depth: number): void => {
    const from = Math.floor((Number(span.startTime - start) / whole) * width)
    const length = Math.max(1, Math.round((Number(span.endTime - span.startTime) / whole) * width))
    const bar = " ".repeat(Math.min(from, width - 1)) + "█".repeat(Math.min(length, width - Math.min(from, width - 1)))
    const failed = span.status === "error" ? `  ✗ ${span.statusMessage ?? "failed"}` : ""
    lines.push({
      label: `${"  ".repeat(depth)}${span.name}`,
      bar: bar.padEnd(width),
      note: `${(Number(span.endTime - span.startTime) / 1e6).toFixed(1).padStart(7)} ms${failed}`
    })
    for (const child of childrenOf(span.spanId)) visit(child, depth + 1)
  }
  for (const root of childrenOf(undefined)) visit(root, 0)
  const labels = Math.max(...lines.map((line) => line.label.length))
  return [`  trace ${traceId}`, ...lines.map((line) => `  ${line.label.padEnd(labels)} │${line.bar}│${line.note}`)]
}
