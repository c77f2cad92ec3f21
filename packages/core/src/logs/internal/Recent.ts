import type { LogData } from "../LogData.ts"

/** The last lines of the program, for the errors that may follow. */
export class Recent {
  private readonly lines: Array<{ readonly key: string; readonly line: LogData } | undefined>
  private next = 0

  constructor(capacity: number) {
    this.lines = Array.from({ length: capacity })
  }

  add(key: string, line: LogData): void {
    this.lines[this.next] = { key, line }
    this.next = (this.next + 1) % this.lines.length
  }

  /** The last `count` lines under this key, oldest first. */
  of(key: string, count: number): ReadonlyArray<LogData> {
    const { length } = this.lines
    const found: Array<LogData> = []
    for (let i = 1; i <= length && found.length < count; i++) {
      const one = this.lines[(this.next - i + length) % length]
      if (one === undefined) break
      if (one.key === key) found.push(one.line)
    }
    return found.reverse()
  }
}
