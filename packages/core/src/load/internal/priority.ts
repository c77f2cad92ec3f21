import type { LogData } from "../../logs/LogData.ts"
import type { SpanData } from "../../tracing/SpanData.ts"

/** What goes at which level, the least missed first. */
export const shedAt = {
  debug_spans: 1, debug_logs: 1, spans: 2, logs: 2, error_spans: 3, error_logs: 3, errors: 4
} as const

export type Shed = keyof typeof shedAt

/** Internal steps are details; what enters or leaves the process is the trace. */
export const kindOfSpan = ({ kind, parentSpanId, status }: SpanData): Shed =>
  status === "error" ? "error_spans" : kind === "internal" && parentSpanId !== undefined ? "debug_spans" : "spans"

export const kindOfLog = ({ level }: LogData): Shed =>
  level === "error" || level === "fatal" ? "error_logs" : level === "debug" || level === "trace" ? "debug_logs" : "logs"
