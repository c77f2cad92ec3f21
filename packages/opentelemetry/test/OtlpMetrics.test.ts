import { assert, describe, it } from "@effect/vitest"
import { IdGenerator, MetricDefinition, type MetricFrame, MetricsRecorder, Telemetry, Tracer } from "@effect-observability/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as OtlpEncoding from "../src/OtlpEncoding.ts"
import { readJson, readProtobuf, withoutDefaults } from "./support/strict.ts"

const origin: OtlpEncoding.Origin = { resource: { "service.name": "shop" }, scope: { name: "effect-observability", version: "0.1.0" } }
const options: OtlpEncoding.PointOptions = { temporality: "cumulative", prefix: "", labels: {}, maxBytes: 1e9 }

const Orders = MetricDefinition.counter("orders_total", { help: "Orders accepted", labelNames: ["channel"], exemplars: true })
const Depth = MetricDefinition.gauge("queue_depth", { help: "Waiting", unit: "requests" })
const Open = MetricDefinition.upDownCounter("open_sockets", { help: "Open sockets" })
const Latency = MetricDefinition.histogram("latency_seconds", { help: "Latency", unit: "seconds", buckets: [0.1, 1] })
const Sizes = MetricDefinition.histogram("body_bytes", { help: "Sizes", unit: "bytes", buckets: [10], exponential: { maxSize: 8 } })
const Waits = MetricDefinition.summary("wait_seconds", { help: "Waits", unit: "seconds", objectives: { "0.5": 0.05, "0.99": 0.001 } })

type Round = (recorder: MetricsRecorder["Service"], tracer: Tracer["Service"]) => Effect.Effect<unknown>

/** The frames of a real store, one per round, 15 seconds apart. */
const framesOf = (...rounds: ReadonlyArray<Round>): Promise<ReadonlyArray<MetricFrame>> =>
  Effect.runPromise(Effect.scoped(Effect.gen(function*() {
    const context = yield* Layer.build(Telemetry.layer)
    const { register, store } = Context.get(context, Telemetry)
    // Somebody listens to spans, so that there are sampled ones for exemplars.
    yield* register({ name: "spans", kind: "test", onSpan: () => {}, report: () => ({ name: "spans", kind: "test", status: "up", reason: undefined, signals: [] }) })
    const reader = store.frames()
    const frames: Array<MetricFrame> = []
    for (const [i, round] of rounds.entries()) {
      yield* round(Context.get(context, MetricsRecorder), Context.get(context, Tracer)).pipe(Effect.withSpan("round"), Effect.provideContext(context))
      frames.push(reader.take(1_700_000_000_000 + 15_000 * i, 1_700_000_015_000 + 15_000 * i))
    }
    return frames
  })).pipe(Effect.provideService(IdGenerator.IdGenerator, IdGenerator.fromSeed(1))))

/** Metrics by name as a receiver reads them, one list per frame; both encodings must say the same. */
const read = (frames: ReadonlyArray<MetricFrame>, wanted: Partial<OtlpEncoding.PointOptions> = {}): ReadonlyArray<Record<string, any>> => {
  const encoders = { protobuf: OtlpEncoding.frameEncoder("protobuf", origin), json: OtlpEncoding.frameEncoder("json", origin) }
  return frames.map((frame) => {
    const decode = (format: OtlpEncoding.Format) => {
      const requests = OtlpEncoding.toEnd(encoders[format].encode(frame, { ...options, ...wanted }))
      return requests.flatMap(({ body, points }) => {
        const message = format === "json" ? readJson("metrics", body) : readProtobuf("metrics", body)
        const metrics = message["resourceMetrics"][0].scopeMetrics[0].metrics as ReadonlyArray<any>
        const dataOf = (metric: any) => metric.sum ?? metric.gauge ?? metric.histogram ?? metric.exponentialHistogram ?? metric.summary
        assert.strictEqual(points, metrics.reduce((sum, metric) => sum + dataOf(metric).dataPoints.length, 0))
        return metrics
      })
    }
    const protobuf = decode("protobuf")
    assert.deepEqual(withoutDefaults(protobuf), withoutDefaults(decode("json")))
    return Object.fromEntries(protobuf.filter(({ name }) => !name.startsWith("obs_") && name !== "span_duration_seconds").map((metric) => [metric.name, metric]))
  })
}

const rounds: ReadonlyArray<Round> = [
  (metrics) =>
    Effect.gen(function*() {
      yield* metrics.incrementCounter(Orders, 2, { channel: "web" })
      yield* metrics.setGauge(Depth, 5)
      yield* metrics.incrementCounter(Open, 3)
      yield* metrics.observeHistogram(Latency, 0.05)
      yield* metrics.observeHistogram(Latency, 5)
      yield* metrics.observeHistogram(Sizes, 100)
      yield* metrics.observeSummary(Waits, 2)
    }),
  (metrics) =>
    Effect.gen(function*() {
      yield* metrics.incrementCounter(Orders, 1, { channel: "web" })
      yield* metrics.incrementCounter(Orders, 10, { channel: "shop" })
      yield* metrics.incrementCounter(Open, -1)
      yield* metrics.observeHistogram(Latency, 0.5)
      yield* metrics.observeHistogram(Sizes, 400)
      yield* metrics.observeSummary(Waits, 4)
    }),
  () => Effect.void
]

