import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Session from "../../src/internal/session.ts"
import { dropExpired } from "../../src/internal/partitions.ts"
import { ask, Database, Depth, freshNames, Latency, Requests, Size, startProcess } from "../support/database.ts"
import { type Happening, Series4 } from "../support/frames.ts"
import { countOf, everything, packAt, rollups } from "../support/packed.ts"

const hour = 3_600_000
const day = 24 * hour
/** Yesterday, at midnight. */
const midnight = Math.floor(Date.now() / day) * day - day

const withSession = <A, E>(target: Session.Target, use: (session: Session.Session) => Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(Session.open(target, 30_000), use, (session) => session.close)

const seeded = (seed: number) => () => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32

/** What a program with every kind of metric does in one interval. */
const happenings = (random: () => number, i: number): ReadonlyArray<Happening> => [
  { metric: Requests, labels: { method: "GET", status: "200" }, value: Math.floor(random() * 50) },
  { metric: Requests, labels: { method: "GET", status: "500" }, value: 0 },
  ...(i > 20 ? [{ metric: Requests, labels: { method: "POST", status: "200" }, value: random() < 0.1 ? 100_000 : random() }] : []),
  ...(i % 7 === 0 ? [] : [{ metric: Depth, labels: { queue: "a" }, value: Math.round(random() * 1_000) / 100 }]),
  { metric: Depth, labels: { queue: "noise" }, value: random() * 1e-9 },
  ...(i > 10 && random() < 0.5 ? [{ metric: Latency, labels: { route: "/a" }, observed: [random(), random() / 10, 0.25] }] : []),
  { metric: Latency, labels: { route: "/idle" }, observed: [] },
  { metric: Size, observed: random() < 0.3 ? [Math.floor(random() * 1e6)] : [] }
]

layer(Database.layer, { excludeTestServices: true })("packing", (it) => {
  it.effect("hours and days hold what the frames held, bit by bit, in JS and in SQL", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const other = yield* startProcess(target, names)
      const random = seeded(7)
      const store = new Series4()
      const twin = new Series4()
      let number = 0
      // From 21:58:20 to past midnight, off the grid at first, with a gap, and one frame of many.
      const times = Array.from({ length: 520 }, (_, i) => midnight + 22 * hour - 100_000 + 15_000 * i + (i < 3 ? 1_234 : 0)).filter((_, i) => i < 300 || i > 330)
      for (const [i, time] of times.entries()) {
        number++
        yield* process.exportFrames(number, store.frame(i === 300 ? time - 480_000 : time - 15_000, time, happenings(random, i)))
        if (i % 3 === 0) yield* other.exportFrames(number, twin.frame(time - 45_000, time, happenings(random, i)))
      }
      const before = yield* everything(target, names)
      assert.isAbove(before.length, 5_000)

      const first = yield* packAt(target, names, midnight + day + 30 * 60_000)
      assert.deepStrictEqual(first, { hours: 6, days: 0, yielded: false })
      assert.deepStrictEqual(yield* everything(target, names), before)
      // The hour of midnight is not over yet.
      assert.isAbove((yield* countOf(target, names, "metric_frame"))[0]!, 0)

      const second = yield* packAt(target, names, midnight + day + 2 * hour)
      assert.deepStrictEqual(second, { hours: 2, days: 1, yielded: false })
      assert.deepStrictEqual(yield* countOf(target, names, "metric_frame", "histogram_frame", "summary_frame"), [0, 0, 0])
      assert.deepStrictEqual(yield* everything(target, names), before)
      const segments = yield* ask(target, `select hours, count(*)::int4 as n from ${names.schema}.obs_metric_segment group by 1 order by 1`)
      assert.deepStrictEqual(segments.map((row) => [row["hours"], row["n"]]), [[1, 2], [24, 2]])

      // Late frames of the day: between the others, and before them.
      for (const time of [times[200]! + 7, midnight + hour]) yield* process.exportFrames(++number, store.frame(time - 1, time, happenings(random, 999)))
      const late = yield* everything(target, names)
      assert.isAbove(late.length, before.length)
      yield* packAt(target, names, midnight + day + 2 * hour)
      assert.deepStrictEqual(yield* everything(target, names), late)
      const again = yield* packAt(target, names, midnight + day + 2 * hour)
      assert.deepStrictEqual(again, { hours: 0, days: 0, yielded: false })
    }))

  it.effect("roll-ups are recounts of the samples, by minute, hour and day, also when samples come late", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const twin = yield* startProcess(target, names)
      const random = seeded(11)
      const store = new Series4()
      let number = 0
      for (let day2 = 0; day2 < 2; day2++) {
        for (let i = 0; i < 200; i++) {
          const time = midnight - day2 * day + 3 * hour + i * 20_000
          yield* process.exportFrames(++number, store.frame(time - 20_000, time, happenings(random, i)))
          if (i % 50 === 0) yield* twin.exportFrames(number, store.frame(time - 20_000, time, happenings(random, i)))
        }
      }
      const check = Effect.gen(function*() {
        const types = new Map(
          (yield* ask(target, `select s.id, f.type from ${names.schema}.obs_series s join ${names.schema}.obs_family f on f.id = s.family`))
            .map((row) => [row["id"] as number, String(row["type"])])
        )
        const lines = (yield* everything(target, names)).map((line) => line.split(" ").map(Number) as [number, number, number, number, number])
        for (const [table, step] of [["rollup_minute", 60], ["rollup_hour", 3_600], ["rollup_day", 86_400]] as const) {
          const expected = new Map<string, number>()
          const put = (series: number, col: number, time: number, value: number, join: (a: number, b: number) => number) => {
            const key = `${series} ${col} ${(Math.ceil(time / step) - 1) * step}`
            expected.set(key, expected.has(key) ? join(expected.get(key)!, value) : value)
          }
          const add = (a: number, b: number) => a + b
          for (const [series, col, time, , value] of lines.toSorted((a, b) => a[2] - b[2])) {
            const type = types.get(series)
            if (type === "gauge") {
              put(series, 0, time, value, (_, b) => b)
              put(series, 1, time, value, Math.min)
              put(series, 2, time, value, Math.max)
              put(series, 3, time, 1, add)
              put(series, 4, time, value, add)
            } else if (col === 1) put(series, 1, time, value, Math.min)
            else if (col === 2) put(series, 2, time, value, Math.max)
            else put(series, col, time, value, type === "summary" && col >= 16 ? (_, b) => b : add)
          }
          const found = yield* rollups(target, names, table, step)
          assert.isAbove(found.size, step === 60 ? 1_000 : 20)
          for (const [key, value] of found) {
            // A bucket's zero and its absence mean the same.
            const wanted = expected.get(key) ?? (Number(key.split(" ")[1]) >= 16 ? 0 : NaN)
            // Two processes may have a gauge's last value at the same moment.
            if (types.get(Number(key.split(" ")[0])) === "gauge" && key.split(" ")[1] === "0") continue
            assert.closeTo(value, wanted, Math.abs(wanted) * 1e-12, `${table} ${key}`)
          }
          for (const [key, value] of expected) if (value !== 0) assert.isTrue(found.has(key), `${table} ${key}`)
        }
      })
      yield* packAt(target, names, midnight + day + 2 * hour)
      yield* check
      const late = midnight + 3 * hour + 60_007
      yield* process.exportFrames(++number, store.frame(late - 1, late, happenings(random, 500)))
      yield* packAt(target, names, midnight + day + 2 * hour)
      yield* check
    }))

  it.effect("two workers at once: each sample is packed once", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const random = seeded(3)
      const store = new Series4()
      for (let i = 0; i < 480; i++) {
        const time = midnight + i * 180_000
        yield* process.exportFrames(i + 1, store.frame(time - 180_000, time, happenings(random, i)))
      }
      const before = yield* everything(target, names)
      for (let round = 0; round < 30 && (yield* countOf(target, names, "metric_frame"))[0]! > 0; round++) {
        yield* Effect.all(Array.from({ length: 4 }, () => packAt(target, names, midnight + day + 2 * hour)), { concurrency: 4 })
      }
      assert.deepStrictEqual(yield* everything(target, names), before)
    }))

  it.effect("a worker that dies anywhere leaves everything as it was or as it should be", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const random = seeded(5)
      const store = new Series4()
      for (let i = 0; i < 300; i++) {
        const time = midnight + i * 60_000
        yield* process.exportFrames(i + 1, store.frame(time - 60_000, time, happenings(random, i)))
      }
      const before = yield* everything(target, names)
      for (let i = 0; i < 25; i++) {
        // Its connection is closed in mid-statement, sooner or later.
        yield* Effect.timeoutOption(packAt(target, names, midnight + day + 2 * hour), `${1 + 4 * i} millis`)
        assert.deepStrictEqual(yield* everything(target, names), before)
      }
      yield* Effect.retry(packAt(target, names, midnight + day + 2 * hour), { times: 5 })
      assert.deepStrictEqual(yield* everything(target, names), before)
      assert.deepStrictEqual(yield* countOf(target, names, "metric_frame"), [0])
    }))

  it.effect("days that are packed and over are dropped, packed days by their retention", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const store = new Series4()
      const old = midnight - 3 * day
      yield* process.exportFrames(1, store.frame(old, old + 5_000, happenings(seeded(1), 1)))
      const partitions = Effect.map(
        ask(target, "select c.relname::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relkind = 'r' and c.relispartition", [names.schema]),
        (rows) => rows.map((row) => String(row["name"]))
      )
      const digits = new Date(old).toISOString().slice(0, 10).replaceAll("-", "")
      assert.include(yield* partitions, `obs_metric_frame_p${digits}`)
      yield* packAt(target, names, midnight + day + 2 * hour)
      const packed = yield* partitions
      assert.notInclude(packed, `obs_metric_frame_p${digits}`)
      assert.include(packed, `obs_metric_pack_day_p${digits}`)
      yield* withSession(target, (session) => dropExpired(session, names, (table) => (table.startsWith("rollup") ? 700 : 2)))
      const kept = yield* partitions
      assert.notInclude(kept, `obs_metric_pack_day_p${digits}`)
      assert.include(kept, `obs_rollup_minute_p${digits.slice(0, 6)}`)
      // What comes after its day is gone is packed, dropped with the next pass, and does not replace the roll-up.
      const before = yield* rollups(target, names, "rollup_hour", 3_600)
      yield* process.exportFrames(2, store.frame(old, old + 6_000, happenings(seeded(2), 2)))
      yield* packAt(target, names, midnight + day + 2 * hour)
      assert.deepStrictEqual(yield* rollups(target, names, "rollup_hour", 3_600), before)
    }))
})
