import { mergeFrames, MetricDefinition, MetricsRecorder, Telemetry } from "@effect-observability/core"
import type { MetricFrame } from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import { ask, Database, freshNames, historyOf, startProcess } from "./support/database.ts"

const Calls = MetricDefinition.counter("calls_total", { help: "x", labelNames: ["user"] })
const Depth = MetricDefinition.gauge("depth", { help: "x", labelNames: ["user"] })
const Took = MetricDefinition.histogram("took_seconds", { help: "x", labelNames: ["user"], buckets: [1, 2, 3] })

const start = Math.floor(Date.now() / 5_000) * 5_000 - 3_600_000
const range = { startTime: start - 1_000, endTime: start + 3_600_000, limit: 100_000 }

layer(Database.layer, { excludeTestServices: true })("generations of frames", (it) => {
  it.effect("sums are exact over compactions, within a statement, across merges and when a batch comes twice", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const history = yield* historyOf(target, names)
      // The hub's time stands still but for what the test says; the server's does not.
      const hub = yield* Layer.build(Layer.provideMerge(Telemetry.layer, TestClock.layer()))
      const pass = Effect.provide(TestClock.adjust("15 seconds"), hub)
      const { metrics, telemetry } = yield* Effect.provide(Effect.all({ metrics: MetricsRecorder, telemetry: Telemetry }), hub)
      const { store } = telemetry
      const reader = store.frames()
      const truth = new Map<string, number>()
      const record = (from: number, to: number) => {
        for (let i = from; i < to; i++) {
          const labels = { user: `u${i}` }
          metrics.incrementCounterUnsafe(Calls, i + 1, labels)
          metrics.observeHistogramUnsafe(Took, i % 4, labels)
          metrics.setGaugeUnsafe(Depth, i, labels)
          truth.set(labels.user, (truth.get(labels.user) ?? 0) + i + 1)
        }
      }
      const end = (from: number, to: number) => {
        for (let i = from; i < to; i++) for (const definition of [Calls, Took, Depth]) store.remove(definition, { user: `u${i}` })
      }
      let time = start
      const take = (): MetricFrame => reader.take(time, time += 5_000)

      record(0, 300)
      const first = take()
      end(100, 300)
      const last = take()
      yield* pass
      record(90, 110)
      const second = take()
      assert.notStrictEqual(second.generation, first.generation)
      assert.isBelow(second.counters.series.length, 130)
      // Two generations in one statement, and the same batch once more as after a lost answer.
      yield* process.exportFrames(1, first, last, second)
      yield* process.exportFrames(1, first, last, second)
      record(0, 120)
      end(0, 100)
      const third = take()
      yield* pass
      record(50, 60)
      const fourth = take()
      assert.notStrictEqual(fourth.generation, third.generation)
      const merged = mergeFrames(third, fourth)
      record(55, 200)
      const span = yield* Effect.withSpan(Effect.tap(Effect.currentSpan, () => metrics.observeHistogram(Took, 2.5, { user: "u58" })), "op")
      yield* process.exportFrames(2, merged, take())

      const points = yield* history.getMetricsHistory({ name: "calls_total", ...range })
      const sums = new Map<string, number>()
      for (const { labels, value } of points) sums.set(labels["user"]!, (sums.get(labels["user"]!) ?? 0) + value)
      assert.deepStrictEqual([...sums].toSorted(), [...truth].toSorted())
      const took = yield* history.getMetricsHistory({ name: "took_seconds", labels: { user: "u95" }, ...range })
      assert.deepStrictEqual(took.reduce((sum, point) => sum + point.histogram!.count, 0), 4)
      assert.deepStrictEqual(took.reduce((sum, point) => sum + point.histogram!.buckets[3]!, 0), 0)
      assert.deepStrictEqual(took.reduce((sum, point) => sum + point.histogram!.buckets[2]!, 0), 4)
      const depth = yield* history.getMetricsHistory({ name: "depth", labels: { user: "u250" }, ...range })
      assert.deepStrictEqual(depth.map((point) => point.value), [250, 250])

      // An exemplar stands with its series, though that has another position now than it began with.
      const exemplars = yield* ask(
        target,
        `select s.labels ->> 'user' as name, e.value, replace(e.trace_id::text, '-', '') as trace
          from ${names.schema}.obs_exemplar e join ${names.schema}.obs_series s on s.id = e.series`
      )
      assert.deepStrictEqual(exemplars, [{ name: "u58", value: 2.5, trace: span.traceId }])

      // The document's view says the same; no lane is left without its process's service and instance.
      const view = yield* ask(target, `select sum(value)::float8 as total from ${names.schema}.observability_metrics where name = 'calls_total'`)
      assert.strictEqual(view[0]!["total"], [...truth.values()].reduce((a, b) => a + b, 0))
      const lanes = yield* ask(target, `select count(*)::int4 as n, count(distinct resource)::int4 as r, min(seen_at) > now() - interval '1 minute' as seen from ${names.schema}.obs_lane where signal = 'metrics'`)
      assert.deepStrictEqual(lanes, [{ n: 4, r: 1, seen: true }])
    }))
})
