import { type CapacityReport, Diagnostics, Health, ObservabilityConfig } from "@effect-observability/core"
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { randomUUID } from "node:crypto"
import * as Postgres from "../src/Postgres.ts"
import { spanTables } from "../src/PostgresConfig.ts"
import { daysAt, decide, type Facts, lastStep, layers, shortened, type State } from "../src/upkeep/decide.ts"
import { make, start, Steering } from "../src/upkeep/Upkeep.ts"
import { ask, configOf, Database, freshNames, Requests, startProcess } from "./support/database.ts"
import { Series4 } from "./support/frames.ts"
import { packAt } from "./support/packed.ts"

const day = 86_400_000
const hour = day / 24
const floor = { raw: 3, spans: 3, minute: 10, hour: 365, day: 3_650 }
const configured = { raw: 30, spans: 30, minute: 60, hour: 730, day: 3_650 }
const settings = { enabled: true, dryRun: false, daysLeft: 7, maxBytes: 100e9, floor }
const calm: State = { step: 0, since: 0, calmSince: undefined }

describe("upkeep, decisions", () => {
  it("does nothing while the limit is far", () => {
    const decided = decide(calm, { now: day, usedBytes: 10e9, perDay: 1e9, keptDays: 10 }, settings, configured)
    assert.deepStrictEqual([decided.step, decided.reason], [0, undefined])
    // Retention keeps it below: thirty days of two gigabytes.
    assert.strictEqual(decide(calm, { now: day, usedBytes: 60e9, perDay: 2e9, keptDays: 30 }, settings, configured).step, 0)
  })

  it("packs first, then takes a quarter off at a time, an hour apart; at once when the limit is crossed; never below a floor", () => {
    let state: State = calm
    const facts = (now: number, usedBytes: number): Facts => ({ now, usedBytes, perDay: 8e9, keptDays: 10 })
    state = decide(state, facts(1_000, 60e9), settings, configured)
    assert.strictEqual(state.step, 1)
    state = decide(state, facts(600_000, 60e9), settings, configured)
    assert.strictEqual(state.step, 1)
    state = decide(state, facts(1_000 + hour, 60e9), settings, configured)
    assert.strictEqual(state.step, 2)
    assert.deepStrictEqual(daysAt(configured, floor, 2), { raw: 22, spans: 22, minute: 45, hour: 547, day: 3_650 })
    let now = hour
    let reason: string | undefined
    for (let i = 0; i < 100; i++) {
      now += 11 * 60_000
      const decided = decide(state, { now, usedBytes: 200e9, perDay: 8e9, keptDays: 0 }, settings, configured)
      state = decided
      reason = decided.reason
    }
    assert.strictEqual(state.step, lastStep(configured, floor))
    assert.deepStrictEqual(daysAt(configured, floor, state.step), { raw: 3, spans: 3, minute: 10, hour: 365, day: 3_650 })
    assert.include(reason, "everything is at its floor")
  })

  it("what is kept for less than the floor stays as it is; roll-ups outlive what they sum up", () => {
    const short = { raw: 2, spans: 5, minute: 2, hour: 30, day: 30 }
    for (let step = 0; step < 30; step++) {
      const days = daysAt(short, floor, step)
      assert.isTrue(days.raw === 2 && days.spans >= 3 && days.minute === 2 && days.hour >= days.minute && days.day >= days.hour)
    }
    const odd = daysAt({ ...configured, minute: 30 }, { ...floor, raw: 20, minute: 1 }, 20)
    assert.isAtLeast(odd.minute, odd.raw)
    assert.strictEqual(shortened(() => 1, floor, 9, spanTables)("rollup_day"), 1)
  })

  it("undoes a step when it would do without, held for an hour and with a tenth to spare", () => {
    const at: State = { step: 2, since: 0, calmSince: undefined }
    const facts = { usedBytes: 40e9, perDay: 1e9, keptDays: 20 }
    const first = decide(at, { now: day, ...facts }, settings, configured)
    assert.deepStrictEqual([first.step, first.calmSince], [2, day])
    const second = decide(first, { now: day + hour, ...facts }, settings, configured)
    assert.strictEqual(second.step, 1)
    // It does not hold: back to counting.
    assert.isUndefined(decide(first, { now: day + hour, ...facts, usedBytes: 85e9 }, settings, configured).calmSince)
    let state: State = second
    for (let i = 1; i < 5; i++) state = decide(state, { now: day + (1 + i) * hour, ...facts }, settings, configured)
    assert.strictEqual(state.step, 0)
  })

  it("a clock that jumps neither hurries nor stops it", () => {
    const future: State = { step: 1, since: 400 * day, calmSince: 400 * day }
    const facts = { usedBytes: 60e9, perDay: 8e9, keptDays: 10 }
    const back = decide(future, { now: day, ...facts }, settings, configured)
    assert.deepStrictEqual([back.step, back.since], [1, day])
    assert.strictEqual(decide(back, { now: day + hour, ...facts }, settings, configured).step, 2)
  })

  it("for any course of use: one step at a time, floors hold, a steady course settles", () => {
    fc.assert(fc.property(
      fc.array(fc.record({ usedBytes: fc.double({ min: 0, max: 1e12, noNaN: true }), perDay: fc.double({ min: -1e10, max: 1e12, noNaN: true }), keptDays: fc.integer({ min: 0, max: 400 }) }), { minLength: 1, maxLength: 60 }),
      (course) => {
        let state: State = calm
        let now = 0
        for (const facts of course) {
          const before = state.step
          state = decide(state, { now: now += 10 * 60_000, ...facts }, settings, configured)
          assert.isAtMost(Math.abs(state.step - before), 1)
          const days = daysAt(configured, floor, state.step)
          for (const layer of layers) assert.isTrue(days[layer] >= Math.min(configured[layer], floor[layer]) && days[layer] <= configured[layer])
        }
        // The same for a long time: it may step until it fits, and then stays. Fewer days take less.
        let changes = 0
        const facts = course.at(-1)!
        const perDay = Math.max(0, facts.perDay)
        let kept = facts.keptDays
        const other = Math.max(0, facts.usedBytes - kept * perDay)
        for (let i = 0; i < 400; i++) {
          const { raw, spans } = daysAt(configured, floor, state.step)
          kept = Math.min(kept + (i % 24 === 0 ? 1 : 0), Math.max(raw, spans))
          const before = state.step
          state = decide(state, { now: now += hour, usedBytes: other + kept * perDay, perDay, keptDays: kept }, settings, configured)
          if (i > 200 && state.step !== before) changes++
        }
        assert.isAtMost(changes, 3)
      }
    ), { numRuns: 300 })
  })
})

