import type { MetricFrame, SpanData } from "@effect-observability/core"
import { envelope, type Format, type Origin } from "./encoding/envelope.ts"
import { jsonSink } from "./encoding/jsonMetrics.ts"
import * as Json from "./encoding/jsonSpans.ts"
import { type MetricRequest, type PointOptions, requests } from "./encoding/metricPoints.ts"
import { protoSink } from "./encoding/protoMetrics.ts"
import * as Proto from "./encoding/protoSpans.ts"
import { Timeline } from "./encoding/Timeline.ts"
import { Writer } from "./encoding/Writer.ts"

// Encoding is arithmetic: no clock, no network, no state but the buffer it writes into.

export type { Format, Origin } from "./encoding/envelope.ts"
export type { MetricRequest, PointOptions, Temporality } from "./encoding/metricPoints.ts"

/** A request's body, and how many of the items could not be put in words. */
export interface Encoded {
  readonly body: Uint8Array<ArrayBuffer>
  readonly unreadable: number
}

/** Spans between two pauses. */
const slice = 1_000

export interface SpanEncoder {
  /** `ExportTraceServiceRequest`. It pauses after every thousand spans; the result is a copy that nobody writes into. */
  readonly encode: (spans: ReadonlyArray<SpanData>) => Generator<void, Encoded>
}

/** An encoder for one resource; its buffer serves one batch after the other. */
export const spanEncoder = (format: Format, origin: Origin): SpanEncoder => {
  const around = envelope("traces", origin)
  if (format === "json") {
    return {
      *encode(spans) {
        let items = ""
        let unreadable = 0
        for (let i = 0; i < spans.length; i++) {
          try {
            items += items === "" ? Json.span(spans[i]!) : `,${Json.span(spans[i]!)}`
          } catch {
            unreadable++
          }
          if (i % slice === slice - 1) yield
        }
        return { body: around.json(items), unreadable }
      }
    }
  }
  let shared: Writer | undefined = new Writer()
  return {
    *encode(spans) {
      // An abandoned batch may still be at it when the next one begins.
      const writer = shared ?? new Writer()
      shared = undefined
      let unreadable = 0
      for (let i = 0; i < spans.length; i++) {
        const before = writer.length
        try {
          Proto.span(writer, spans[i]!)
        } catch {
          writer.rewind(before)
          unreadable++
        }
        if (i % slice === slice - 1) yield
      }
      const body = around.protobuf(writer.peek())
      writer.clear()
      shared = writer
      return { body, unreadable }
    }
  }
}

/** Spans as an `ExportTraceServiceRequest`, at once. */
export const spans = (format: Format, origin: Origin, batch: ReadonlyArray<SpanData>): Encoded => toEnd(spanEncoder(format, origin).encode(batch))

export interface FrameEncoder {
  /**
   * The `ExportMetricsServiceRequest`s that bring one frame, none for an empty one. Frames are to be given in order, each of them once: what
   * is cumulative counts on.
   */
  readonly encode: (frame: MetricFrame, options: PointOptions) => Generator<void, ReadonlyArray<MetricRequest>>
}

/** An encoder for one receiver: it knows what that was told before. */
export const frameEncoder = (format: Format, origin: Origin): FrameEncoder => {
  const around = envelope("metrics", origin)
  const timeline = new Timeline()
  return { encode: (frame, options) => requests(frame, format === "json" ? jsonSink(around) : protoSink(around), timeline, options) }
}

/** Runs a generator to its end without pausing. */
export const toEnd = <A>(steps: Generator<void, A>): A => {
  while (true) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}
