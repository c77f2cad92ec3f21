import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { axisOf, sizeOf, spansOf, timesOf } from "../../src/internal/packing/axis.ts"
import { isSame, pack, unpack } from "../../src/internal/packing/column.ts"

const bytesOf = (values: ReadonlyArray<number>): number => {
  const { raw, words } = pack(Float64Array.from(values))
  return (raw?.byteLength ?? 0) + (words?.byteLength ?? 0)
}
const roundTrip = (values: ReadonlyArray<number>): void => {
  const given = Float64Array.from(values)
  assert.isTrue(isSame(unpack(pack(given)), given), JSON.stringify(values))
}

/** Columns as programs make them, and columns as nobody makes them. */
const columns = fc.oneof(
  fc.array(fc.double(), { minLength: 1, maxLength: 200 }),
  fc.array(fc.oneof(fc.integer({ min: -5, max: 40 }), fc.constant(NaN)), { minLength: 1, maxLength: 400 }),
  fc.array(fc.constantFrom(0, -0, NaN, Infinity, -Infinity, 2 ** 53 - 1, -(2 ** 53) + 1, 2 ** 53, 5e-324, 1.7976931348623157e308), { minLength: 1, maxLength: 20 }),
  fc.tuple(fc.integer({ min: 0, max: 9 }), fc.array(fc.integer({ min: -1_000_000, max: 1_000_000 }), { minLength: 1, maxLength: 200 }))
    .map(([digits, whole]) => whole.map((value) => value / 10 ** digits)),
  fc.tuple(fc.maxSafeInteger(), fc.maxSafeInteger(), fc.array(fc.nat(7), { minLength: 1, maxLength: 200 }))
    .map(([base, slope, noise]) => noise.map((value, i) => base / 2 + (slope / 1e6) * i + value))
)

describe("packed columns", () => {
  it("give every number back bit by bit", () => {
    fc.assert(fc.property(columns, (values) => roundTrip(values)), { numRuns: 3_000 })
  })

  it("are as narrow as their content", () => {
    const count = 5_760
    const random = (limit: number) => (i: number) => Math.abs(Math.imul(i + 1, 2_654_435_761) >> 7) % limit
    const of = (value: (i: number) => number) => bytesOf(Array.from({ length: count }, (_, i) => value(i))) / count
    assert.strictEqual(of(() => 0), 0, "idle")
    assert.strictEqual(of(() => 12.5), 0, "constant")
    assert.strictEqual(of((i) => 1_000_000 + 250 * i), 0, "a line")
    assert.isBelow(of(random(20)), 0.68)
    assert.isBelow(of((i) => random(1_001)(i) / 1_000), 1.34)
    assert.isBelow(of((i) => 4_096 * random(16)(i)), 0.54, "pages")
    let level = 500
    assert.isBelow(of((i) => (level += random(101)(i) - 50, level / 100)), 0.9, "steps")
    assert.strictEqual(of((i) => Math.sin(i)), 8, "noise stays as it is")
  })

  it("keep gaps, at the price of one code", () => {
    roundTrip([NaN, 1, 2, NaN, NaN, 3, NaN])
    roundTrip([NaN])
    roundTrip([7, NaN, 7, 7])
    assert.isAbove(bytesOf([7, NaN, 7, 7]), 0)
  })
})

describe("axis", () => {
  it("is one run on the grid", () => {
    const times = Array.from({ length: 720 }, (_, i) => (i + 1) * 5_000)
    const axis = axisOf(times, times.map(() => 5_000))
    assert.deepStrictEqual([...axis.firsts, ...axis.counts, ...axis.offsets, ...axis.steps, ...axis.spans], [0, 720, 5_000, 5_000, 5_000])
  })

  it("gives times and intervals back, whatever they are", () => {
    const steps = fc.array(fc.tuple(fc.constantFrom(0, 1, 5_000, 5_000, 5_000, 7_777), fc.constantFrom(5_000, 5_000, 5_000, 40_000, 3e9)), { maxLength: 300 })
    fc.assert(fc.property(steps, (list) => {
      let now = 0
      const times = list.map(([step]) => (now += step))
      const axis = axisOf(times, list.map(([, span]) => span))
      assert.strictEqual(sizeOf(axis), list.length)
      assert.deepStrictEqual([...timesOf(axis)], times)
      assert.deepStrictEqual([...spansOf(axis)], list.map(([, span]) => span))
    }))
  })
})
