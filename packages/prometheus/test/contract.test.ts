import { Exposition, Telemetry } from "@effect-observability/core"
import { metricsSuite, MetricsProbe } from "@effect-observability/testkit/contract"
import { Effect, Layer } from "effect"
import { Prometheus } from "../src/index.ts"
import { parseText } from "./support/parseText.ts"

/** Reads everything back from the page. */
const probe = Layer.effect(
  MetricsProbe,
  Effect.gen(function*() {
    const exposition = yield* Exposition
    const { flush } = yield* Telemetry
    const samples = (name: string, labels: Readonly<Record<string, string>> = {}) =>
      Effect.map(exposition.page, ({ body }) =>
        parseText(body).samples.filter((sample) => sample.name === name && Object.keys(labels).every((key) => sample.labels[key] === labels[key])))
    const sum = (name: string, labels?: Readonly<Record<string, string>>) =>
      Effect.map(samples(name, labels), (found) => found.reduce((total, sample) => total + sample.value, 0))
    return MetricsProbe.of({
      counter: sum,
      gauge: (name, labels) => Effect.map(samples(name, labels), (found) => found[0]?.value),
      summary: (name, labels) => sum(`${name}_sum`, labels),
      histogram: (name, labels) =>
        Effect.gen(function*() {
          const cumulative = (yield* samples(`${name}_bucket`, labels)).map((sample) => sample.value)
          return {
            count: yield* sum(`${name}_count`, labels),
            sum: yield* sum(`${name}_sum`, labels),
            buckets: cumulative.map((value, i) => value - (cumulative[i - 1] ?? 0))
          }
        }),
      settle: flush
    })
  })
)

metricsSuite("prometheus", probe.pipe(Layer.provideMerge(Prometheus.layer())))
