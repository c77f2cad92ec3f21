import { type MetricsRecorder, OtelMetrics, type ObserverHandle, StandardMetrics } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as SqlMetrics from "../SqlMetrics.ts"
import type { Conventions } from "./DbMetrics.ts"

/** The state of a pool at one moment; `undefined` where nobody can tell. */
export interface PoolState {
  readonly used: number
  readonly idle: number | undefined
  readonly pending: number
  readonly max: number | undefined
}

/** Counts what a client has asked its pool for. */
export class PoolCounts {
  pending = 0
  used = 0
  private readonly waits: ReadonlyArray<ObserverHandle>

  constructor(recorder: MetricsRecorder["Service"], conventions: Conventions, name: string) {
    const waits: Array<ObserverHandle> = []
    if (conventions !== "otel") waits.push(recorder.bind(SqlMetrics.ConnectionWait, { pool_name: name }))
    if (conventions !== "standard") waits.push(recorder.bind(SqlMetrics.OtelConnectionWait, { db_client_connection_pool_name: name }))
    this.waits = waits
  }

  waited(seconds: number): void {
    for (const wait of this.waits) wait.observeUnsafe(seconds)
  }
}

/** Shows a pool's state whenever metrics are read, until the scope closes. */
export const watchPool = (
  recorder: MetricsRecorder["Service"],
  conventions: Conventions,
  name: string,
  read: () => PoolState
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    if (conventions !== "otel") {
      const pool = { pool_name: name }
      yield* recorder.registerGauge(StandardMetrics.DbConnections, () => {
        const { idle, used } = read()
        return [[{ ...pool, state: "used" }, used] as const, ...(idle === undefined ? [] : [[{ ...pool, state: "idle" }, idle] as const])]
      })
      yield* recorder.registerGauge(SqlMetrics.PendingRequests, () => [[pool, read().pending] as const])
      yield* recorder.registerGauge(SqlMetrics.MaxConnections, () => {
        const { max } = read()
        return max === undefined ? [] : [[pool, max] as const]
      })
    }
    if (conventions !== "standard") yield* watchByDifference(recorder, name, read)
  })

/** OpenTelemetry has up-down counters here: they get what changed since the last look, and all of it back when the scope closes. */
const watchByDifference = (recorder: MetricsRecorder["Service"], name: string, read: () => PoolState) => {
  let shown: PoolState = { used: 0, idle: 0, pending: 0, max: 0 }
  const pool = { db_client_connection_pool_name: name }
  const show = (now: PoolState): void => {
    const before = shown
    shown = now
    const count = (state: string, difference: number) =>
      recorder.incrementCounterUnsafe(OtelMetrics.DbClientConnectionCount, difference, { ...pool, db_client_connection_state: state })
    count("used", now.used - before.used)
    if (now.idle !== undefined) count("idle", now.idle - (before.idle ?? 0))
    recorder.incrementCounterUnsafe(SqlMetrics.OtelPendingRequests, now.pending - before.pending, pool)
    if (now.max !== undefined) recorder.incrementCounterUnsafe(SqlMetrics.OtelMaxConnections, now.max - (before.max ?? 0), pool)
  }
  return Effect.andThen(
    Effect.addFinalizer(() => Effect.sync(() => show({ used: 0, idle: shown.idle === undefined ? undefined : 0, pending: 0, max: shown.max === undefined ? undefined : 0 }))),
    // A gauge that shows nothing: it is asked whenever values are read.
    recorder.registerGauge(StandardMetrics.DbConnections, () => {
      show(read())
      return []
    })
  )
}
