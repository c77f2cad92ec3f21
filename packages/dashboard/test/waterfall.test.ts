import { assert, describe, it } from "vitest"
import { criticalPath, rowsOf, type Span } from "../web/pages/waterfall.ts"

const span = (id: string, parent: string | undefined, at: number, ms: number): Span => ({ id, parent, name: id, service: "s", kind: "internal", at, ms, failed: false })

describe("a waterfall", () => {
  it("shows children below their parent by time, orphans and circles too, and each span once", () => {
    const rows = rowsOf([span("b", "a", 5, 1), span("a", undefined, 0, 10), span("c", "a", 2, 1), span("lost", "gone", 3, 1), span("x", "y", 4, 1), span("y", "x", 4, 1), span("self", "self", 9, 1)], new Set())
    assert.deepStrictEqual(rows.map(({ depth, span: { id } }) => `${depth}${id}`), ["0a", "1c", "1b", "0lost", "0self", "0x", "1y"])
  })
  it("hides what is below a closed span", () => {
    const spans = [span("a", undefined, 0, 10), span("b", "a", 1, 5), span("c", "b", 1, 5), span("d", "a", 7, 1)]
    assert.deepStrictEqual(rowsOf(spans, new Set(["b"])).map(({ span: { id } }) => id), ["a", "b", "d"])
  })
  it("finds what the end waited for", () => {
    // b runs beside c and ends before it; d comes after both; e outlives the trace.
    const spans = [span("a", undefined, 0, 10), span("b", "a", 1, 3), span("c", "a", 1, 5), span("d", "a", 6, 3), span("e", "a", 8, 50), span("d1", "d", 7, 1)]
    assert.deepStrictEqual([...criticalPath(spans)].sort(), ["a", "c", "d", "d1"])
  })
  it("takes a chain and a fan of 20,000 spans", () => {
    const chain = Array.from({ length: 20_000 }, (_, i) => span(String(i), i === 0 ? undefined : String(i - 1), i, 20_000 - i))
    assert.strictEqual(rowsOf(chain, new Set()).at(-1)!.depth, 19_999)
    assert.strictEqual(criticalPath(chain).size, 20_000)
    const fan = Array.from({ length: 20_000 }, (_, i) => span(String(i), i === 0 ? undefined : "0", i, 1))
    assert.strictEqual(rowsOf(fan, new Set()).length, 20_000)
  })
})