const seconds = (after: number) => `${1_700_000_000 + after}000000000`

describe("OTLP encoding of metrics", () => {
  it("cumulative: totals since the series began, at every frame", async () => {
    const [first, second, third] = read(await framesOf(...rounds))
    const { sum } = second!["orders_total"]
    assert.deepEqual([sum.aggregationTemporality, sum.isMonotonic], [2, true])
    assert.deepEqual(sum.dataPoints.map((point: any) => [point.attributes[0].value.stringValue, point.asDouble, point.startTimeUnixNano, point.timeUnixNano]), [
      ["web", 3, seconds(0), seconds(30)],
      // It began in the second frame.
      ["shop", 10, seconds(15), seconds(30)]
    ])
    assert.deepEqual(third!["orders_total"].sum.dataPoints.map((point: any) => point.asDouble), [3, 10])
    assert.strictEqual(first!["orders_total"].sum.dataPoints[0].exemplars[0].asDouble, 2)
    assert.match(first!["orders_total"].sum.dataPoints[0].exemplars[0].traceId, /^[0-9a-f]{32}$/)
    assert.strictEqual(third!["orders_total"].sum.dataPoints[0].exemplars, undefined)

    const [point] = second!["latency_seconds"].histogram.dataPoints
    assert.deepEqual([point.count, point.sum, point.bucketCounts, point.explicitBounds, point.min, point.max], ["3", 5.55, ["1", "1", "1"], [0.1, 1], 0.05, 5])
    assert.deepEqual([second!["latency_seconds"].unit, second!["latency_seconds"].description], ["s", "Latency"])
    assert.deepEqual(point.exemplars.map((one: any) => one.asDouble), [0.5])

    const [sizes] = third!["body_bytes"].exponentialHistogram.dataPoints
    assert.deepEqual([sizes.count, sizes.sum, sizes.min, sizes.max], ["2", 500, 100, 400])
    assert.strictEqual(sizes.positive.bucketCounts.reduce((sum: number, count: string) => sum + Number(count), 0), 2)

    assert.deepEqual([second!["open_sockets"].sum.isMonotonic, second!["open_sockets"].sum.dataPoints[0].asDouble], [undefined, 2])
    assert.deepEqual([third!["queue_depth"].gauge.dataPoints[0].asDouble, third!["queue_depth"].unit], [5, "{requests}"])
    const [wait] = third!["wait_seconds"].summary.dataPoints
    assert.deepEqual([wait.count, wait.sum, wait.quantileValues.map((one: any) => one.quantile)], ["2", 6, [0.5, 0.99]])
  })

  it("delta: the increase of the interval, nothing where nothing happened", async () => {
    const [, second, third] = read(await framesOf(...rounds), { temporality: "delta" })
    const { sum } = second!["orders_total"]
    assert.deepEqual([sum.aggregationTemporality, sum.isMonotonic], [1, true])
    assert.deepEqual(sum.dataPoints.map((point: any) => [point.asDouble, point.startTimeUnixNano, point.timeUnixNano]), [[1, seconds(15), seconds(30)], [10, seconds(15), seconds(30)]])
    const [point] = second!["latency_seconds"].histogram.dataPoints
    assert.deepEqual([point.count, point.sum, point.bucketCounts], ["1", 0.5, ["0", "1", "0"]])
    assert.deepEqual(second!["body_bytes"].exponentialHistogram.dataPoints[0].count, "1")
    // Up-down counters and summaries stay cumulative.
    assert.deepEqual([second!["open_sockets"].sum.aggregationTemporality, second!["open_sockets"].sum.dataPoints[0].asDouble], [2, 2])
    assert.deepEqual(second!["wait_seconds"].summary.dataPoints[0].count, "2")
    assert.deepEqual(Object.keys(third!).toSorted(), ["open_sockets", "queue_depth", "wait_seconds"])
  })

  it("prefix and default labels are on every point", async () => {
    const [first] = read(await framesOf(rounds[0]!), { prefix: "app", labels: { region: "eu", channel: "never" } })
    assert.isDefined(first!["app_queue_depth"])
    const attributes = first!["app_orders_total"].sum.dataPoints[0].attributes.map((one: any) => [one.key, one.value.stringValue])
    // A label of the series' own wins.
    assert.deepEqual(attributes, [["channel", "web"], ["region", "eu"]])
  })

  it("a frame larger than a request becomes several, with every point once", async () => {
    const [frame] = await framesOf((metrics) => Effect.forEach(Array.from({ length: 1_900 }, (_, i) => `c${i}`), (channel) => metrics.incrementCounter(Orders, 1, { channel }), { discard: true }))
    for (const format of ["protobuf", "json"] as const) {
      const requests = OtlpEncoding.toEnd(OtlpEncoding.frameEncoder(format, origin).encode(frame!, { ...options, maxBytes: 40_000 }))
      assert.isAtLeast(requests.length, 3)
      const points = requests.flatMap(({ body }) => (format === "json" ? readJson("metrics", body) : readProtobuf("metrics", body))["resourceMetrics"][0].scopeMetrics[0].metrics)
        .filter(({ name }: any) => name === "orders_total")
        .flatMap(({ sum }: any) => sum.dataPoints)
      assert.strictEqual(new Set(points.map((point: any) => point.attributes[0].value.stringValue)).size, 1_900)
      assert.strictEqual(points.length, 1_900)
    }
  })
})
