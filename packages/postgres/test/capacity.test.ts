import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { estimate, type EstimateOptions } from "../src/capacity/estimate.ts"
import { type Look, look } from "../src/capacity/look.ts"
import { packedBytes, rowBytes } from "../src/capacity/pages.ts"
import * as Session from "../src/internal/session.ts"
import * as Storage from "../src/Storage.ts"
import { compare, measureHour, profiles } from "./support/capacityHour.ts"
import { Database, freshNames, Requests, startProcess } from "./support/database.ts"
import { Series4 } from "./support/frames.ts"

const profile = (name: string) => profiles.find((one) => one.name === name)!

layer(Database.layer, { excludeTestServices: true })("capacity", (it) => {
  for (const name of ["steady", "growing", "metrics alone", "small"]) {
    it.effect(`five minutes tell what an hour takes, within 15 %: ${name}`, () =>
      Effect.gen(function*() {
        const { target } = yield* Database
        const hour = yield* measureHour(target, profile(name))
        const ratio = compare(hour)
        assert.isAbove(ratio.total, 0.85)
        assert.isBelow(ratio.total, 1.15)
        assert.isAbove(ratio.metrics, 0.85)
        assert.isBelow(ratio.metrics, 1.15)
        const { hour: said, series, spansPerDay } = hour.estimated
        assert.isTrue(said.least <= hour.measured.total && hour.measured.total <= said.most, `${said.least} ${hour.measured.total} ${said.most}`)
        assert.strictEqual(spansPerDay, profile(name).spansPerSecond * 86_400)
        if (name !== "growing") assert.strictEqual(series, profile(name).series + profile(name).histograms)
        // They come by the minute, and half of the window has two or three of those.
        else assert.isTrue(hour.estimated.seriesPerDay >= 12 * 60 * 24 && hour.estimated.seriesPerDay <= 18 * 60 * 24)
      }).pipe(Effect.scoped), 120_000)
  }

  it.effect("a store that is empty, and one that has just begun; the date before a day is finished; without the right to the database's size", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const report = (capacity: number) => Storage.make({ ...process.store, config: { ...process.store.config, capacity } }).report
      const empty = yield* report(1_000_000_000_000)
      assert.deepStrictEqual([empty.estimate, empty.fullAt], [undefined, undefined])
      const maker = new Series4()
      const now = Date.now()
      for (let i = 0; i < 24; i++) {
        const time = now - (24 - i) * 5_000
        yield* process.exportFrames(i + 1, maker.frame(time - 5_000, time, Array.from({ length: 100 }, (_, n) => ({ metric: Requests, labels: { method: `M${n}`, status: "200" }, value: n * i }))))
      }
      const begun = yield* report(1_000_000_000_000)
      assert.strictEqual(begun.estimate?.series, 100)
      assert.closeTo(begun.estimate!.observedMillis, 125_000, 10_000)
      assert.isAbove(begun.estimate!.bytesPerDay.total, 100_000)
      assert.isUndefined(begun.bytesPerDay)
      const perDay = begun.estimate!.bytesPerDay.total
      const tight = yield* report(begun.databaseBytes + Math.round(10 * perDay))
      assert.closeTo((tight.fullAt! - now) / 86_400_000, 10, 2)
      assert.isTrue(tight.estimate!.fullAtEarliest! <= tight.fullAt! && tight.fullAt! <= tight.estimate!.fullAtLatest!)
      // A disk of no bytes, or one that is past its limit, is full now.
      assert.closeTo((yield* report(1)).fullAt!, Date.now(), 60_000)
    }).pipe(Effect.scoped))

  it.effect("looks inside a transaction that only reads, by a role that may not connect elsewhere", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      yield* startProcess(target, names)
      const seen = yield* Effect.acquireUseRelease(
        Session.open(target, 30_000),
        (session) =>
          Effect.gen(function*() {
            const role = `"reader_${names.schema}"`
            for (const statement of [
              `create role ${role}`, `grant usage on schema "${names.schema}" to ${role}`, `grant select on all tables in schema "${names.schema}" to ${role}`,
              "revoke connect on database postgres from public", "begin read only", `set local role ${role}`
            ]) yield* session.execute(statement)
            const found = yield* look(session, { names, searchable: new Set(), window: 300_000, trial: false })
            yield* session.execute("rollback")
            yield* session.execute("grant connect on database postgres to public")
            return found
          }),
        (session) => session.close
      )
      assert.isUndefined(seen.databaseBytes)
      assert.include(seen.notes.join(), "may not ask for the size of the database")
      assert.isAbove(seen.storeBytes, 0)
    }).pipe(Effect.scoped))
})

