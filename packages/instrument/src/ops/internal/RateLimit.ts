/** Addresses that are remembered; the one seen longest ago is forgotten first. */
const remembered = 4_096

interface Bucket {
  tokens: number
  at: number
}

/** Token buckets: one for each address and one for all of them. Bounded, whatever addresses arrive. */
export class RateLimit {
  private readonly perAddress: number
  private readonly all: Bucket
  private readonly overall: number
  private readonly buckets = new Map<string, Bucket>()

  /** Requests per minute; a minute's worth may come at once. `now` is monotonic milliseconds. */
  constructor(perAddress: number, overall: number, now: number) {
    this.perAddress = perAddress
    this.overall = overall
    this.all = { tokens: overall, at: now }
  }

  /** 0 when the request may pass, else the seconds until the next one may. */
  take(address: string, now: number): number {
    const bucket = this.buckets.get(address) ?? { tokens: this.perAddress, at: now }
    this.buckets.delete(address)
    this.buckets.set(address, bucket)
    if (this.buckets.size > remembered) this.buckets.delete(this.buckets.keys().next().value!)
    refill(bucket, this.perAddress, now)
    refill(this.all, this.overall, now)
    const wait = Math.max(missing(bucket, this.perAddress), missing(this.all, this.overall))
    if (wait > 0) return wait
    bucket.tokens--
    this.all.tokens--
    return 0
  }

  get size(): number {
    return this.buckets.size
  }
}

const refill = (bucket: Bucket, perMinute: number, now: number): void => {
  bucket.tokens = Math.min(perMinute, bucket.tokens + Math.max(0, now - bucket.at) * perMinute / 60_000)
  bucket.at = now
}

const missing = (bucket: Bucket, perMinute: number): number => bucket.tokens >= 1 ? 0 : Math.ceil((1 - bucket.tokens) * 60 / perMinute)
