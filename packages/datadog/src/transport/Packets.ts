/** One datagram: whole messages, a line each, no line feed at the end. */
export interface Packet {
  readonly bytes: Buffer
  readonly messages: number
}

/** Lines in datagrams of at most `size` bytes, made as they are asked for. A line that is longer goes alone. */
export class Packets {
  private readonly lines: Iterator<string>
  private readonly size: number
  private next: string | undefined
  private held: Packet | undefined
  private last: Packet | undefined
  private again: Packet | undefined

  constructor(lines: Iterable<string>, size: number) {
    this.lines = lines[Symbol.iterator]()
    this.size = size
  }

  /** The datagram to send now; the same until `advance`. */
  peek(): Packet | undefined {
    return this.again ?? (this.held ??= this.make())
  }

  /** The datagram is on its way. */
  advance(): void {
    if (this.again !== undefined) {
      this.last = this.again
      this.again = undefined
    } else {
      this.last = this.held
      this.held = undefined
    }
  }

  /** The one before did not arrive: it goes again. */
  back(): void {
    if (this.again === undefined && this.last !== undefined) {
      this.again = this.last
      this.last = undefined
    }
  }

  private make(): Packet | undefined {
    const lines: Array<string> = []
    let length = 0
    for (;;) {
      const line = this.next ?? this.read()
      this.next = undefined
      if (line === undefined) break
      const bytes = Buffer.byteLength(line) + (lines.length === 0 ? 0 : 1)
      if (lines.length > 0 && length + bytes > this.size) {
        this.next = line
        break
      }
      lines.push(line)
      length += bytes
    }
    return lines.length === 0 ? undefined : { bytes: Buffer.from(lines.join("\n")), messages: lines.length }
  }

  private read(): string | undefined {
    const { done, value } = this.lines.next()
    return done === true ? undefined : value
  }
}
