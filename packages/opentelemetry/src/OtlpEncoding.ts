import type { ErrorData, LogData, MetricFrame, SpanData } from "@effect-observability/core"
import { type Envelope, envelope, type Format, type Origin } from "./encoding/envelope.ts"
import * as JsonLogs from "./encoding/jsonLogs.ts"
import { jsonSink } from "./encoding/jsonMetrics.ts"
import * as JsonSpans from "./encoding/jsonSpans.ts"
import { ofError, ofLog } from "./encoding/logRecord.ts"
import { type MetricRequest, type PointOptions, requests } from "./encoding/metricPoints.ts"
import * as ProtoLogs from "./encoding/protoLogs.ts"
import { protoSink } from "./encoding/protoMetrics.ts"
import * as ProtoSpans from "./encoding/protoSpans.ts"
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

/** Items between two pauses. */
const slice = 1_000

export interface ItemEncoder<in A> {
  /** One export request. It pauses after every thousand items; nobody else writes into the result. */
  readonly encode: (items: ReadonlyArray<A>) => Generator<void, Encoded>
}

/** An encoder of spans for one resource; its buffer serves one batch after the other. Without `exceptions` the spans' exception events are left out. */
export const spanEncoder = (format: Format, origin: Origin, { exceptions = true } = {}): ItemEncoder<SpanData> =>
  itemEncoder(format, envelope("traces", origin), (writer, span) => ProtoSpans.span(writer, span, exceptions), (span) => JsonSpans.span(span, exceptions))

/** As `spanEncoder`, of log lines. */
export const logEncoder = (format: Format, origin: Origin): ItemEncoder<LogData> =>
  itemEncoder(format, envelope("logs", origin), (writer, log) => ProtoLogs.record(writer, ofLog(log)), (log) => JsonLogs.record(ofLog(log)))

/** As `spanEncoder`, of errors as log records. */
export const errorEncoder = (format: Format, origin: Origin): ItemEncoder<ErrorData> =>
  itemEncoder(format, envelope("logs", origin), (writer, error) => ProtoLogs.record(writer, ofError(error)), (error) => JsonLogs.record(ofError(error)))

const itemEncoder = <A>(format: Format, around: Envelope, write: (writer: Writer, item: A) => void, describe: (item: A) => string): ItemEncoder<A> => {
  if (format === "json") {
    return {
      *encode(items) {
        const texts: Array<string> = []
        for (let i = 0; i < items.length; i++) {
          try {
            texts.push(describe(items[i]!))
          } catch {
            // Counted below.
          }
          if (i % slice === slice - 1) yield
        }
        return { body: around.json(texts.join(",")), unreadable: items.length - texts.length }
      }
    }
  }
  let shared: Writer | undefined = new Writer()
  return {
    *encode(items) {
      // An abandoned batch may still be at it when the next one begins.
      const writer = shared ?? new Writer()
      shared = undefined
      let unreadable = 0
      for (let i = 0; i < items.length; i++) {
        const before = writer.length
        try {
          write(writer, items[i]!)
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
