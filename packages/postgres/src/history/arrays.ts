/** Reads PostgreSQL's binary arrays (`array_send`) of int2, int4 and float8 without an object per element. */

const headerBytes = 20

/** An array without NULLs, as the server sent it. */
export class SentArray {
  readonly length: number
  private readonly view: DataView
  private readonly width: number

  constructor(bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const dimensions = this.view.getInt32(0)
    this.length = dimensions === 0 ? 0 : this.view.getInt32(12)
    this.width = this.length === 0 ? 0 : this.view.getInt32(headerBytes)
  }

  /** `NaN` past the end. */
  at(i: number): number {
    if (i >= this.length) return NaN
    const offset = headerBytes + i * (4 + this.width) + 4
    switch (this.width) {
      case 2:
        return this.view.getInt16(offset)
      case 4:
        return this.view.getInt32(offset)
      default:
        return this.view.getFloat64(offset)
    }
  }
}
