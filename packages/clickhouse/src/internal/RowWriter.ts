/** What was changed so that a row can hold it, by reason, since the start of the process. */
const counts = { text: 0, length: 0, time: 0, number: 0, depth: 0, circular: 0, size: 0, unreadable: 0 }

export const repairs = (): Readonly<Record<string, number>> => Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0))

export const repaired = <A>(reason: keyof typeof counts, instead: A): A => {
  counts[reason]++
  return instead
}

/** Strings up to here are tried byte by byte: below it a call into the runtime costs more than the loop. */
const short = 24

/**
 * ClickHouse's RowBinary (its manual, "Formats"): little-endian numbers, strings and arrays behind a LEB128 length. Whatever text holds,
 * it cannot leave its field. The buffer grows as it is written.
 */
export class RowWriter {
  private buffer: Buffer
  private length = 0

  constructor(size = 64 * 1024) {
    this.buffer = Buffer.allocUnsafe(size)
  }

  get size(): number {
    return this.length
  }

  /** A copy of what was written. */
  bytes(): Buffer {
    return Buffer.from(this.buffer.subarray(0, this.length))
  }

  clear(): void {
    this.length = 0
  }

  raw(bytes: Uint8Array): void {
    this.room(bytes.length)
    this.buffer.set(bytes, this.length)
    this.length += bytes.length
  }

  uint8(value: number): void {
    this.room(1)
    this.buffer[this.length++] = value
  }

  uint32(value: number): void {
    this.room(4)
    this.length = this.buffer.writeUInt32LE(Math.min(0xffff_ffff, Math.max(0, Math.trunc(value) || 0)), this.length)
  }

  int32(value: number): void {
    this.room(4)
    this.length = this.buffer.writeInt32LE(value | 0, this.length)
  }

  /** A count: what is no whole number from 0 on becomes the nearest one. */
  uint64(value: number): void {
    this.room(8)
    const whole = value > 0 ? Math.min(Math.round(value), Number.MAX_SAFE_INTEGER) : 0
    if (whole !== value) repaired("number", undefined)
    const high = Math.floor(whole / 0x1_0000_0000)
    this.length = this.buffer.writeUInt32LE(whole - high * 0x1_0000_0000, this.length)
    this.length = this.buffer.writeUInt32LE(high, this.length)
  }

  int64(value: bigint): void {
    this.room(8)
    this.length = this.buffer.writeBigInt64LE(value, this.length)
  }

  float64(value: number): void {
    this.room(8)
    this.length = this.buffer.writeDoubleLE(value, this.length)
  }

  float64s(values: ArrayLike<number>): void {
    this.count(values.length)
    for (let i = 0; i < values.length; i++) this.float64(values[i]!)
  }

  /** The length of an array or map. */
  count(value: number): void {
    this.room(5)
    let rest = value
    while (rest >= 0x80) {
      this.buffer[this.length++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.buffer[this.length++] = rest
  }

  /** UTF-8; half a surrogate pair becomes U+FFFD. */
  string(text: string): void {
    const length = text.length
    if (length <= short && this.ascii(text)) return
    if (!text.isWellFormed()) repaired("text", undefined)
    if (length * 3 < 0x80) {
      this.room(length * 3 + 1)
      const written = this.buffer.write(text, this.length + 1, "utf8")
      this.buffer[this.length] = written
      this.length += written + 1
      return
    }
    const size = Buffer.byteLength(text, "utf8")
    this.count(size)
    this.room(size)
    this.length += this.buffer.write(text, this.length, "utf8")
  }

  private ascii(text: string): boolean {
    const { length } = text
    this.room(short + 1)
    let at = this.length
    this.buffer[at++] = length
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code >= 0x80) return false
      this.buffer[at++] = code
    }
    this.length = at
    return true
  }

  private room(bytes: number): void {
    const wanted = this.length + bytes
    if (wanted <= this.buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(wanted, this.buffer.length * 2))
    this.buffer.copy(grown, 0, 0, this.length)
    this.buffer = grown
  }
}
