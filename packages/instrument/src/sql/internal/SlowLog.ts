import * as Effect from "effect/Effect"

const minute = 60_000_000_000n

/** Lines of the slow-query log, so many in a minute: a database in trouble makes every query slow, and the log is not to make it worse. */
export class SlowLog {
  private readonly most: number
  private began: bigint | undefined = undefined
  private lines = 0
  private leftOut = 0

  constructor(most: number) {
    this.most = most
  }

  /** `now` in nanoseconds, monotonic. */
  line(now: bigint, annotations: Readonly<Record<string, unknown>>): Effect.Effect<void> | undefined {
    if (this.began === undefined || now - this.began >= minute) {
      this.began = now
      this.lines = 0
    }
    if (this.lines >= this.most) {
      this.leftOut++
      return undefined
    }
    this.lines++
    const leftOut = this.leftOut
    this.leftOut = 0
    return Effect.annotateLogs(Effect.logWarning("slow database operation"), leftOut === 0 ? annotations : { ...annotations, left_out_before: leftOut })
  }
}
