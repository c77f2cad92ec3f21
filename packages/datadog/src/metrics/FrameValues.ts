import { type MetricFrame, mergeFrames, type MetricStore, type Series, type Tap, weighFrame } from "@effect-observability/core"

/** The values observed in a frame's interval, by series. */
export type ValuesBySeries = ReadonlyMap<Series, ReadonlyArray<number>>

const none: ValuesBySeries = new Map()

/**
 * The values of histograms that were observed while a frame came about, as far as they were kept. A queue asks for the weight of a frame in the
 * step in which it was taken from the store: that is when the values since the frame before are its.
 */
export class FrameValues {
  private readonly tap: Tap | undefined
  private readonly capacity: number
  private readonly byFrame = new WeakMap<MetricFrame, ValuesBySeries>()
  /** Values that were left out because there were too many between two frames: they are told by their buckets. */
  byBucket = 0
  private tapLost = 0

  constructor(store: MetricStore, capacity: number) {
    this.capacity = capacity
    this.tap = capacity === 0 ? undefined : store.tap({ capacity, types: ["histogram"] })
  }

  /** For the queue's policy. */
  readonly weigh = (frame: MetricFrame): number => {
    let values = this.byFrame.get(frame)
    if (values === undefined) this.byFrame.set(frame, values = this.take())
    let bytes = weighFrame(frame)
    for (const list of values.values()) bytes += 64 + 8 * list.length
    return bytes
  }

  /** For the queue's policy: what does not fit is told by its buckets. */
  readonly merge = (older: MetricFrame, newer: MetricFrame): MetricFrame => {
    const merged = mergeFrames(older, newer)
    const [first, second] = [this.of(older), this.of(newer)]
    const counted = count(first) + count(second)
    if (counted <= this.capacity) this.byFrame.set(merged, joined(first, second))
    else {
      this.byBucket += counted
      this.byFrame.set(merged, none)
    }
    return merged
  }

  of(frame: MetricFrame): ValuesBySeries {
    return this.byFrame.get(frame) ?? none
  }

  close(): void {
    this.tap?.close()
  }

  private take(): ValuesBySeries {
    const { tap } = this
    if (tap === undefined) return none
    const lost = tap.lost()
    this.byBucket += lost - this.tapLost
    this.tapLost = lost
    const out = new Map<Series, Array<number>>()
    for (const { series, value } of tap.take()) {
      const list = out.get(series)
      if (list === undefined) out.set(series, [value])
      else list.push(value)
    }
    return out
  }
}

const count = (values: ValuesBySeries): number => {
  let total = 0
  for (const list of values.values()) total += list.length
  return total
}

const joined = (first: ValuesBySeries, second: ValuesBySeries): ValuesBySeries => {
  const out = new Map(first)
  for (const [series, list] of second) out.set(series, [...out.get(series) ?? [], ...list])
  return out
}
