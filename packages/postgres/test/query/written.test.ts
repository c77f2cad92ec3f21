import type { RangeQuery } from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Partitions from "../../src/internal/partitions.ts"
import * as Session from "../../src/internal/session.ts"
import type { Names } from "../../src/PostgresConfig.ts"
import { ask, Database, freshNames, historyOf, Latency, Requests, startProcess } from "../support/database.ts"
import { Series4 } from "../support/frames.ts"
import { packAt } from "../support/packed.ts"

const t0 = 1_790_000_000_000 - (1_790_000_000_000 % 3_600_000)
const at = (seconds: number) => new Date(t0 + seconds * 1000).toISOString()

const start = Effect.gen(function*() {
  const { target } = yield* Database
  const names = freshNames()
  const process = yield* startProcess(target, names)
  const history = yield* historyOf(target, names)
  const session = yield* Effect.acquireRelease(Session.open(target, 30_000), (open) => open.close)
  const values = (query: Omit<RangeQuery, "start" | "end" | "step">, step = 60) =>
    Effect.map(
      history.queryRange({ ...query, start: t0 + step * 1000, end: t0 + 120_000, step: step * 1000 }),
      ({ series }) => series.map((one) => [one.labels, ...one.values])
    )
  return { target, names, process, history, values, sql: (text: string, parameters?: Session.Parameters) => session.query(text, parameters) }
})

const insert = ({ metrics, schema }: Names, columns: string, rows: string) => `insert into ${schema}.${metrics} (${columns}) values ${rows}`

