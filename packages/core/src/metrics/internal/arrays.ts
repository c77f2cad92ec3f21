/** `now - last` over the first `n` entries; what `last` does not have yet counts from 0. */
export const increase = (now: Float64Array, last: Float64Array, n: number): Float64Array<ArrayBuffer> => {
  const out = new Float64Array(n)
  const known = Math.min(last.length, n)
  for (let i = 0; i < known; i++) out[i] = now[i]! - last[i]!
  for (let i = known; i < n; i++) out[i] = now[i]!
  return out
}

export const grown = (array: Float64Array, fill = 0): Float64Array<ArrayBuffer> => resized(array, array.length * 2, fill)

export const resized = (array: Float64Array, length: number, fill = 0): Float64Array<ArrayBuffer> => {
  const out = new Float64Array(length)
  const known = Math.min(array.length, length)
  out.set(known === array.length ? array : array.subarray(0, known))
  if (fill !== 0) out.fill(fill, known)
  return out
}

export const enlarged = (array: Uint8Array, length: number): Uint8Array<ArrayBuffer> => {
  const out = new Uint8Array(length)
  out.set(array)
  return out
}

/** The entries at `keep`, ascending, in an array with room for as many again; what `array` does not have is `fill`. */
export const gather = (array: Float64Array, keep: Uint32Array, fill = 0): Float64Array<ArrayBuffer> => {
  const out = new Float64Array(Math.max(16, keep.length * 2))
  const known = array.length
  for (let i = 0; i < keep.length; i++) out[i] = keep[i]! < known ? array[keep[i]!]! : fill
  if (fill !== 0) out.fill(fill, keep.length)
  return out
}
