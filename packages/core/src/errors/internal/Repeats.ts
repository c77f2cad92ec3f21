import type { ErrorData } from "../ErrorData.ts"

interface Bucket {
  began: number
  passed: number
  /** Those held back since the last one that passed, and the last of them. */
  held: number
  last: ErrorData | undefined
  window: number
}

/** Fingerprints that are watched. */
const maxBuckets = 1_000

/** Lets so many errors of one fingerprint pass in a window and holds the others back, to be told as a number. */
export class Repeats {
  private readonly buckets = new Map<string, Bucket>()
  private readonly tell: (error: ErrorData) => void

  /** `tell` is given the last of those held back when their window is over. */
  constructor(tell: (error: ErrorData) => void) {
    this.tell = tell
  }

  /** The error as it may pass now, or `undefined` when it is held back. `now` is milliseconds. */
  pass(error: ErrorData, now: number, limit: number, window: number): ErrorData | undefined {
    const { fingerprint } = error
    let bucket = this.buckets.get(fingerprint)
    if (bucket === undefined) {
      if (this.buckets.size >= maxBuckets) this.forget()
      bucket = { began: now, passed: 0, held: 0, last: undefined, window }
      this.buckets.set(fingerprint, bucket)
    } else if (now - bucket.began >= bucket.window) {
      bucket.began = now
      bucket.passed = 0
    }
    if (bucket.passed >= limit) {
      bucket.held++
      bucket.last = error
      return undefined
    }
    bucket.passed++
    const { held } = bucket
    bucket.held = 0
    bucket.last = undefined
    return held === 0 ? error : { ...error, repeats: held }
  }

  /** Tells of what is held back in windows that are over, or in all of them. */
  sweep(now: number, all = false): void {
    for (const [fingerprint, bucket] of this.buckets) {
      if (!all && now - bucket.began < bucket.window) continue
      this.buckets.delete(fingerprint)
      this.release(bucket)
    }
  }

  /** The oldest gives way. */
  private forget(): void {
    for (const [fingerprint, bucket] of this.buckets) {
      this.buckets.delete(fingerprint)
      this.release(bucket)
      return
    }
  }

  private release({ held, last }: Bucket): void {
    if (last !== undefined) this.tell({ ...last, repeats: held - 1 })
  }
}
