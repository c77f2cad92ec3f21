import { MetricDefinition, MetricsHistory, MetricsRecorder, Telemetry } from "@effect-observability/core"
import { expectLedgerBalanced } from "@effect-observability/testkit"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Postgres } from "../../src/index.ts"
import { ask, Database, freshNames } from "../support/database.ts"
import { packAt } from "../support/packed.ts"
import { Random } from "../support/random.ts"

const observations = 1_000_000
const bounds = MetricDefinition.defaultBuckets
const Latency = MetricDefinition.histogram("million_seconds", { help: "x", unit: "seconds", labelNames: ["route"] })

layer(Database.layer, { excludeTestServices: true, timeout: "60 seconds" })("a million observations", (it) => {
  it.effect("count, sum and every bucket equal a recount, before and after packing", () =>
    Effect.gen(function*() {
      const { target, url } = yield* Database
      const names = freshNames()
      const random = new Random(7)
      const recount = { count: 0, micros: 0n, buckets: bounds.map(() => 0).concat(0) }
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        const telemetry = yield* Telemetry
        const handles = ["/a", "/b", "/c"].map((route) => metrics.bind(Latency, { route }))
        for (let n = 0; n < observations; n++) {
          // Whole microseconds, some of them on a bound exactly.
          const value = random.chance(0.05) ? random.pick(bounds) : Math.round(random.next() ** 4 * 12e6) / 1e6
          handles[n % 3]!.observeUnsafe(value)
          recount.count++
          recount.micros += BigInt(Math.round(value * 1e6))
          const bucket = bounds.findIndex((bound) => value <= bound)
          recount.buckets[bucket < 0 ? bounds.length : bucket]!++
          if (n % 200_000 === 199_999) yield* telemetry.flush
        }
        yield* telemetry.flush
        yield* Effect.orDie(expectLedgerBalanced)
        const history = yield* MetricsHistory
        const now = Date.now()
        const total = (name: "count" | "sum" | "max") =>
          Effect.map(
            history.queryRange({ metric: Latency, function: name, groupBy: [], start: now + 600_000, end: now + 600_000, step: "1 day" }),
            ({ series }) => series[0]!.values[0]!
          )
        const check = Effect.gen(function*() {
          assert.strictEqual(yield* total("count"), recount.count)
          // A million additions of doubles: the sum is right to the microsecond, the grid it is stored on.
          assert.strictEqual(Math.round((yield* total("sum")) * 1e6), Number(recount.micros))
          const points = yield* history.getMetricsHistory({ name: "million_seconds", startTime: 0, endTime: now + 86_400_000, limit: 100_000 })
          const buckets = recount.buckets.map((_, b) => points.reduce((sum, { histogram }) => sum + histogram!.buckets[b]!, 0))
          assert.deepStrictEqual(buckets, recount.buckets)
          const rows = yield* ask(target, `select count(*)::int as rows, sum(count)::int as count, round(sum(sum)::numeric, 6)::text as sum from ${names.schema}.observability_metric_histograms where name = 'million_seconds'`)
          assert.deepStrictEqual([rows[0]!["count"], rows[0]!["sum"]], [recount.count, (Number(recount.micros) / 1e6).toFixed(6)])
          // The document's schema would hold a row each.
          assert.isBelow(rows[0]!["rows"] as number, observations / 1_000)
        })
        yield* check
        yield* packAt(target, names, now + 3 * 86_400_000)
        yield* check
      }).pipe(Effect.provide(Postgres.layer({ connection: url, schema: names.schema })))
    }))
})
