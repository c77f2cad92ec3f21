import * as Fiber from "effect/Fiber"
import { isPropagated } from "../../tracing/ObservabilityTracer.ts"
import { isSpanId, isTraceId } from "../../tracing/Propagation.ts"
import type { MetricDefinition } from "../MetricDefinition.ts"
import type { Exemplar, Series, SeriesExemplar } from "../MetricFrame.ts"

/** States of a place that may hold an exemplar: a bucket of a histogram, or a counter. */
export const due = 0
export const taken = 1
export const unwanted = 2

/** Exemplars held, a quarter more between two clearings; those of the series that got none for longest give way. Some 300 bytes each. */
const maxExemplars = 10_000

/** Histograms have exemplars unless told otherwise, counters when told. */
export const wanted = ({ exemplars, type }: MetricDefinition): boolean =>
  type === "histogram" ? exemplars !== false : type === "counter" && exemplars === true

interface Held {
  readonly exemplar: SeriesExemplar
  /** Rises with every exemplar taken, so that each reader gets each of them once. */
  readonly serial: number
}

/** The newest exemplar of every series and bucket, in bounded memory. */
export class Exemplars {
  private readonly now: () => number
  /** Series in order of their last exemplar; by bucket, a counter's at 0. */
  private readonly bySeries = new Map<Series, Array<Held | undefined>>()
  private count = 0
  private serial = 0

  constructor(now: () => number) {
    this.now = now
  }

  /**
   * Keeps `value` with the span that the current fiber is in; `bucket` is -1 for a counter. `false` when there is no such span, or it
   * is not sampled. Finding the fiber is one global look-up, so that recorders need not pass it on.
   */
  capture(series: Series, bucket: number, value: number): boolean {
    const span = Fiber.getCurrent()?.cache.span
    if (span === undefined || span._tag !== "Span") return false
    try {
      // One that is held may yet be dropped: what goes out with its ids says whether it is kept in any case.
      if (!span.sampled || !isPropagated(span)) return false
      const { spanId, traceId } = span
      if (!isTraceId(traceId) || !isSpanId(spanId)) return false
      this.hold({ series, bucket, traceId, spanId, value, time: this.now() })
      return true
    } catch {
      // A tracer of somebody else's; recording never throws.
      return false
    }
  }

  private hold(exemplar: SeriesExemplar): void {
    const { series } = exemplar
    const at = Math.max(exemplar.bucket, 0)
    const held = this.bySeries.get(series) ?? []
    if (held[at] === undefined) this.count++
    held[at] = { exemplar, serial: ++this.serial }
    this.bySeries.delete(series)
    this.bySeries.set(series, held)
    if (this.count > 1.25 * maxExemplars) this.trim(series)
  }

  /** Some at a time: looking for the oldest entry passes all places that were deleted before it. */
  private trim(newest: Series): void {
    for (const oldest of this.bySeries.keys()) {
      if (this.count <= maxExemplars || oldest === newest) return
      this.forget(oldest)
    }
  }

  forget(series: Series): void {
    const held = this.bySeries.get(series)
    if (held === undefined) return
    this.bySeries.delete(series)
    for (const one of held) if (one !== undefined) this.count--
  }

  newest(series: Series, bucket: number): Exemplar | undefined {
    return this.bySeries.get(series)?.[Math.max(bucket, 0)]?.exemplar
  }

  /** Those taken since the last call of the function that comes back. */
  reader(): () => ReadonlyArray<SeriesExemplar> {
    let last = 0
    return () => {
      if (last === this.serial) return []
      const fresh: Array<SeriesExemplar> = []
      for (const held of this.bySeries.values()) {
        for (const one of held) if (one !== undefined && one.serial > last) fresh.push(one.exemplar)
      }
      last = this.serial
      return fresh
    }
  }
}
