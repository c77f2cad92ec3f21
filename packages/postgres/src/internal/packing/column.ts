/**
 * One column of numbers in the narrowest form that gives every one of them back bit by bit (the payload of a NaN aside).
 *
 * Decimal numbers become whole ones (`value * divisor`), these become either offsets from the least of them or, where that is
 * narrower, steps from one to the next; both lose what they have in common (`unit`), and what is left stands in `bits` bits each
 * in words of 63 bits, which PostgreSQL keeps as `int8[]` and plain SQL can read. Numbers without such a form stay `float8[]`.
 *
 *   value[i] = (base + slope * k + unit * s) / divisor
 *
 * where `k` counts the values present before `i`, and `s` is the code at `i`, or with `delta` the sum of the codes up to `i`.
 */
export interface Packed {
  /** Values, absent ones included. */
  readonly n: number
  /** Width of a code, 0 to 31. 0: no words, every code is 0. */
  readonly bits: number
  readonly delta: boolean
  /** Some are absent (`NaN`): theirs is the code of all ones. */
  readonly absent: boolean
  readonly base: number
  readonly slope: number
  readonly unit: number
  readonly divisor: number
  /** Two halves per word, the lower one first; code `i` stands in word `i / p` at bit `bits * (i % p)` where `p` is `63 / bits`. */
  readonly words: Uint32Array | null
  /** The values themselves where no other form holds them. */
  readonly raw: Float64Array | null
}

const maxBits = 31
const maxDigits = 12

/** `values` is not empty; `NaN` stands for an absent one. */
export const pack = (values: Float64Array): Packed => {
  const packed = narrow(values)
  return packed !== undefined && isSame(values, unpack(packed)) ? packed : whole(values)
}

export const unpack = (packed: Packed, out: Float64Array = new Float64Array(packed.n), at = 0): Float64Array => {
  const { absent, base, bits, delta, divisor, n, raw, slope, unit, words } = packed
  if (raw !== null) {
    out.set(raw, at)
    return out
  }
  if (bits === 0 || words === null) {
    for (let i = 0, value = base; i < n; i++, value += slope) out[at + i] = value / divisor
    return out
  }
  const perWord = Math.floor(63 / bits)
  const mask = 2 ** bits - 1
  const none = absent ? mask : -1
  let current = base - slope
  for (let i = 0, word = 0; i < n; word += 2) {
    const low = words[word]!
    const high = words[word + 1]!
    for (let k = 0, shift = 0; k < perWord && i < n; k++, i++, shift += bits) {
      const code = shift >= 32
        ? (high >>> (shift - 32)) & mask
        : shift + bits <= 32
        ? (low >>> shift) & mask
        : ((low >>> shift) | (high << (32 - shift))) & mask
      if (code === none) out[at + i] = NaN
      else if (delta) out[at + i] = (current += slope + unit * code) / divisor
      else out[at + i] = (base + unit * code) / divisor
    }
  }
  return out
}

/** Bit by bit, except that every NaN is the same absence. */
export const isSame = (a: Float64Array, b: Float64Array): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false
  return true
}

const whole = (values: Float64Array): Packed => ({
  n: values.length, bits: 0, delta: false, absent: false, base: 0, slope: 0, unit: 1, divisor: 1, words: null, raw: values
})

const narrow = (values: Float64Array): Packed | undefined => {
  const divisor = divisorOf(values)
  if (divisor === undefined) return undefined
  const present = new Float64Array(values.length)
  let count = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value === value) present[count++] = Math.round(value * divisor)
  }
  if (count === 0) return undefined
  const whole = present.subarray(0, count)
  const absent = count < values.length
  const byOffset = offsets(whole, absent)
  const bySteps = byOffset.bits === 0 ? byOffset : steps(whole, absent)
  const best = bySteps.bits < byOffset.bits ? bySteps : byOffset
  if (best.bits > maxBits) return undefined
  const { base, bits, delta, slope, unit } = best
  return { n: values.length, bits, delta, absent, base, slope, unit, divisor, words: bits === 0 ? null : words(values, whole, best), raw: null }
}

/** The least power of ten that makes every value whole and exact again when divided by it. */
const divisorOf = (values: Float64Array): number | undefined => {
  let divisor = 1
  let digits = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value !== value) continue
    // -0 has no whole form, and neither has an infinity.
    if (Object.is(value, -0) || !Number.isFinite(value)) return undefined
    while (!Number.isSafeInteger(Math.round(value * divisor)) || Math.round(value * divisor) / divisor !== value) {
      if (++digits > maxDigits) return undefined
      divisor = 10 ** digits
    }
  }
  return divisor
}

interface Form {
  readonly delta: boolean
  readonly base: number
  readonly slope: number
  readonly unit: number
  readonly bits: number
}

const offsets = (whole: Float64Array, absent: boolean): Form => {
  let least = Infinity
  let greatest = -Infinity
  for (const value of whole) {
    if (value < least) least = value
    if (value > greatest) greatest = value
  }
  let unit = 0
  for (let i = 0; i < whole.length && unit !== 1; i++) unit = gcd(unit, whole[i]! - least)
  unit ||= 1
  return { delta: false, base: least, slope: 0, unit, bits: width((greatest - least) / unit, absent) }
}

const steps = (whole: Float64Array, absent: boolean): Form => {
  let least = Infinity
  let greatest = -Infinity
  for (let i = 1; i < whole.length; i++) {
    const step = whole[i]! - whole[i - 1]!
    if (step < least) least = step
    if (step > greatest) greatest = step
  }
  let unit = 0
  for (let i = 1; i < whole.length && unit !== 1; i++) unit = gcd(unit, whole[i]! - whole[i - 1]! - least)
  unit ||= 1
  // Every product on the way stays exact, here and in SQL.
  const exact = Math.max(Math.abs(least), greatest - least) * whole.length < Number.MAX_SAFE_INTEGER
  return { delta: true, base: whole[0]!, slope: least, unit, bits: exact ? width((greatest - least) / unit, absent) : Infinity }
}

/** Bits for the codes 0 to `greatest`, and one more code for an absent value. */
const width = (greatest: number, absent: boolean): number => {
  const codes = absent ? greatest + 1 : greatest
  return codes < 1 ? 0 : Math.floor(Math.log2(codes)) + 1
}

const gcd = (a: number, b: number): number => {
  while (b !== 0) [a, b] = [b, a % b]
  return a
}

const words = (values: Float64Array, whole: Float64Array, form: Form): Uint32Array => {
  const { base, bits, delta, slope, unit } = form
  const perWord = Math.floor(63 / bits)
  const none = 2 ** bits - 1
  const out = new Uint32Array(2 * Math.ceil(values.length / perWord))
  let before = base - slope
  for (let i = 0, k = 0, word = 0; i < values.length; word += 2) {
    for (let place = 0, shift = 0; place < perWord && i < values.length; place++, i++, shift += bits) {
      const value = values[i]!
      let code = none
      if (value === value) {
        const now = whole[k++]!
        code = delta ? (now - before - slope) / unit : (now - base) / unit
        before = now
      }
      if (shift >= 32) out[word + 1]! |= code << (shift - 32)
      else {
        out[word]! |= code << shift
        if (shift + bits > 32) out[word + 1]! |= code >>> (32 - shift)
      }
    }
  }
  return out
}
