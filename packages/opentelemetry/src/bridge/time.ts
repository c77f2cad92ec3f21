import type { TimeInput } from "@opentelemetry/api"
import type { Clock } from "effect/Clock"
import * as PerfHooks from "node:perf_hooks"

/** Numbers below this are no milliseconds since the epoch but what `performance.now()` gave: nobody reports spans of before 1973. */
const epochMillis = 1e11

/** A time of OpenTelemetry as nanoseconds since the epoch; now for none and for what is none. */
export const nanosOf = (input: TimeInput | null | undefined, clock: Clock): bigint => {
  if (Array.isArray(input)) {
    const [seconds, nanos] = input
    if (Number.isFinite(seconds) && Number.isFinite(nanos)) return BigInt(Math.trunc(seconds)) * 1_000_000_000n + BigInt(Math.trunc(nanos))
  }
  const millis = input instanceof Date ? input.getTime() : input
  if (typeof millis !== "number" || !Number.isFinite(millis)) return clock.currentTimeNanosUnsafe()
  const since = millis < epochMillis ? PerfHooks.performance.timeOrigin + millis : millis
  // Beyond what a date can be: no time that anybody meant.
  if (Math.abs(since) > 8.64e15) return clock.currentTimeNanosUnsafe()
  const whole = Math.trunc(since)
  return BigInt(whole) * 1_000_000n + BigInt(Math.round((since - whole) * 1e6))
}
