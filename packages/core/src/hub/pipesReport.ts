import type { BatchProcessor } from "../pipe/BatchProcessor.ts"
import type { ComponentReport, Signal, SignalReport } from "./Telemetry.ts"

/** A queue that has waited this long is not catching up. Milliseconds. */
const downAfter = 60_000

/** A queue of a backend, and what passes through it. */
export interface ReportedPipe {
  readonly signal: Signal
  readonly processor: Pick<BatchProcessor<never>, "ledger" | "status">
}

/** What one queue has done and holds: the row of its signal in a backend's `ComponentReport`. */
export const signalReport = ({ processor, signal }: ReportedPipe): SignalReport => {
  const { lastError, lastErrorAt, oldestAgeMillis, queuedBytes, queuedItems } = processor.status()
  return {
    signal,
    ledger: processor.ledger(),
    queuedItems,
    queuedBytes,
    oldestAgeMillis,
    lastError: lastError === undefined || lastErrorAt === undefined ? undefined : { message: lastError, at: lastErrorAt }
  }
}

/**
 * How a backend does by its queues: `degraded` while one of them fails, `down` once what fails has waited for more than a minute,
 * and `degraded` by a `problem` of the backend's own. The reason is the first failing queue's, else the problem.
 */
export const pipesReport = (
  pipes: ReadonlyArray<ReportedPipe>,
  problem?: string | undefined
): Pick<ComponentReport, "status" | "reason" | "signals"> => {
  const failing = pipes.flatMap(({ processor, signal }) => {
    const status = processor.status()
    return status.failures > 0 ? [{ signal, status }] : []
  })
  return {
    status: failing.length > 0
      ? failing.some(({ status }) => status.oldestAgeMillis > downAfter) ? "down" : "degraded"
      : problem === undefined ? "up" : "degraded",
    reason: failing.map(({ signal, status }) => `${signal}: ${status.lastError ?? "failing"}`)[0] ?? problem,
    signals: pipes.map(signalReport)
  }
}
