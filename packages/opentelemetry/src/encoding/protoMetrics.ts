import type { ExponentialBuckets, SeriesExemplar } from "@effect-observability/core"
import type { Envelope } from "./envelope.ts"
import type { MetricSink, PointHead } from "./MetricSink.ts"
import { keyValue } from "./protoValues.ts"
import { Writer } from "./Writer.ts"

const tags = { gauge: 0x2a, sum: 0x3a, histogram: 0x4a, exponential: 0x52, summary: 0x5a } as const

/** Metrics as protobuf (opentelemetry/proto/metrics/v1/metrics.proto). */
export const protoSink = (envelope: Envelope): MetricSink => {
  const writer = new Writer()
  let metric = 0
  let data = 0
  let close = () => {}

  /** The fields all points have: start and time; their numbers differ in exponential histograms only. */
  const times = ({ start, time }: PointHead, startTag: number) => {
    if (start !== 0n) writer.fixed64(startTag, start)
    if (time !== 0n) writer.fixed64(startTag + 8, time)
  }
  const attributes = (tag: number, point: PointHead) => {
    for (const [name, value] of point.attributes) keyValue(writer, tag, name, value)
  }
  const fixed = (tag: number, value: number) => {
    if (value !== 0) writer.fixed64(tag, whole(value))
  }
  const present = (tag: number, value: number) => {
    if (value === value) writer.double(tag, value)
  }

  return {
    size: () => writer.length,
    begin: (head) => {
      metric = writer.beginLong(0x12)
      writer.text(0x0a, head.name)
      if (head.description !== "") writer.text(0x12, head.description)
      if (head.unit !== "") writer.text(0x1a, head.unit)
      data = writer.beginLong(tags[head.kind])
      close = () => {
        if (head.kind !== "gauge" && head.kind !== "summary") writer.small(0x10, head.temporality)
        if (head.kind === "sum" && head.monotonic) writer.small(0x18, 1)
      }
    },
    number: (point, value, exemplars) => {
      const start = writer.begin(0x0a)
      times(point, 0x11)
      writer.double(0x21, value)
      for (const one of exemplars) exemplar(writer, 0x2a, one)
      attributes(0x3a, point)
      writer.end(start)
    },
    histogram: (point, { count, max, min, sum }, bounds, counts, exemplars) => {
      const start = writer.beginLong(0x0a)
      times(point, 0x11)
      fixed(0x21, count)
      writer.double(0x29, sum)
      const buckets = writer.begin(0x32)
      for (let i = 0; i < counts.length; i++) writer.rawFixed64(whole(counts[i]!))
      writer.end(buckets)
      if (bounds.length > 0) {
        const list = writer.begin(0x3a)
        for (let i = 0; i < bounds.length; i++) writer.rawDouble(bounds[i]!)
        writer.end(list)
      }
      for (const one of exemplars) exemplar(writer, 0x42, one)
      attributes(0x4a, point)
      present(0x59, min)
      present(0x61, max)
      writer.endLong(start)
    },
    exponential: (point, { count, max, min, sum }, { negative, positive, scale, zeroCount }, exemplars) => {
      const start = writer.beginLong(0x0a)
      attributes(0x0a, point)
      times(point, 0x11)
      fixed(0x21, count)
      writer.double(0x29, sum)
      if (scale !== 0) {
        writer.tag(0x30)
        writer.varint(zigzag(scale))
      }
      fixed(0x39, zeroCount)
      buckets(writer, 0x42, positive)
      buckets(writer, 0x4a, negative)
      for (const one of exemplars) exemplar(writer, 0x5a, one)
      present(0x61, min)
      present(0x69, max)
      writer.endLong(start)
    },
    summary: (point, { count, sum }, quantiles, at) => {
      const start = writer.beginLong(0x0a)
      times(point, 0x11)
      fixed(0x21, count)
      if (sum !== 0) writer.double(0x29, sum)
      for (let i = 0; i < quantiles.length; i++) {
        const value = at[i]!
        if (value !== value) continue
        const one = writer.begin(0x32)
        if (quantiles[i] !== 0) writer.double(0x09, quantiles[i]!)
        if (value !== 0) writer.double(0x11, value)
        writer.end(one)
      }
      attributes(0x3a, point)
      writer.endLong(start)
    },
    end: () => {
      close()
      writer.endLong(data)
      writer.endLong(metric)
    },
    take: () => {
      const request = envelope.protobuf(writer.peek())
      writer.clear()
      return request
    }
  }
}

const exemplar = (writer: Writer, tag: number, { spanId, time, traceId, value }: SeriesExemplar): void => {
  const start = writer.begin(tag)
  writer.fixed64(0x11, BigInt(Math.round(time)) * 1_000_000n)
  writer.double(0x19, value)
  writer.hex(0x22, spanId)
  writer.hex(0x2a, traceId)
  writer.end(start)
}

const buckets = (writer: Writer, tag: number, { counts, offset }: ExponentialBuckets): void => {
  if (counts.length === 0) return
  const start = writer.beginLong(tag)
  if (offset !== 0) {
    writer.tag(0x08)
    writer.varint(zigzag(offset))
  }
  const list = writer.begin(0x12)
  for (let i = 0; i < counts.length; i++) writer.varint(Math.round(counts[i]!))
  writer.end(list)
  writer.endLong(start)
}

/** `sint32`. */
const zigzag = (value: number): number => value < 0 ? -2 * value - 1 : 2 * value

const whole = (count: number): bigint => BigInt(Math.round(count))
