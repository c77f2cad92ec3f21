/** Longest text whose bytes are remembered, and how many of them: names and keys come again, values do not. */
const maxRemembered = 128
const maxWords = 4_096

/** Writes MessagePack into one growing buffer. */
export class MsgpackWriter {
  private buffer: Buffer
  /** Of the same bytes: its accessors are faster than those of `Buffer`. */
  private view: DataView
  private at = 0
  private words = new Map<string, Buffer>()

  constructor(size = 64 * 1024) {
    this.buffer = Buffer.allocUnsafeSlow(size)
    this.view = viewOf(this.buffer)
  }

  get length(): number {
    return this.at
  }

  /** Forgets what was written; a buffer that has become larger than `keep` bytes is given up. */
  clear(keep = 1024 * 1024): void {
    this.at = 0
    if (this.buffer.length <= keep) return
    this.buffer = Buffer.allocUnsafeSlow(64 * 1024)
    this.view = viewOf(this.buffer)
  }

  /** A copy of what was written. */
  bytes(): Buffer {
    return Buffer.from(this.buffer.subarray(0, this.at))
  }

  array(length: number): void {
    this.head(length, 0x90, 15, 0xdc, 0xdd)
  }

  map(length: number): void {
    this.head(length, 0x80, 15, 0xde, 0xdf)
  }

  /** A map whose length is not known yet: give what this returns to `closeMap`. */
  openMap(): number {
    this.need(5)
    this.buffer[this.at] = 0xdf
    this.at += 5
    return this.at - 4
  }

  closeMap(place: number, length: number): void {
    this.view.setUint32(place, length)
  }

  /** A text that comes again and again: a key, a name. */
  word(text: string): void {
    let bytes = this.words.get(text)
    if (bytes === undefined) {
      if (text.length > maxRemembered) return this.text(text)
      bytes = encoded(text)
      if (this.words.size >= maxWords) this.words = new Map()
      this.words.set(text, bytes)
    }
    this.raw(bytes)
  }

  /** What was encoded before. */
  raw(bytes: Uint8Array): void {
    const { length } = bytes
    this.need(length)
    const { at, buffer } = this
    // Copying a few bytes by hand is faster than asking for it.
    if (length < 24) for (let i = 0; i < length; i++) buffer[at + i] = bytes[i]!
    else buffer.set(bytes, at)
    this.at = at + length
  }

  text(text: string): void {
    const { length } = text
    this.need(length * 3 + 5)
    const { at, buffer } = this
    if (length < 32) {
      let i = 0
      for (; i < length; i++) {
        const c = text.charCodeAt(i)
        if (c > 0x7f) break
        buffer[at + 1 + i] = c
      }
      if (i === length) {
        buffer[at] = 0xa0 | length
        this.at = at + 1 + length
        return
      }
    }
    const size = buffer.write(text, at + 5, "utf8")
    buffer[at] = 0xdb
    this.view.setUint32(at + 1, size)
    this.at = at + 5 + size
  }

  boolean(value: boolean): void {
    this.need(1)
    this.buffer[this.at++] = value ? 0xc3 : 0xc2
  }

  /** A number as double, whole ones of 0 to 127 in one byte. */
  number(value: number): void {
    this.need(9)
    if (value >= 0 && value <= 127 && Number.isInteger(value) && !Object.is(value, -0)) {
      this.buffer[this.at++] = value
      return
    }
    this.buffer[this.at] = 0xcb
    this.view.setFloat64(this.at + 1, value)
    this.at += 9
  }

  /** A double, whatever its value. */
  double(value: number): void {
    this.need(9)
    this.buffer[this.at] = 0xcb
    this.view.setFloat64(this.at + 1, value)
    this.at += 9
  }

  /** A number of 64 bits that is not negative. */
  uint64(value: bigint): void {
    this.need(9)
    this.buffer[this.at] = 0xcf
    this.view.setBigUint64(this.at + 1, value)
    this.at += 9
  }

  int64(value: bigint): void {
    this.need(9)
    this.buffer[this.at] = 0xd3
    this.view.setBigInt64(this.at + 1, value)
    this.at += 9
  }

  /** 64 bits given as 16 hex digits from `offset`. */
  hex64(digits: string, offset: number): void {
    this.need(9)
    const { at, buffer } = this
    buffer[at] = 0xcf
    for (let i = 0; i < 8; i++) buffer[at + 1 + i] = (nibble(digits.charCodeAt(offset + 2 * i)) << 4) | nibble(digits.charCodeAt(offset + 2 * i + 1))
    this.at = at + 9
  }

  private head(length: number, small: number, most: number, medium: number, large: number): void {
    this.need(5)
    const { at, buffer } = this
    if (length <= most) {
      buffer[at] = small | length
      this.at = at + 1
    } else if (length <= 0xffff) {
      buffer[at] = medium
      this.view.setUint16(at + 1, length)
      this.at = at + 3
    } else {
      buffer[at] = large
      this.view.setUint32(at + 1, length)
      this.at = at + 5
    }
  }

  private need(bytes: number): void {
    const wanted = this.at + bytes
    if (wanted <= this.buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(wanted, this.buffer.length * 2))
    this.buffer.copy(larger, 0, 0, this.at)
    this.buffer = larger
    this.view = viewOf(larger)
  }
}

/** Of a hex digit in lower case. */
const nibble = (code: number): number => code <= 57 ? code - 48 : code - 87

const viewOf = (buffer: Buffer): DataView => new DataView(buffer.buffer, buffer.byteOffset, buffer.length)

/** A text of at most 65,535 bytes, to be written with `raw`. */
export const encoded = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  const { length } = bytes
  const head = length < 32 ? [0xa0 | length] : length < 256 ? [0xd9, length] : [0xda, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), bytes])
}
