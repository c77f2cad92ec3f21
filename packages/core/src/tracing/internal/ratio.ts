import type { TraceId } from "./TraceId.ts"

/**
 * Sampling by ratio, the same for a trace wherever it is asked: the low 56 bits of the trace id against a threshold
 * (OpenTelemetry, "TraceState: Probability Sampling"; a trace is kept when its randomness reaches the threshold).
 */
export class RatioSampler {
  private rate = NaN
  private high = 0
  private low = 0

  /** `rate` is 0 to 1; what is not a number keeps nothing. */
  keeps(trace: TraceId, rate: number): boolean {
    if (rate !== this.rate) this.aim(rate)
    return trace.reaches(this.high, this.low)
  }

  private aim(rate: number): void {
    this.rate = rate
    const wanted = rate > 0 ? Math.min(rate, 1) : 0
    const threshold = Math.round((1 - wanted) * 2 ** 56)
    this.high = Math.floor(threshold / 2 ** 32)
    this.low = threshold % 2 ** 32
  }
}
