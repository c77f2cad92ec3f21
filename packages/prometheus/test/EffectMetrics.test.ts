import { Exposition } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { Prometheus } from "../src/index.ts"
import { parseText } from "./support/parseText.ts"

describe("Effect's own metrics", () => {
  it.effect("are on the page under Prometheus's rules for names", () =>
    Effect.gen(function*() {
      const exposition = yield* Exposition
      yield* Metric.update(Metric.counter("http.requests", { description: "Requests", incremental: true, attributes: { "http.route": "/" } }), 3)
      yield* Metric.update(Metric.frequency("words"), "yes")
      yield* Effect.trackDuration(Effect.void, Metric.timer("job", { boundaries: [5, 5000] }))
      yield* Metric.update(Metric.summary("size", { maxAge: "1 minute", maxSize: 10, quantiles: [0.5] }), 7)
      const { body } = yield* exposition.page
      const lines = body.split("\n").filter((line) => line !== "" && !line.includes("obs_"))
      assert.deepStrictEqual(lines, [
        "# HELP http_requests_total Requests",
        "# TYPE http_requests_total counter",
        "http_requests_total{http_route=\"/\"} 3",
        "# TYPE words_total counter",
        "words_total{key=\"yes\"} 1",
        "# TYPE job_seconds histogram",
        "job_seconds_bucket{le=\"0.005\"} 1",
        "job_seconds_bucket{le=\"5.0\"} 1",
        "job_seconds_bucket{le=\"+Inf\"} 1",
        "job_seconds_sum 0",
        "job_seconds_count 1",
        "# TYPE size summary",
        "size{quantile=\"0.5\"} 7",
        "size_sum 7",
        "size_count 1"
      ])
      assert.strictEqual(parseText(body).samples.length > 0, true)
    }).pipe(Effect.provide(Prometheus.layer({ targetInfo: false })), Effect.provideService(Metric.MetricRegistry, new Map())))
})
