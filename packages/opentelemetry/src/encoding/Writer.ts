const initialSize = 16 * 1024
const largestKept = 8 * 1024 * 1024
/** Shorter texts are written character by character: a call into the engine's encoder costs more. */
const shortText = 48

/**
 * Protocol Buffers wire format into one growing buffer. Fields must be written in the order of their numbers and without defaults for the
 * output to be canonical. A nested message is written in place: room for its length is left before it, and moved when it needs more.
 */
export class Writer {
  private bytes: Buffer<ArrayBuffer>
  private view: DataView
  /** How many bytes there are. */
  length = 0

  constructor(size = initialSize) {
    this.bytes = Buffer.allocUnsafeSlow(size)
    this.view = new DataView(this.bytes.buffer)
  }

  /** A copy of what was written. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(this.length)
    out.set(this.bytes.subarray(0, this.length))
    return out
  }

  /** What was written, not copied: valid until the next write. */
  peek(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length)
  }

  /** Begins anew; what one unusual batch needed is given back. */
  clear(): void {
    this.length = 0
    if (this.bytes.length <= largestKept) return
    this.bytes = Buffer.allocUnsafeSlow(initialSize)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Takes back what was written after `length`. */
  rewind(length: number): void {
    this.length = length
  }

  reserve(count: number): void {
    const needed = this.length + count
    if (needed > this.bytes.length) this.grow(needed)
  }

  private grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.bytes.length))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
    this.view = new DataView(larger.buffer)
  }

  /** Non-negative, at most 2^53 - 1. */
  varint(value: number): void {
    this.reserve(10)
    const { bytes } = this
    let at = this.length
    while (value > 0x7fffffff) {
      bytes[at++] = (value % 128) | 0x80
      value = Math.floor(value / 128)
    }
    while (value > 127) {
      bytes[at++] = (value & 127) | 0x80
      value >>>= 7
    }
    bytes[at++] = value
    this.length = at
  }

  /** A 64-bit integer as a varint: two's complement, so that a negative one takes ten bytes. */
  int64(value: number | bigint): void {
    if (typeof value === "number" && value >= 0) return this.varint(value)
    this.reserve(10)
    const { bytes } = this
    let rest = BigInt.asUintN(64, BigInt(value))
    while (rest > 127n) {
      bytes[this.length++] = Number(rest & 127n) | 0x80
      rest >>= 7n
    }
    bytes[this.length++] = Number(rest)
  }

  /** A field's number and wire type, below 128: field numbers up to 15. */
  tag(tag: number): void {
    this.reserve(1)
    this.bytes[this.length++] = tag
  }

  /** A one-byte tag and one byte of value. */
  small(tag: number, value: number): void {
    this.reserve(2)
    this.bytes[this.length++] = tag
    this.bytes[this.length++] = value
  }

  /** `fixed32` of field 16, the only one here whose tag takes two bytes. */
  flags(value: number): void {
    this.reserve(6)
    this.bytes[this.length] = 0x85
    this.bytes[this.length + 1] = 0x01
    this.view.setUint32(this.length + 2, value, true)
    this.length += 6
  }

  fixed32(tag: number, value: number): void {
    this.reserve(5)
    this.bytes[this.length] = tag
    this.view.setUint32(this.length + 1, value, true)
    this.length += 5
  }

  fixed64(tag: number, value: bigint): void {
    this.reserve(9)
    this.bytes[this.length] = tag
    this.view.setBigUint64(this.length + 1, value, true)
    this.length += 9
  }

  double(tag: number, value: number): void {
    this.reserve(9)
    this.bytes[this.length] = tag
    this.view.setFloat64(this.length + 1, value, true)
    this.length += 9
  }

  /** Elements of a packed field, without a tag each. */
  rawDouble(value: number): void {
    this.reserve(8)
    this.view.setFloat64(this.length, value, true)
    this.length += 8
  }

  rawFixed64(value: bigint): void {
    this.reserve(8)
    this.view.setBigUint64(this.length, value, true)
    this.length += 8
  }

  /** A text field as UTF-8. Halves of surrogate pairs, which UTF-8 does not have, become U+FFFD. */
  text(tag: number, text: string): void {
    const { length } = text
    if (length < shortText) {
      this.reserve(length + 2)
      const { bytes } = this
      let at = this.length + 2
      for (let i = 0; i < length; i++) {
        const code = text.charCodeAt(i)
        if (code > 127) return this.encoded(tag, text)
        bytes[at++] = code
      }
      bytes[this.length] = tag
      bytes[this.length + 1] = length
      this.length = at
      return
    }
    this.encoded(tag, text)
  }

  private encoded(tag: number, text: string): void {
    // A code unit takes three bytes at most; a length of that takes five.
    this.reserve(3 * text.length + 6)
    const { bytes } = this
    const start = this.length + 6
    const size = bytes.write(text, start, "utf8")
    bytes[this.length++] = tag
    this.varint(size)
    if (this.length !== start) bytes.copyWithin(this.length, start, start + size)
    this.length += size
  }

  /** Hexadecimal digits as bytes; what is none counts as 0. */
  hex(tag: number, digits: string): void {
    const size = digits.length >>> 1
    this.reserve(size + 2)
    const { bytes } = this
    let at = this.length
    bytes[at++] = tag
    bytes[at++] = size
    for (let i = 0; i < 2 * size; i += 2) bytes[at++] = (values[digits.charCodeAt(i) & 127]! << 4) | values[digits.charCodeAt(i + 1) & 127]!
    this.length = at
  }

  bytesField(tag: number, value: Uint8Array): void {
    this.tag(tag)
    this.varint(value.length)
    this.raw(value)
  }

  raw(value: Uint8Array): void {
    this.reserve(value.length)
    this.bytes.set(value, this.length)
    this.length += value.length
  }

  /** Begins a nested message that will probably be shorter than 128 bytes; give the result to `end`. */
  begin(tag: number): number {
    this.reserve(2)
    this.bytes[this.length] = tag
    return this.length += 2
  }

  /** As `begin`, for one of 128 to 16,383 bytes; give the result to `endLong`. */
  beginLong(tag: number): number {
    this.reserve(3)
    this.bytes[this.length] = tag
    return this.length += 3
  }

  end(start: number): void {
    const size = this.length - start
    if (size < 128) this.bytes[start - 1] = size
    else this.move(start, 1, size)
  }

  endLong(start: number): void {
    const size = this.length - start
    if (size >= 128 && size < 16384) {
      this.bytes[start - 2] = (size & 127) | 128
      this.bytes[start - 1] = size >>> 7
    } else this.move(start, 2, size)
  }

  /** Gives a length the room it needs where `left` bytes were left for it. */
  private move(start: number, left: number, size: number): void {
    const needed = lengthOf(size)
    this.reserve(needed)
    this.bytes.copyWithin(start - left + needed, start, start + size)
    this.length = start - left
    this.varint(size)
    this.length += size
  }
}

/** Bytes of a varint. */
export const lengthOf = (value: number): number => {
  let bytes = 1
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) bytes++
  return bytes
}

const values = new Uint8Array(128)
for (let i = 0; i < 16; i++) {
  values["0123456789abcdef".charCodeAt(i)] = i
  values["0123456789ABCDEF".charCodeAt(i)] = i
}
