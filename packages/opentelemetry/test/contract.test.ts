import { Telemetry } from "@effect-observability/core"
import { errorsSuite, ErrorsProbe, logsSuite, LogsProbe, metricsSuite, MetricsProbe, spansSuite, SpansProbe } from "@effect-observability/testkit/contract"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { OpenTelemetry } from "../src/index.ts"
import type { OpenTelemetryOptions } from "../src/OpenTelemetryConfig.ts"
import { collector } from "./support/collector.ts"
import { attributesOf, spanOf } from "./support/reading.ts"

type Labels = Readonly<Record<string, string>>

/** What a receiver that keeps all points knows: the last of each series when they are totals, their sum when they are increases. */
const backend = (options: OpenTelemetryOptions) =>
  Layer.unwrap(Effect.map(collector(), (receiver) => {
    const points = (name: string, labels: Labels = {}) => {
      const bySeries = new Map<string, Array<any>>()
      let temporality = 2
      for (const metric of receiver.metrics()) {
        if (metric.name !== name) continue
        const data = metric.sum ?? metric.gauge ?? metric.histogram ?? metric.summary
        temporality = data.aggregationTemporality ?? 2
        for (const point of data.dataPoints) {
          const own = attributesOf(point.attributes)
          if (!Object.entries(labels).every(([key, value]) => own[key] === value)) continue
          const key = JSON.stringify(Object.entries(own).toSorted())
          bySeries.set(key, [...bySeries.get(key) ?? [], point])
        }
      }
      return [...bySeries.values()].flatMap((list) => temporality === 2 ? list.slice(-1) : list)
    }
    const sum = (values: ReadonlyArray<number>) => values.reduce((total, value) => total + value, 0)
    const probe = Layer.effectContext(Effect.map(Telemetry, ({ flush }) => Context.make(MetricsProbe, {
      counter: (name, labels) => Effect.sync(() => sum(points(name, labels).map((point) => point.asDouble))),
      gauge: (name, labels) => Effect.sync(() => points(name, labels)[0]?.asDouble),
      summary: (name, labels) => Effect.sync(() => sum(points(name, labels).map((point) => point.sum ?? 0))),
      histogram: (name, labels) =>
        Effect.sync(() => {
          const found = points(name, labels)
          const buckets: Array<number> = []
          for (const point of found) point.bucketCounts.forEach((count: string, i: number) => buckets[i] = (buckets[i] ?? 0) + Number(count))
          return { count: sum(found.map((point) => Number(point.count ?? 0))), sum: sum(found.map((point) => point.sum)), buckets }
        }),
      settle: flush
    }).pipe(Context.add(SpansProbe, {
      trace: (traceId) => Effect.sync(() => receiver.spans().filter((span) => span.traceId === traceId).map(spanOf)),
      count: Effect.sync(() => receiver.spans().length),
      settle: flush
    }), Context.add(LogsProbe, {
      withText: (text) =>
        Effect.sync(() =>
          receiver.logs().filter((one) => attributesOf(one.attributes)["event.name"] === undefined && one.body.stringValue.includes(text)).map((one) => ({
            time: BigInt(one.timeUnixNano),
            level: one.severityText.toLowerCase(),
            message: one.body.stringValue,
            traceId: one.traceId,
            spanId: one.spanId,
            attributes: new Map(Object.entries(attributesOf(one.attributes)))
          }))),
      settle: flush
    }), Context.add(ErrorsProbe, {
      withText: (text) =>
        Effect.sync(() =>
          receiver.logs().map((one) => ({ one, own: attributesOf(one.attributes) as Record<string, any> }))
            .filter(({ own }) => own["event.name"] === "exception" && own["exception.message"].includes(text))
            .map(({ one, own }) => ({
              errorId: own["error.id"],
              kind: own["effect.cause"] === "fail" ? "failure" as const : "defect" as const,
              level: one.severityText.toLowerCase(),
              errorType: own["exception.type"],
              message: own["exception.message"],
              fingerprint: own["error.fingerprint"],
              traceId: one.traceId,
              spanId: one.spanId,
              requestId: own["request_id"],
              attributes: new Map(Object.entries(own))
            }))),
      settle: flush
    }))))
    return probe.pipe(Layer.provideMerge(OpenTelemetry.layer({ endpoint: receiver.url, ...options })))
  }))

const json = backend({ protocol: "http/json", compression: "gzip" })
metricsSuite("opentelemetry, totals as JSON", json)
spansSuite("opentelemetry, JSON", json)
logsSuite("opentelemetry, JSON", json)
errorsSuite("opentelemetry, JSON", json)

const protobuf = backend({ metrics: { temporality: "delta" } })
metricsSuite("opentelemetry, increases as protobuf", protobuf)
spansSuite("opentelemetry, protobuf", protobuf)
logsSuite("opentelemetry, protobuf", protobuf)
errorsSuite("opentelemetry, protobuf", protobuf)
