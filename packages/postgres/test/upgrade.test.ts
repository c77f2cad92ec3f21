import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Partitions from "../src/internal/partitions.ts"
import { partitioned, sqlNames } from "../src/internal/names.ts"
import * as Session from "../src/internal/session.ts"
import * as Store from "../src/migrations/0001_store.ts"
import * as Packing from "../src/migrations/0002_packing.ts"
import * as Spans from "../src/migrations/0003_spans.ts"
import * as Queries from "../src/migrations/0004_queries.ts"
import * as HotSpans from "../src/migrations/0005_hot_spans.ts"
import * as Exponential from "../src/migrations/0006_exponential.ts"
import * as Errors from "../src/migrations/0007_errors.ts"
import * as Alerts from "../src/migrations/0008_alerts.ts"
import * as Upkeep from "../src/migrations/0009_upkeep.ts"
import { migrate } from "../src/migrations/index.ts"
import type { Names } from "../src/PostgresConfig.ts"
import { ask, Database, freshNames, historyOf, Requests, startProcess } from "./support/database.ts"
import { Series4 } from "./support/frames.ts"
import { everything, packAt } from "./support/packed.ts"

// A store of the layout before processes could be told apart in SQL, with packed days, is brought to the newest one while its processes write.

const before = [Store, Packing, Spans, Queries, HotSpans, Exponential, Errors, Alerts, Upkeep]
const day = 86_400_000
const old = Math.floor(Date.now() / day) * day - 3 * day
const recent = Math.floor(Date.now() / 5_000) * 5_000 - 600_000

const withSession = <A, E>(target: Session.Target, use: (session: Session.Session) => Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(Session.open(target, 60_000), use, (session) => session.close)

/** The layout of version 9, made by its own migrations; what they are recorded as is taken from a store of the newest version. */
const layoutBefore = (target: Session.Target, names: Names) =>
  Effect.gen(function*() {
    const whole = freshNames()
    yield* withSession(target, (session) => migrate(session, whole))
    const t = sqlNames(names)
    yield* ask(target, `create schema ${t.schema}`)
    for (const table of ["obs_migration", "obs_settings"]) {
      yield* ask(target, `create table ${names.schema}.${table} (like ${whole.schema}.${table} including all)`)
      yield* ask(target, `insert into ${names.schema}.${table} select * from ${whole.schema}.${table}`)
    }
    for (const { statements } of before) yield* ask(target, Session.together(statements(t)))
    return yield* ask(target, `select * from ${names.schema}.obs_migration where version > ${before.length}`)
  })

const fleet = [{ instance: "a", cluster: "", step: 1 }, { instance: "b", cluster: "east", step: 100 }, { instance: "c", cluster: "east", step: 10_000 }, { instance: "d", cluster: "west", step: 1_000_000 }]

layer(Database.layer, { excludeTestServices: true })("upgrade", (it) => {
  it.effect("a store with packed days is upgraded by six processes at once while old ones write; every process keeps what it counted", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const newer = yield* layoutBefore(target, names)
      assert.isAtLeast(newer.length, 1)
      assert.deepStrictEqual(yield* ask(target, "select proname from pg_proc where proname = 'metrics_by_process' and pronamespace = $1::regnamespace", [names.schema]), [])

      // The newer rows are still there, so that nobody migrates: these processes know the old layout alone.
      const days = new Set([Partitions.dayOf(old)])
      yield* withSession(target, (session) => Partitions.ensure(session, names, new Map(partitioned.map((table) => [table, days]))))
      const processes = yield* Effect.forEach(fleet, (who) => Effect.map(startProcess(target, names, who), (process) => ({ ...who, ...process, series: new Series4(), batch: 0 })))
      const write = (process: (typeof processes)[number], at: number) =>
        process.exportFrames(++process.batch, process.series.frame(at, at + 1_000, [{ metric: Requests, labels: { method: "GET", status: "200" }, value: process.step }]))
      for (const process of processes) for (let i = 0; i < 3; i++) yield* write(process, old + i * 1_000)
      const packed = yield* packAt(target, names, Date.now())
      assert.strictEqual(packed.days, fleet.length)
      const kept = yield* everything(target, names)
      yield* ask(target, `delete from ${names.schema}.obs_migration where version > ${before.length}`)

      // Side by side: six new processes start, the old ones go on.
      yield* Effect.all(
        [
          ...Array.from({ length: 6 }, () => withSession(target, (session) => migrate(session, names))),
          ...processes.map((process) => Effect.forEach([0, 1, 2, 3, 4], (i) => write(process, recent + i * 1_000), { discard: true }))
        ],
        { concurrency: "unbounded", discard: true }
      )
      const again = yield* startProcess(target, names, { instance: "e", cluster: "west" })
      yield* again.exportFrames(1, new Series4().frame(recent, recent + 1_000, [{ metric: Requests, labels: { method: "GET", status: "200" }, value: 7 }]))
      for (const process of processes) yield* write(process, recent + 5_000)

      const applied = yield* ask(target, `select version, name, checksum from ${names.schema}.obs_migration where version > ${before.length} order by 1`)
      assert.deepStrictEqual(applied, newer.map(({ checksum, name, version }) => ({ version, name, checksum })))
      const now = new Set(yield* everything(target, names))
      assert.deepStrictEqual(kept.filter((line) => !now.has(line)), [])

      // Three rounds that are packed and six that are not.
      const expected = [...fleet.map(({ cluster, instance, step }) => [instance, cluster, 9 * step] as const), ["e", "west", 7] as const]
      const rows = yield* ask(
        target,
        `select instance, cluster, sum(value) as value from ${names.schema}.metrics_by_process('http_requests_total', now() - interval '9 days', now() + interval '1 day') group by 1, 2 order by 1`
      )
      assert.deepStrictEqual(rows.map((row) => [row["instance"], row["cluster"], row["value"]]), expected.map((row) => [...row]))

      const { queryRange } = yield* historyOf(target, names)
      const end = recent + 60_000
      const { series } = yield* queryRange({
        metric: "http_requests_total", function: "increase", groupBy: [], groupByResource: ["cluster"], start: end, end, step: end - old + 60_000
      })
      const sums = new Map<string, number>()
      for (const [, cluster, value] of expected) sums.set(cluster, (sums.get(cluster) ?? 0) + value)
      assert.deepStrictEqual(series.map(({ resource, values }) => [resource?.cluster, values[0]]), [...sums])
    }))
})
