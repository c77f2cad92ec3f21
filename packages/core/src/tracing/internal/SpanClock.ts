import type { Clock } from "effect/Clock"

/** How long the difference between wall and monotonic time is trusted, in nanoseconds. */
const trusted = 10_000_000n

/**
 * Start and end times of spans from one monotonic reading each: a span's duration is exact however the wall clock jumps, and a reading
 * costs half of one that looks at both clocks. A jump shows in the spans that begin 10 ms later.
 */
export class SpanClock {
  private clock: Clock | undefined
  private read = 0n
  /** Wall time minus monotonic time. A span keeps the one it began with. */
  offset = 0n

  /** Monotonic nanoseconds; brings `offset` up to date. */
  now(clock: Clock): bigint {
    const now = clock.monotonicTimeNanosUnsafe()
    const age = now - this.read
    if (clock !== this.clock || age > trusted || age < 0n) {
      this.offset = clock.currentTimeNanosUnsafe() - now
      this.clock = clock
      this.read = now
    }
    return now
  }
}
