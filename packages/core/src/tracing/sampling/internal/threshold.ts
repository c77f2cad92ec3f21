/** 2^56: thresholds and randomness have 56 bits (OpenTelemetry, "TraceState: Probability Sampling"). */
const whole = 2 ** 56

/** A trace is kept when its randomness is at least the threshold. */
export interface Threshold {
  /** The high 24 and the low 32 bits. */
  readonly high: number
  readonly low: number
  /** The probability the threshold stands for, after rounding; above 0. */
  readonly probability: number
  /** As in `tracestate`: up to 14 hex digits without trailing zeros. */
  readonly text: string
}

/** Significant hex digits of a probability: enough for a relative error below 1 in 65,536. */
const precision = 4

/**
 * The threshold of a probability above 0 and below 1, rounded to four significant hex digits so that it is short in a header; a
 * probability that rounds to 1 gives the threshold 0.
 */
export const thresholdOf = (probability: number): Threshold => {
  // Leading f digits of the threshold say how small the probability is; they are no precision.
  const leading = Math.floor(-Math.log2(probability) / 4)
  // Never the last digit: a double has 53 bits, and the threshold of nothing at all would be no threshold.
  const unit = 16 ** Math.max(1, 14 - leading - precision)
  const value = whole - Math.max(unit, Math.round((whole * probability) / unit) * unit)
  return fromValue(value)
}

const fromValue = (value: number): Threshold => ({
  high: Math.floor(value / 2 ** 32),
  low: value % 2 ** 32,
  probability: (whole - value) / whole,
  text: value.toString(16).padStart(14, "0").replace(/0+$/, "") || "0"
})

/** The probability a `th` value stands for, above 0; `undefined` when it is none. */
export const parseThreshold = (text: string): number | undefined =>
  // The highest ones round up to the whole.
  /^[0-9a-f]{1,14}$/.test(text) ? Math.max(1, whole - Number.parseInt(text.padEnd(14, "0"), 16)) / whole : undefined