const nothing = { rows: 0, items: 0, rowBytes: 0, older: 0, newer: 0 }
const quiet: Look = {
  now: 1_000_000_000, window: 300_000, lanes: [], kinds: new Map(), listed: new Map(), spans: nothing, errors: nothing, packedSpans: undefined, seriesBytes: 500,
  storeBytes: 1_000, databaseBytes: 2_000, wal: undefined, notes: []
}
const plain: EstimateOptions = { capacity: undefined, kept: 0, retentionDays: 90 }

describe("capacity, arithmetic", () => {
  it("nothing recorded: nothing grows, nothing is full", () => {
    const report = estimate(quiet, { ...plain, capacity: 1_000_000 })
    assert.deepStrictEqual([report.bytesPerDay.total, report.hour.total, report.fullAt, report.fullAtEarliest], [0, 0, undefined, undefined])
  })

  it("every number stays a number, whatever clocks and counters did", () => {
    const lane = { lane: 1, table: "metric" as const, frames: 60, covered: 300_000, bytes: [100, 0, 0, 0], seriesThen: 10, seriesNow: 10, first: quiet.now - 300_000, last: quiet.now }
    const kind = { columns: [{ bits: 5 }], buckets: [], looked: 1, widening: 0.1, frames: 60, once: 0, twice: 0 }
    const looks: ReadonlyArray<Look> = [
      // The clock was set back: frames of the future; and forward: all are old.
      { ...quiet, lanes: [{ ...lane, first: quiet.now + 3_600_000, last: quiet.now + 7_200_000 }] },
      { ...quiet, lanes: [{ ...lane, last: 0, first: 0 }] },
      // Fewer series than before; frames that cover nothing; one frame for hours; enormous ones.
      { ...quiet, lanes: [{ ...lane, seriesThen: 1_000 }] },
      { ...quiet, lanes: [{ ...lane, covered: 0 }] },
      { ...quiet, lanes: [{ ...lane, frames: 1, covered: 86_400_000 }] },
      { ...quiet, lanes: [{ ...lane, seriesNow: 1e9, bytes: [1e15] }] },
      { ...quiet, spans: { ...nothing, rows: 1, items: 1, rowBytes: 1e9, newer: 1 }, packedSpans: { spans: 1, bytes: 0 } }
    ]
    for (const one of looks) {
      for (const capacity of [0, 1, Number.MAX_SAFE_INTEGER]) {
        const report = estimate({ ...one, kinds: new Map([[0, kind]]), listed: new Map([[0, 10]]) }, { ...plain, capacity, maxSeries: 100_000, before: { ...quiet, wal: 5, now: quiet.now + 1 } })
        const { bytesPerDay, hour } = report
        for (const value of [...Object.values(bytesPerDay), ...Object.values(hour), report.rowsPerDay, report.samplesPerDay, report.seriesPerDay]) {
          assert.isTrue(Number.isFinite(value) && value >= 0, JSON.stringify(report))
        }
        assert.isTrue(bytesPerDay.least <= bytesPerDay.total && bytesPerDay.total <= bytesPerDay.most)
      }
    }
  })

  it("growth is taken to go on to the budget of series, and may as well have ended", () => {
    const lane = { lane: 1, table: "metric" as const, frames: 60, covered: 300_000, bytes: [40, 0, 0, 0], seriesThen: 100, seriesNow: 200, first: quiet.now - 290_000, last: quiet.now }
    const kind = { columns: [{ bits: 5 }], buckets: [], looked: 1, widening: 0, frames: 60, once: 0, twice: 0 }
    const growing = { ...quiet, lanes: [lane], kinds: new Map([[0, kind]]), listed: new Map([[0, 200]]) }
    const report = estimate(growing, { ...plain, maxSeries: 1_000 })
    assert.strictEqual(report.seriesPerDay, 800)
    assert.isBelow(report.bytesPerDay.least, report.bytesPerDay.total * 0.6)
    assert.isAbove(estimate(growing, plain).seriesPerDay, 50_000)
  })

  it("rows on pages", () => {
    // 8 KB and more leave the row, in chunks of 1,996.
    assert.isTrue(rowBytes(50, 100_000) > 100_000 && rowBytes(50, 100_000) < 106_000)
    assert.isTrue(packedBytes(720, 5.5) > packedBytes(720, 5) && packedBytes(720, 5.5) < packedBytes(720, 6))
    assert.isBelow(packedBytes(720, 0), 220)
  })
})
