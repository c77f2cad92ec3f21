import type { MetricsRecorder, Telemetry } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as RpcMetrics from "../RpcMetrics.ts"

/** Measures one call, however it ends. */
export interface Measure {
  <A, E, R>(method: string, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R>
  /** The same for what ends elsewhere. */
  readonly begin: (method: string) => Effect.Effect<(exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>>
}

export const measuring = (side: "server" | "client", telemetry: Telemetry["Service"], recorder: MetricsRecorder["Service"]): Measure => {
  const { conventions } = telemetry.settings().metrics
  const [duration, total, otel] = side === "server"
    ? [RpcMetrics.ServerDuration, RpcMetrics.ServerTotal, RpcMetrics.OtelServerCallDuration] as const
    : [RpcMetrics.ClientDuration, RpcMetrics.ClientTotal, RpcMetrics.OtelClientCallDuration] as const
  const record = (method: string, seconds: number, exit: Exit.Exit<unknown, unknown>): void => {
    const [outcome, errorType] = endOf(exit)
    if (conventions !== "otel") {
      recorder.observeHistogramUnsafe(duration, seconds, { method })
      recorder.incrementCounterUnsafe(total, 1, { method, outcome, error_type: errorType })
    }
    if (conventions !== "standard") recorder.observeHistogramUnsafe(otel, seconds, { rpc_method: method, error_type: errorType })
  }
  const start = (clock: Clock.Clock, method: string) => {
    const started = clock.monotonicTimeNanosUnsafe()
    return (exit: Exit.Exit<unknown, unknown>): void => record(method, Number(clock.monotonicTimeNanosUnsafe() - started) / 1e9, exit)
  }
  const measure = <A, E, R>(method: string, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) => {
      const end = start(fiber.getRef(Clock.Clock), method)
      return Effect.onExitPrimitive(self, (exit) => {
        end(exit)
        return undefined
      })
    })
  return Object.assign(measure, {
    begin: (method: string) =>
      Effect.withFiber((fiber) => {
        const end = start(fiber.getRef(Clock.Clock), method)
        return Effect.succeed((exit: Exit.Exit<unknown, unknown>) => Effect.sync(() => end(exit)))
      })
  })
}

type End = readonly [outcome: "success" | "failure" | "defect" | "interrupted", errorType: string]

/** Errors of a contract are few; others count by what they are, not by what they say. */
const endOf = (exit: Exit.Exit<unknown, unknown>): End => {
  if (exit._tag === "Success") return ["success", ""]
  if (Cause.hasInterruptsOnly(exit.cause)) return ["interrupted", "interrupted"]
  const error = Cause.squash(exit.cause)
  return [Cause.hasDies(exit.cause) ? "defect" : "failure", nameOf(error)]
}

const nameOf = (error: unknown): string => {
  let name: unknown
  try {
    if (typeof error === "object" && error !== null) name = "_tag" in error ? error._tag : error instanceof Error ? error.name : undefined
  } catch {
    // An error that cannot be looked at.
  }
  return typeof name === "string" && /^[\w./@-]{1,64}$/.test(name) ? name : "_OTHER"
}
