import { MetricsHistory } from "@effect-observability/core"
import { HistoryProbe, historyProbes, historySuite, metricsSuite, spansSuite, tracesSuite } from "@effect-observability/testkit/contract"
import { Context, Effect, Layer, Redacted } from "effect"
import { ClickHouse } from "../src/index.ts"
import { startEngine } from "./support/engine.ts"
import { startProcess, target } from "./support/process.ts"

const server = Layer.unwrap(Effect.map(startEngine(), ({ url }) => ClickHouse.layer({ connection: Redacted.make(`${url}/contract`), flushInterval: "1 second" })))

const clickhouse = historyProbes.pipe(Layer.provideMerge(server))
metricsSuite("clickhouse", clickhouse)
spansSuite("clickhouse", clickhouse)
tracesSuite("clickhouse", clickhouse)

/** Frames come from a process of their own each. */
const history = Layer.effectContext(
  Effect.gen(function*() {
    const { url } = yield* startEngine()
    const { metrics } = yield* startProcess(target(url, "history"))
    return Context.make(MetricsHistory, metrics).pipe(Context.add(HistoryProbe, {
      write: (frames) =>
        Effect.scoped(Effect.gen(function*() {
          const { exportFrames } = yield* startProcess(target(url, "history"))
          yield* exportFrames(1, ...frames)
        })).pipe(Effect.orDie)
    }))
  })
)
historySuite("clickhouse", history)
