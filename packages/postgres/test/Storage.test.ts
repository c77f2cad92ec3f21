import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Storage from "../src/Storage.ts"
import { ask, Database, freshNames, historyOf, Latency, Requests, startProcess } from "./support/database.ts"
import { Series4 } from "./support/frames.ts"
import { countOf, everything, packAt } from "./support/packed.ts"
import { span } from "./support/spans.ts"

const hour = 3_600_000
const day = 24 * hour
const midnight = Math.floor(Date.now() / day) * day - day
const all = { startTime: 0, endTime: Date.now() + day, limit: 100_000 }

layer(Database.layer, { excludeTestServices: true })("storage", (it) => {
  it.effect("the report tells tables, bytes per sample and span, and when the disk is full", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const store = new Series4()
      const reported = (capacity?: number) => Storage.make({ ...process.store, config: { ...process.store.config, capacity } }).report
      const fresh = yield* reported()
      assert.deepStrictEqual([fresh.samples, fresh.spans, fresh.bytesPerDay, fresh.fullAt], [undefined, undefined, undefined, undefined])
      assert.isAbove(fresh.databaseBytes, fresh.bytes)

      for (let i = 0; i < 20; i++) {
        const time = midnight + (i + 1) * 5_000
        yield* process.exportFrames(i + 1, store.frame(time - 5_000, time, Array.from({ length: 200 }, (_, n) => ({ metric: Requests, labels: { method: `M${n}`, status: "200" }, value: Math.random() }))))
      }
      const at = BigInt(midnight + hour) * 1_000_000n
      yield* process.exportSpans(1, ...([span({ startTime: at, endTime: at }), span({ startTime: at, endTime: at })] as const))
      yield* packAt(target, names, midnight + day + 2 * hour)
      const full = yield* reported(1_000_000_000_000)
      assert.strictEqual(full.samples?.perDay, 4_000)
      assert.isAbove(full.samples?.bytesPerSample ?? 0, 1)
      assert.strictEqual(full.spans?.perDay, 2)
      const packed = full.tables.find(({ name }) => name === "obs_metric_pack_day")!
      assert.isAbove(packed.bytes, 20_000)
      assert.isAtLeast(packed.partitions, 1)
      assert.match(packed.oldest!, /^\d{8}$/)
      assert.strictEqual(full.bytes, full.tables.reduce((sum, table) => sum + table.bytes, 0))
      // Retention keeps a terabyte from filling at this rate; ten bytes are full already.
      assert.isUndefined(full.fullAt)
      const tight = yield* reported(10)
      assert.isAbove(tight.bytesPerDay ?? 0, 0)
      assert.isAtMost(tight.fullAt!, Date.now() + hour)
    }))

  it.effect("a service's metrics go, the others' stay, and its processes may go on", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const shop = yield* startProcess(target, names)
      const other = yield* startProcess(target, names, { service: "other" })
      const history = yield* historyOf(target, names)
      const storage = Storage.make(shop.store)
      const mine = new Series4()
      const theirs = new Series4()
      const write = (number: number, time: number) =>
        Effect.all([
          shop.exportFrames(number, mine.frame(time - 1, time, [{ metric: Requests, labels: { method: "GET", status: "200" }, value: 1 }, { metric: Latency, labels: { route: "/mine" }, observed: [1] }])),
          other.exportFrames(number, theirs.frame(time - 1, time, [{ metric: Requests, labels: { method: "GET", status: "200" }, value: 10 }]))
        ])
      for (let i = 1; i <= 5; i++) yield* write(i, midnight + i * hour)
      yield* packAt(target, names, midnight + day + 2 * hour)
      for (let i = 6; i <= 10; i++) yield* write(i, Date.now() - i * 1_000)
      const sum = Effect.map(history.getMetricsHistory({ name: Requests.name, ...all }), (points) => points.reduce((total, point) => total + point.value, 0))
      assert.strictEqual(yield* sum, 110)

      const deleted = yield* storage.deleteMetrics({ service: "api-service" })
      assert.isAbove(deleted.rows, 10)
      // The route's series was its own, the other is shared.
      assert.strictEqual(deleted.series, 1)
      assert.strictEqual(yield* sum, 100)
      assert.deepStrictEqual(yield* history.getMetricsHistory({ name: Latency.name, ...all }), [])
      const rollups = yield* ask(target, `select count(distinct resource)::int4 as n from ${names.schema}.obs_rollup_minute`)
      assert.strictEqual(rollups[0]!["n"], 1)
      // The process finds its lane gone, joins again and goes on.
      yield* Effect.retry(shop.exportFrames(11, mine.frame(Date.now() - 1, Date.now(), [{ metric: Requests, labels: { method: "GET", status: "200" }, value: 1 }])), { times: 2 })
      assert.strictEqual(yield* sum, 101)
      assert.strictEqual((yield* Effect.flip(storage.deleteMetrics({ service: "" }))).reason, "invalid")
      assert.deepStrictEqual(yield* storage.deleteMetrics({ service: "nobody" }), { rows: 0, series: 0 })
    }))

  it.effect("a tenant's series go from frames, packs and roll-ups, and nobody else's", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const storage = Storage.make(process.store)
      const store = new Series4()
      const write = (number: number, time: number, tenants: ReadonlyArray<string>) =>
        Effect.retry(
          process.exportFrames(number, {
            ...store.frame(time - 1, time, tenants.map((method) => ({ metric: Requests, labels: { method, status: "200" }, value: 1 }))),
            // The process has a second lane by then, for another generation of its lists.
            generation: number > 7 ? 1 : 0
          }),
          { times: 2 }
        )
      for (let i = 1; i <= 5; i++) yield* write(i, midnight + i * hour, ["ann", "bob", "eve"])
      yield* packAt(target, names, midnight + day + 2 * hour)
      for (let i = 6; i <= 10; i++) yield* write(i, Date.now() - i * 1_000, ["ann", "bob", "eve"])
      const linesOf = (method: string) =>
        Effect.gen(function*() {
          const [row] = yield* ask(target, `select id::text as id from ${names.schema}.obs_series where labels ->> 'method' = $1`, [method])
          return row === undefined ? [] : (yield* everything(target, names)).filter((line) => line.startsWith(`${row["id"]} `))
        })
      const ann = yield* linesOf("ann")
      assert.strictEqual((yield* linesOf("bob")).length, 10)
      const { series } = yield* storage.deleteMetrics({ labels: { method: "bob" } })
      assert.strictEqual(series, 1)
      assert.deepStrictEqual(yield* linesOf("bob"), [])
      assert.deepStrictEqual(yield* linesOf("ann"), ann)
      assert.strictEqual((yield* everything(target, names)).length, 20)
      const [frames] = yield* countOf(target, names, "metric_frame")
      assert.strictEqual(frames, 0)
      // Those who still record are found again under their names.
      yield* write(11, Date.now(), ["ann", "eve"])
      assert.strictEqual((yield* linesOf("ann")).length, ann.length + 1)
      assert.strictEqual((yield* Effect.flip(storage.deleteMetrics({ labels: {} }))).reason, "invalid")
      // A value with quotes is a value.
      assert.deepStrictEqual(yield* storage.deleteMetrics({ labels: { method: "x\"'; drop table obs_series; --" } }), { rows: 0, series: 0 })
    }))
})
