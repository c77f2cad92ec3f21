import { assert, describe, it } from "@effect/vitest"
import { clean, encodeRecord, repairs } from "../src/internal/json.ts"

/** How often each reason was counted while `run` ran. */
const counted = (run: () => void): Record<string, number> => {
  const before = repairs()
  run()
  return Object.fromEntries(Object.entries(repairs()).flatMap(([reason, count]) => (count === before[reason] ? [] : [[reason, count - (before[reason] ?? 0)]])))
}

describe("values that PostgreSQL cannot hold", () => {
  it("are changed and counted by reason, others are neither", () => {
    assert.deepStrictEqual(counted(() => encodeRecord({ a: 1, b: "text", c: [true, null, "😀"], d: { e: 1n } })), {})
    assert.deepStrictEqual(counted(() => assert.strictEqual(encodeRecord({ a: NaN, b: Infinity }), "{\"a\":\"NaN\",\"b\":\"Infinity\"}")), { number: 2 })
    assert.deepStrictEqual(counted(() => assert.strictEqual(clean("a\0b\ud800"), "a\ufffdb\ufffd")), { text: 1 })
    assert.deepStrictEqual(counted(() => assert.strictEqual(clean("x".repeat(20_000)).length, 16_384)), { length: 1 })
    const circle: Record<string, unknown> = {}
    circle["self"] = circle
    assert.deepStrictEqual(counted(() => assert.strictEqual(encodeRecord({ circle }), "{\"circle\":{\"self\":\"[circular]\"}}")), { circular: 1 })
    let deep: unknown = "bottom"
    for (let i = 0; i < 20_000; i++) deep = [deep]
    assert.deepStrictEqual(counted(() => assert.include(encodeRecord({ deep }), "[too deep]")), { depth: 1 })
    const trap = { get secret(): string { throw new Error("no") } }
    assert.deepStrictEqual(counted(() => assert.strictEqual(encodeRecord(trap), "{\"secret\":\"[unreadable]\"}")), { unreadable: 1 })
    assert.isAbove(counted(() => encodeRecord({ many: Array.from({ length: 20_000 }, () => "0123456789".repeat(10)) }))["size"] ?? 0, 0)
  })
})
