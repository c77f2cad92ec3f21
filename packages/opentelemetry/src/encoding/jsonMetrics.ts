import type { ExponentialBuckets, SeriesExemplar } from "@effect-observability/core"
import type { Envelope } from "./envelope.ts"
import { double, keyValues, text } from "./jsonValues.ts"
import type { MetricSink, PointHead } from "./MetricSink.ts"

const fields = { gauge: "gauge", sum: "sum", histogram: "histogram", exponential: "exponentialHistogram", summary: "summary" } as const

/** Metrics as OTLP's JSON. */
export const jsonSink = (envelope: Envelope): MetricSink => {
  let metrics: Array<string> = []
  let points: Array<string> = []
  let size = 0
  let head = ""
  let tail = ""
  const add = (point: string) => {
    points.push(point)
    size += point.length + 1
  }
  return {
    size: () => size,
    begin: ({ description, kind, monotonic, name, temporality, unit }) => {
      head = `{"name":${text(name)}`
      if (description !== "") head += `,"description":${text(description)}`
      if (unit !== "") head += `,"unit":${text(unit)}`
      head += `,"${fields[kind]}":{"dataPoints":[`
      tail = "]"
      if (kind !== "gauge" && kind !== "summary") tail += `,"aggregationTemporality":${temporality}`
      if (kind === "sum" && monotonic) tail += `,"isMonotonic":true`
    },
    number: (point, value, exemplars) => add(`{${common(point)},"asDouble":${double(value)}${examples(exemplars)}}`),
    histogram: (point, { count, max, min, sum }, bounds, counts, exemplars) =>
      add(
        `{${common(point)},"count":"${Math.round(count)}","sum":${double(sum)},"bucketCounts":[${list(counts)}],"explicitBounds":[${bounds.map(double).join(",")}]${
          extremes(min, max)
        }${examples(exemplars)}}`
      ),
    exponential: (point, { count, max, min, sum }, { negative, positive, scale, zeroCount }, exemplars) =>
      add(
        `{${common(point)},"count":"${Math.round(count)}","sum":${double(sum)},"scale":${scale},"zeroCount":"${Math.round(zeroCount)}"${
          buckets("positive", positive)
        }${buckets("negative", negative)}${extremes(min, max)}${examples(exemplars)}}`
      ),
    summary: (point, { count, sum }, quantiles, at) =>
      add(
        `{${common(point)},"count":"${Math.round(count)}","sum":${double(sum)},"quantileValues":[${
          quantiles.flatMap((quantile, i) => at[i] === at[i] ? [`{"quantile":${double(quantile)},"value":${double(at[i]!)}}`] : []).join(",")
        }]}`
      ),
    end: () => {
      metrics.push(`${head}${points.join(",")}${tail}}}`)
      size += head.length + tail.length
      points = []
    },
    take: () => {
      const request = envelope.json(metrics.join(","))
      metrics = []
      size = 0
      return request
    }
  }
}

const common = ({ attributes, start, time }: PointHead): string =>
  `"startTimeUnixNano":"${start}","timeUnixNano":"${time}"${attributes.length === 0 ? "" : `,"attributes":[${keyValues(attributes)}]`}`

const examples = (exemplars: ReadonlyArray<SeriesExemplar>): string =>
  exemplars.length === 0 ? "" : `,"exemplars":[${
    exemplars.map(({ spanId, time, traceId, value }) =>
      `{"timeUnixNano":"${BigInt(Math.round(time)) * 1_000_000n}","asDouble":${double(value)},"spanId":"${spanId}","traceId":"${traceId}"}`
    ).join(",")
  }]`

const extremes = (min: number, max: number): string => `${min === min ? `,"min":${double(min)}` : ""}${max === max ? `,"max":${double(max)}` : ""}`

const list = (counts: Float64Array): string => Array.from(counts, (count) => `"${Math.round(count)}"`).join(",")

const buckets = (name: string, { counts, offset }: ExponentialBuckets): string =>
  counts.length === 0 ? "" : `,"${name}":{"offset":${offset},"bucketCounts":[${list(counts)}]}`