layer(Database.layer, { excludeTestServices: true })("rows written by hand", (it) => {
  it.effect("are taken as the document's table would, and counted with what was recorded", () =>
    Effect.gen(function*() {
      const { history, names, process, sql, target, values } = yield* start
      yield* process.exportFrames(1, new Series4().frame(t0, t0 + 60_000, [
        { metric: Requests, labels: { method: "GET", status: "200" }, value: 10 },
        { metric: Latency, labels: { route: "/" }, observed: [0.2] }
      ]))
      // As a program that knows only the document would: one row per increment, reading and observation.
      yield* sql(insert(names, "name, type, value, labels, timestamp", [
        `('http_requests_total', 'counter', 1, '{"method":"GET","status":"200"}', '${at(30)}')`,
        `('http_requests_total', 'counter', 4, '{"status":"500"}', '${at(60)}')`,
        `('temperature', 'GAUGE', 20.5, '{"room":"a"}', '${at(10)}')`,
        `('temperature', 'gauge', 22.5, '{"room":"a"}', '${at(70)}')`,
        `('latency_seconds', 'histogram', 0.75, '{"route":"/"}', '${at(20)}')`,
        `('latency_seconds', 'histogram', 9, '{"route":"/"}', '${at(90)}')`
      ].join(", ")))
      const check = Effect.gen(function*() {
        assert.deepStrictEqual(yield* values({ metric: "http_requests_total", function: "increase", groupBy: [] }), [[{}, 15, NaN]])
        assert.deepStrictEqual(yield* values({ metric: "temperature", function: "last" }), [[{ room: "a" }, 20.5, 22.5]])
        assert.deepStrictEqual(yield* values({ metric: "latency_seconds", function: "count" }), [[{ route: "/" }, 2, 1]])
        assert.deepStrictEqual(yield* values({ metric: "latency_seconds", function: "sum" }), [[{ route: "/" }, 0.95, 9]])
        assert.deepStrictEqual(yield* values({ metric: "latency_seconds", function: "max" }), [[{ route: "/" }, 0.75, 9]])
        assert.deepStrictEqual(yield* values({ metric: "latency_seconds", function: "quantile", quantile: 0.75 }), [[{ route: "/" }, 0.75, 1]])
        const points = yield* history.getMetricsHistory({ name: "latency_seconds", startTime: t0, endTime: t0 + 120_000 })
        assert.deepStrictEqual(points.map(({ histogram, value }) => [value, histogram!.buckets]), [[9, [0, 0, 0, 1]], [0.2, [0, 1, 0, 0]], [0.75, [0, 0, 1, 0]]])
        const histograms = yield* sql(`select sum(count)::int as count, sum(sum) as sum from ${names.schema}.observability_metric_histograms`)
        assert.deepStrictEqual(histograms, [{ count: 3, sum: 9.95 }])
        const rows = yield* sql(`select count(*)::int as n, count(distinct id)::int as ids, sum(value) as sum from ${names.schema}.observability_metrics`)
        assert.deepStrictEqual(rows, [{ n: 8, ids: 8, sum: 15 + 43 + 9.95 }])
      })
      yield* check
      yield* packAt(target, names, t0 + 3 * 86_400_000)
      yield* check
    }))

  it.effect("what is left out is filled in, and what cannot be is refused by name", () =>
    Effect.gen(function*() {
      const { names, sql, values } = yield* start
      const { schema } = names
      const [made] = yield* sql(`insert into ${schema}.observability_metrics (name, type, value) values ('now_total', 'counter', 2) returning id, labels, timestamp`)
      assert.deepStrictEqual(made!["labels"], {})
      assert.isBelow(Math.abs((made!["timestamp"] as Date).getTime() - Date.now()), 60_000)
      const [stored] = yield* sql(`select id from ${schema}.observability_metrics`)
      assert.strictEqual(stored!["id"], made!["id"])
      // The type, and the buckets, from the metadata, which is a table.
      yield* sql(`insert into ${schema}.observability_metric_metadata (name, type, buckets) values ('size', 'histogram', '[1, 10]'), ('level', 'gauge', null)`)
      yield* sql(insert(names, "name, value, labels, timestamp", `('size', 5, '{"n": 1, "gone": null, "empty": "", "yes": true}', '${at(60)}'), ('level', 3, null, '${at(60)}')`))
      assert.deepStrictEqual(yield* values({ metric: "size", function: "quantile", quantile: 1 }), [[{ n: "1", yes: "true" }, 10, NaN]])
      assert.deepStrictEqual(yield* values({ metric: "level", function: "last" }), [[{}, 3, NaN]])
      const wrong: ReadonlyArray<readonly [string, string]> = [
        ["name", `(null, 'counter', 1, null, now())`],
        ["name", `('', 'counter', 1, null, now())`],
        ["name", `(repeat('x', 256), 'counter', 1, null, now())`],
        ["type", `('x', 'meter', 1, null, now())`],
        ["type", `('x', null, 1, null, now())`],
        ["value", `('x', 'gauge', null, null, now())`],
        ["value", `('x', 'gauge', 'NaN', null, now())`],
        ["value", `('x', 'gauge', '-Infinity', null, now())`],
        ["value", `('x', 'counter', -1, null, now())`],
        ["labels", `('x', 'gauge', 1, '[1]', now())`],
        ["labels", `('x', 'gauge', 1, '{"a":{"b":1}}', now())`],
        ["timestamp", `('x', 'gauge', 1, null, 'infinity')`]
      ]
      for (const [field, row] of wrong) {
        const error = yield* Effect.flip(sql(insert(names, "name, type, value, labels, timestamp", row)))
        assert.isTrue((error.reason.cause as Error).message.startsWith(`${field} `), `${row}: ${(error.reason.cause as Error).message}`)
      }
      assert.deepStrictEqual(yield* sql(`select count(*)::int as n from ${schema}.observability_metrics`), [{ n: 3 }])
      // Names are texts to it, whatever they look like.
      const hostile = "x'; drop table t; --\"\\"
      yield* sql(`insert into ${schema}.observability_metrics (name, type, value, labels) values ($1::text, 'gauge', 1, jsonb_build_object($1::text, $1::text))`, [hostile])
      const [row] = yield* sql(`select name, labels from ${schema}.observability_metrics where name = $1::text`, [hostile])
      assert.deepStrictEqual(row, { name: hostile, labels: { [hostile]: hostile } })
    }))

  it.effect("writers at once make one series, and old rows go with their retention", () =>
    Effect.gen(function*() {
      const { names, sql, target } = yield* start
      yield* Effect.all(
        Array.from({ length: 8 }, () => ask(target, insert(names, "name, type, value, labels", Array.from({ length: 50 }, (_, i) => `('many_total', 'counter', 1, '{"i":"${i % 5}"}')`).join()))),
        { concurrency: 8 }
      )
      assert.deepStrictEqual(yield* sql(`select count(*)::int as n from ${names.schema}.obs_series`), [{ n: 5 }])
      yield* sql(insert(names, "name, type, value, timestamp", `('many_total', 'counter', 1, now() - interval '100 days')`))
      yield* Effect.acquireUseRelease(Session.open(target, 30_000), (session) => Partitions.dropExpired(session, names, () => 90), (session) => session.close)
      assert.deepStrictEqual(yield* sql(`select sum(value) as sum from ${names.schema}.observability_metrics`), [{ sum: 400 }])
    }))

  it.effect("functions bounded by time return what the views do, and read only the days asked for", () =>
    Effect.gen(function*() {
      const { names, process, sql, target } = yield* start
      const store = new Series4()
      const day = 86_400_000
      const midnight = t0 - (t0 % day)
      for (let d = 0; d < 5; d++) {
        const begin = midnight + d * day + 3_600_000
        const frames = Array.from({ length: 20 }, (_, i) =>
          store.frame(begin + i * 15_000, begin + (i + 1) * 15_000, [
            { metric: Requests, labels: { method: "GET", status: "200" }, value: d + 1 },
            { metric: Requests, labels: { method: "GET", status: "500" }, value: 1 },
            { metric: Latency, labels: { route: "/" }, observed: [0.125, 0.25] }
          ]))
        yield* process.exportFrames(d + 1, frames[0]!, ...frames.slice(1))
      }
      const { schema } = names
      const [since, until] = [new Date(midnight + 2 * day).toISOString(), new Date(midnight + 3 * day).toISOString()]
      const question = (from: string) => `select count(*)::int as n, sum(value) as sum from ${from}`
      const ranged = `${schema}.metrics_range('http_requests_total', '${since}', '${until}', '{"status":"200"}')`
      const viewed = `${schema}.observability_metrics where name = 'http_requests_total' and labels @> '{"status":"200"}' and timestamp >= '${since}' and timestamp < '${until}'`
      const histograms = `select sum(count)::int as count, sum(sum) as sum, min(min) as least, max(max) as most from ${schema}.histograms_range('latency_seconds', '${since}', '${until}')`
      const byProcess = `${schema}.metrics_by_process('http_requests_total', '${since}', '${until}')`
      const histogramsByProcess = `${schema}.histograms_by_process('latency_seconds', '${since}', '${until}')`
      const owned = (figures: string) => `select service, version, instance, cluster, env, ${figures}`
      const nobody = { service: "", version: "", instance: "", cluster: "", env: "" }
      const recorder = Effect.map(sql(`select service, version, instance, cluster, env from ${schema}.obs_resource`), ([row]) => row)
      yield* sql(insert(names, "name, type, value, labels, timestamp", `('http_requests_total', 'counter', 7, '{"status":"200"}', '${since}')`))
      const check = Effect.gen(function*() {
        assert.deepStrictEqual(yield* sql(question(ranged)), [{ n: 21, sum: 67 }])
        assert.deepStrictEqual(yield* sql(question(viewed)), [{ n: 21, sum: 67 }])
        assert.deepStrictEqual(yield* sql(histograms), [{ count: 40, sum: 7.5, least: 0.125, most: 0.25 }])
        assert.deepStrictEqual(yield* sql(`${owned("count(*)::int as n, sum(value) as sum")} from ${byProcess} where labels @> '{"status":"200"}' group by 1, 2, 3, 4, 5 order by 1`), [
          { ...nobody, n: 1, sum: 7 }, { ...(yield* recorder), n: 20, sum: 60 }
        ])
        assert.deepStrictEqual(yield* sql(`${owned("sum(count)::int as count, sum(sum) as sum, max(cardinality(buckets) - cardinality(bounds)) as more")} from ${histogramsByProcess} group by 1, 2, 3, 4, 5`), [
          { ...(yield* recorder), count: 40, sum: 7.5, more: 1 }
        ])
      })
      yield* check
      yield* packAt(target, names, midnight + 30 * day)
      yield* check
      // `day` stands bare in the store's own view: the packed days outside are not even planned.
      const plan = yield* sql(`explain select * from ${schema}.obs_every_metric where name = 'x' and day >= '${since}' and day < '${until}'`)
      const partitions = new Set(plan.map((row) => /obs_metric_pack_day_p(\d+)/.exec(String(row["QUERY PLAN"]))?.[1]).filter((name) => name !== undefined))
      assert.deepStrictEqual([...partitions], [since.slice(0, 10).replaceAll("-", "")])
    }))
})
