import type { HistoryError, RangeQuery } from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { metrics } from "../../src/history/MetricQueries.ts"
import * as Session from "../../src/internal/session.ts"
import { ask, Database, Depth, freshNames, historyOf, Requests, startProcess } from "../support/database.ts"
import { Series4 } from "../support/frames.ts"

const t0 = 1_790_000_000_000 - (1_790_000_000_000 % 3_600_000)
const minute = 60_000
const year = 365 * 86_400_000

const hostile = [
  "'; drop table obs_family; --", "\"; drop schema public cascade; --", "%", "_", "\\", "$1", "{}", "__proto__", "constructor", "hasOwnProperty",
  "a\0b", "\ud800", "🎉".repeat(1_000), "x".repeat(1_000_000), "$.**", "\n", "{\"method\":\"GET\"}", "NaN", "null"
]

layer(Database.layer, { excludeTestServices: true, timeout: "60 seconds" })("questions from a stranger", (it) => {
  const start = Effect.gen(function*() {
    const { target } = yield* Database
    const names = freshNames()
    const process = yield* startProcess(target, names)
    yield* process.exportFrames(1, new Series4().frame(t0, t0 + minute, [
      { metric: Requests, labels: { method: "GET", status: "200" }, value: 3 },
      { metric: Depth, labels: { queue: "__proto__" }, value: 5 }
    ]))
    return { target, names, history: yield* historyOf(target, names) }
  })
  const right: RangeQuery = { metric: "http_requests_total", function: "increase", start: t0 + minute, end: t0 + minute, step: minute }

  it.effect("texts are texts: in names, labels, values, prefixes and groups", () =>
    Effect.gen(function*() {
      const { history, names, target } = yield* start
      for (const text of hostile) {
        const own = Object.fromEntries([[text, text]])
        const nothing: ReadonlyArray<Partial<RangeQuery>> = [
          { metric: text }, { labels: own }, { labels: { method: text } }, { labels: { method: { in: [text] } } }, { labels: { method: { prefix: text } } },
          { labels: Object.fromEntries([[text, { prefix: "G" }]]) }
        ]
        for (const change of nothing) {
          assert.deepStrictEqual((yield* history.queryRange({ ...right, ...change })).series, [], JSON.stringify(change).slice(0, 80))
        }
        const all: ReadonlyArray<Partial<RangeQuery>> = [{ labels: { method: { neq: text } } }, { labels: Object.fromEntries([[text, ""]]) }, { groupBy: [text] }]
        for (const change of all) {
          assert.deepStrictEqual((yield* history.queryRange({ ...right, ...change })).series.map(({ values }) => values), [[3]], JSON.stringify(change).slice(0, 80))
        }
        const points = yield* history.getMetricsHistory({ name: "http_requests_total", labels: own, startTime: t0, endTime: t0 + year })
        assert.deepStrictEqual(points, [])
        assert.deepStrictEqual(yield* history.getMetricsHistory({ name: text, startTime: t0, endTime: t0 + year }), [])
      }
      const proto = yield* history.queryRange({ ...right, metric: "queue_depth", function: "last", groupBy: ["queue"], labels: { queue: "__proto__" } })
      assert.deepStrictEqual(proto.series, [{ labels: { queue: "__proto__" }, values: [5] }])
      assert.deepStrictEqual(yield* ask(target, `select count(*)::int as n from ${names.schema}.obs_family`), [{ n: 2 }])
    }))

  it.effect("sizes are bounded before anything is read", () =>
    Effect.gen(function*() {
      const { history } = yield* start
      const refused: ReadonlyArray<readonly [field: string, change: object]> = [
        ["step", { step: 0 }], ["step", { step: -1 }], ["end", { start: t0 - 100 * year, step: "365 days" }], ["step", { start: t0 - year, step: 1 }],
        ["end", { start: -Infinity, end: Infinity, step: 1e15 }], ["k", { k: -1 }], ["window", { window: 1e15 }]
      ]
      for (const [field, change] of refused) {
        const error: HistoryError = yield* Effect.flip(history.queryRange({ ...right, ...change } as RangeQuery))
        assert.deepStrictEqual([error.reason, error.message.split(" ")[0]], ["invalid", field])
      }
      for (const limit of [1e12, Infinity]) {
        assert.lengthOf(yield* history.getMetricsHistory({ name: "http_requests_total", startTime: -Infinity, endTime: Infinity, limit }), 1)
      }
      assert.lengthOf(yield* history.getMetricsHistory({ name: "http_requests_total", startTime: 0, endTime: 1e15, limit: -1 }), 1)
      // Twenty years by the month are few times, whatever lies in them.
      const { series, times } = yield* history.queryRange({ ...right, start: t0 - 19 * year, end: t0 + 30 * 86_400_000, step: "30 days" })
      assert.strictEqual(series[0]!.values.reduce((sum, value) => sum + (Number.isNaN(value) ? 0 : value), 0), 3)
      assert.isAbove(times.length, 200)
    }))

  it.effect("a question that takes too long is ended by the server, and says so; reading makes no spans", () =>
    Effect.gen(function*() {
      const { history, names, target } = yield* start
      const spans: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          spans.push(options.name)
          return new Tracer.NativeSpan(options)
        }
      })
      yield* Effect.all([history.queryRange(right), Stream.runCollect(history.streamRange(right))]).pipe(Effect.provideService(Tracer.Tracer, tracer))
      assert.deepStrictEqual(spans, [])
      const impatient = metrics({ names, readers: yield* Session.makeReaders(target, { connections: 1, statementTimeout: 300 }), timeout: 10_000 })
      assert.lengthOf((yield* impatient.queryRange(right)).series, 1)
      const blocker = yield* Effect.acquireRelease(Session.open(target, 60_000), (open) => open.close)
      yield* blocker.execute("begin")
      yield* blocker.execute(`lock table ${names.schema}.obs_family in access exclusive mode`)
      const error = yield* Effect.flip(impatient.queryRange(right))
      assert.deepStrictEqual([error.reason, error.message], ["unavailable", "the question took too long: narrow the range"])
      yield* blocker.execute("rollback")
      assert.lengthOf((yield* impatient.queryRange(right)).series, 1)
    }))
})