layer(Database.layer, { excludeTestServices: true })("upkeep, of a store", (it) => {
  /** A store of finished days, packed, and what upkeep needs to know of it. */
  const filled = (days: number) =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const maker = new Series4()
      const today = Math.floor(Date.now() / day) * day
      let number = 0
      for (let d = days; d > 0; d--) {
        for (let i = 0; i < 3; i++) {
          const at = today - d * day + i * 60_000 + 60_000
          yield* process.exportFrames(++number, maker.frame(at - 5_000, at, Array.from({ length: 50 }, (_, n) => ({ metric: Requests, labels: { method: `M${n}`, status: "200" }, value: Math.random() }))))
        }
      }
      yield* packAt(target, names, Date.now())
      const packed = Effect.map(ask(target, `select count(distinct ts)::int4 as n from "${names.schema}".obs_metric_pack`), (rows) => rows[0]!["n"] as number)
      const used = Effect.map(ask(target, "select pg_database_size(current_database())::int8 as n"), (rows) => Number(rows[0]!["n"]))
      return { target, names, process, packed, used }
    })

  const capacityOf = (perDay: number, keptDays: () => number) => () => ({ observedMillis: 300_000, keptDays: keptDays(), bytesPerDay: { total: perDay } } as CapacityReport)

  const upkeepOf = (store: Effect.Success<ReturnType<typeof filled>>, more: Partial<typeof settings>, perDay: number, kept = () => 20) => {
    const upkeep = { ...settings, ...more }
    const config = configOf(store.target, store.names, { upkeep, retentionDays: () => 30 })
    const steering = new Steering(config)
    return { steering, upkeep: make({ store: { ...store.process.store, config: steering.steered }, steering, settings: upkeep, capacity: capacityOf(perDay, kept), producer: randomUUID() }) }
  }

  it.effect("packs early, gives up days down to the floor, says so, and takes it back", () =>
    Effect.gen(function*() {
      const store = yield* filled(20)
      assert.strictEqual(yield* store.packed, 20)
      const used = yield* store.used
      const seen: Array<number> = []
      const { steering, upkeep } = upkeepOf(store, { maxBytes: 1 }, 1_000_000, () => seen.at(-1) ?? 20)
      const begin = Date.now()
      yield* upkeep.once(begin)
      assert.deepStrictEqual([upkeep.report().step, upkeep.report().leads, upkeep.report().actions[0]?.action], [1, true, "pack_early"])
      assert.strictEqual(yield* store.packed, 20)
      for (let i = 1; i <= 12; i++) {
        yield* upkeep.once(begin + i * (hour + 1_000))
        seen.push(yield* store.packed)
      }
      // Thirty days, less a quarter each time, down to the floor.
      assert.strictEqual(steering.step, upkeep.report().step)
      assert.isAbove(upkeep.report().step, 3)
      assert.isTrue(seen.every((n, i) => i === 0 || n <= seen[i - 1]!), seen.join())
      assert.strictEqual(seen.at(-1)!, floor.raw)
      assert.strictEqual(steering.steered.retention()("metric_pack_day"), upkeep.report().retention.raw)
      assert.include(upkeep.report().reason, "everything is at its floor")
      assert.strictEqual(upkeep.report().counts.shorten_retention, upkeep.report().step - 1)

      // More room: a step back an hour, up to where it was.
      const roomy = make({ store: store.process.store, steering, settings: { ...settings, maxBytes: used * 100 }, capacity: capacityOf(1_000, () => 5), producer: randomUUID() })
      for (let i = 13; i < 60; i++) yield* roomy.once(begin + i * (hour + 1_000))
      assert.deepStrictEqual([roomy.report().step, roomy.report().reason], [0, undefined])
      assert.strictEqual(steering.steered.retention()("metric_pack_day"), 30)
      assert.isAtLeast(roomy.report().counts.restore_retention ?? 0, 2)
    }), 60_000)

  it.effect("a dry run decides, says and counts, and does nothing", () =>
    Effect.gen(function*() {
      const store = yield* filled(20)
      const { steering, upkeep } = upkeepOf(store, { maxBytes: 1, dryRun: true }, 1_000_000)
      for (let i = 0; i < 8; i++) yield* upkeep.once(Date.now() + i * hour)
      assert.isAbove(upkeep.report().step, 3)
      assert.isTrue(upkeep.report().actions.every(({ dryRun }) => dryRun))
      assert.strictEqual(yield* store.packed, 20)
      assert.strictEqual(steering.steered.retention()("metric_pack_day"), 30)
      assert.strictEqual(upkeep.report().retention.raw, 30)
    }), 60_000)

  it.effect("one of many decides, all follow; when it is gone another does", () =>
    Effect.gen(function*() {
      const store = yield* filled(1)
      const all = Array.from({ length: 5 }, () => upkeepOf(store, { maxBytes: 1 }, 1_000))
      const begin = Date.now()
      yield* Effect.forEach(all, ({ upkeep }) => upkeep.once(begin), { concurrency: "unbounded" })
      yield* Effect.forEach(all, ({ upkeep }) => upkeep.once(begin + 1_000), { concurrency: 1 })
      const leaders = all.filter(({ upkeep }) => upkeep.report().leads)
      assert.strictEqual(leaders.length, 1)
      assert.deepStrictEqual(all.map(({ upkeep }) => upkeep.report().step), [1, 1, 1, 1, 1])
      assert.strictEqual(all.reduce((sum, { upkeep }) => sum + upkeep.report().actions.length, 0), 1)
      const [first, ...rest] = [...leaders, ...all.filter(({ upkeep }) => !upkeep.report().leads)]
      // It does not come any more.
      yield* Effect.forEach(rest, ({ upkeep }) => upkeep.once(begin + 60_000), { concurrency: 1 })
      assert.isTrue(rest.every(({ upkeep }) => !upkeep.report().leads))
      yield* Effect.forEach(rest, ({ upkeep }) => upkeep.once(begin + 12 * 60_000), { concurrency: 1 })
      assert.strictEqual(rest.filter(({ upkeep }) => upkeep.report().leads).length, 1)
      assert.deepStrictEqual(rest.map(({ upkeep }) => upkeep.report().step), [2, 2, 2, 2])
      yield* first!.upkeep.once(begin + 12 * 60_000 + 1_000)
      assert.deepStrictEqual([first!.upkeep.report().leads, first!.upkeep.report().step, first!.steering.step], [false, 2, 2])
    }), 60_000)

  it.effect("goes on by itself after a round that failed", () =>
    Effect.gen(function*() {
      const store = yield* filled(1)
      const config = configOf(store.target, store.names, { upkeep: { ...settings, maxBytes: 1 } })
      const steering = new Steering(config)
      let broken = true
      const upkeep = yield* start({
        store: { ...store.process.store, config: steering.steered }, steering, settings: config.upkeep!, producer: randomUUID(),
        capacity: () => {
          if (broken) throw new Error("no such thing")
          return undefined
        }
      }, "20 millis")
      while (upkeep.report().reason === undefined) yield* Effect.sleep("10 millis")
      assert.include(upkeep.report().reason, "the last round failed: Error: no such thing")
      broken = false
      while (upkeep.report().step === 0 || upkeep.report().reason?.includes("failed") === true) yield* Effect.sleep("10 millis")
      assert.deepStrictEqual(upkeep.report().counts, { pack_early: 1 })
    }).pipe(Effect.scoped), 30_000)

  it.effect("is off unless asked for, wants a limit, and stands in diagnostics and health", () =>
    Effect.gen(function*() {
      const { url } = yield* Database
      const wrong = yield* Effect.flip(Effect.scoped(Effect.provide(Effect.void, Postgres.layer({ connection: url, upkeep: {} }))))
      assert.include(wrong.message, "postgres.upkeep.maxBytes is missing")
      const told = Effect.gen(function*() {
        const report = yield* (yield* Diagnostics).report
        const health = yield* (yield* Health).check
        return { report, upkeep: health.components.find(({ name }) => name === "postgres.upkeep") }
      })
      const { schema } = freshNames()
      const off = yield* told.pipe(Effect.provide(Postgres.layer({ connection: url, schema })))
      assert.deepStrictEqual([off.report.upkeep, off.upkeep], [[], undefined])
      const on = yield* told.pipe(
        Effect.provide(Postgres.layer({ connection: url, schema })),
        Effect.provide(ObservabilityConfig.layer({ postgres: { capacity: 1_000_000_000_000, upkeep: { enabled: true, floor: { raw: 14 } } } }))
      )
      assert.deepInclude(on.report.upkeep[0], { backend: "postgres", step: 0, dryRun: false, reason: undefined })
      assert.deepInclude(on.upkeep, { group: "storage", status: "up" })
    }), 60_000)
})
