import { pack } from "../internal/packing/column.ts"

/**
 * What rows take on PostgreSQL's pages (Database Page Layout, TOAST): a row header with the bitmap of absent values, data aligned to 8 bytes, a
 * line pointer of 4, pages of 8,192 bytes; a row over 2 KB has its large values cut into chunks of 1,996 beside the table.
 */
const page = 8_192
const usable = page - 24
const toastFrom = 2_032
const chunk = 1_996

const aligned = (bytes: number): number => Math.ceil(bytes / 8) * 8

/**
 * A row of `inline` bytes without its header, and values that leave it, the largest first, while it is too large. Fractions of a page count as such.
 */
export const rowBytes = (inline: number, ...values: ReadonlyArray<number>): number => {
  const kept = values.toSorted((a, b) => a - b)
  let row = 32 + inline + kept.reduce((sum, value) => sum + value, 0)
  let outside = 0
  while (aligned(row) > toastFrom && kept.length > 0) {
    const largest = kept.pop()!
    row += 18 - largest
    outside += outsideBytes(largest)
  }
  return heap(aligned(row)) + outside
}

/** A value beside its row: pages are filled in turn, and what does not fit begins another. Each chunk has an entry of the index (oid, number). */
const outsideBytes = (value: number): number => {
  const rest = value % chunk
  const chunks = Math.floor(value / chunk)
  if (chunks > 64) return chunks * (page / 4 + 24 / 0.9)
  const sizes = [...Array.from({ length: chunks }, () => chunk), ...(rest > 0 ? [rest] : [])].map((bytes) => aligned(36 + bytes) + 4)
  // Long enough for the pattern to repeat.
  const times = 24
  let pages = 1
  let free = usable
  for (let i = 0; i < times; i++) {
    for (const size of sizes) {
      if (free < size) {
        pages++
        free = usable
      }
      free -= size
    }
  }
  return (pages * page - free) / times + sizes.length * 24 / 0.9
}

const heap = (row: number): number => page / Math.max(1, Math.floor(usable / (row + 4)))

/** An entry of a B-tree whose key takes `key` bytes; `fill` of its pages is used: 0.9 where it grows at its end, 0.7 where in the middle. */
export const indexBytes = (key: number, fill: number): number => (aligned(8 + key) + 4) / fill

/** A packed row without its numbers: fixed columns, primary key, index on the segment. */
const packRow = 72
const packIndexes = indexBytes(32, 0.75) + 12
/** A roll-up's: no segment index. */
const rollupIndexes = indexBytes(24, 0.75)

/** A packed column of `n` values of `bits` bits each; `bits` may be a mean between whole ones. `Infinity`: as they are. */
export const packedBytes = (n: number, bits: number, kind: "pack" | "rollup" = "pack"): number => {
  const indexes = kind === "pack" ? packIndexes : rollupIndexes
  if (bits === Infinity || bits > 31) return rowBytes(packRow, 24 + 8 * n) + indexes
  const low = Math.floor(bits)
  const share = bits - low
  const at = (whole: number) => rowBytes(packRow, whole === 0 ? 0 : 24 + 8 * Math.ceil(n / Math.floor(63 / whole))) + indexes
  return share === 0 ? at(low) : (1 - share) * at(low) + share * at(low + 1)
}

/** The width of a column's codes when packed; `Infinity` where no form holds it, `undefined` where nothing is in it. */
export const bitsOf = (values: Float64Array): number | undefined => {
  let from = 0
  let to = values.length
  while (from < to && Number.isNaN(values[from])) from++
  while (to > from && Number.isNaN(values[to - 1])) to--
  if (from === to) return undefined
  const { bits, raw } = pack(values.subarray(from, to))
  return raw === null ? bits : Infinity
}

/**
 * What a partition takes with its first row, whatever it holds: the map of its free space and that of what is visible, a half-filled last page, the first
 * page of each index; the same again where large values stand beside it.
 */
export const firstBytes = (indexes: number, large: boolean): number => 36_864 + page * indexes + (large ? 36_864 + page : 0)

/** Whether something leaves the row. */
export const isLarge = (inline: number, values: number): boolean => aligned(32 + inline + values) > toastFrom
