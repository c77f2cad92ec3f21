/**
 * PostgreSQL's binary arrays (`array_send`), read without a value of its own per element: dimensions, null flag, element OID,
 * then per dimension length and lower bound, then each element with its length, all big-endian.
 */
const header = 20

/** Calls `put` with every number of an `int2[]`, `int4[]` or `float8[]`, `NaN` for a null. */
export const eachNumber = (bytes: Uint8Array, put: (value: number, i: number) => void): void => {
  if (bytes.length < header) return
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const length = view.getInt32(12)
  for (let i = 0, at = header; i < length; i++) {
    const width = view.getInt32(at)
    at += 4
    if (width === 8) put(view.getFloat64(at), i)
    else if (width === 4) put(view.getInt32(at), i)
    else put(width === 2 ? view.getInt16(at) : NaN, i)
    if (width > 0) at += width
  }
}

/** The words of an `int8[]` in halves, the lower one first. */
export const halvesOf = (bytes: Uint8Array): Uint32Array => {
  if (bytes.length < header) return new Uint32Array(0)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const out = new Uint32Array(2 * view.getInt32(12))
  for (let i = 0, at = header + 4; i < out.length; i += 2, at += 12) {
    out[i] = view.getUint32(at + 4)
    out[i + 1] = view.getUint32(at)
  }
  return out
}

export const float8sOf = (bytes: Uint8Array): Float64Array => {
  const out: Array<number> = []
  eachNumber(bytes, (value) => out.push(value))
  return Float64Array.from(out)
}

const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/** Halves as the `int8[]` parameter they are. */
export const wordsOf = (halves: Uint32Array): BigInt64Array => {
  if (littleEndian) return new BigInt64Array(halves.buffer, halves.byteOffset, halves.length / 2)
  const swapped = halves.map((_, i) => halves[i ^ 1]!)
  return new BigInt64Array(swapped.buffer)
}
