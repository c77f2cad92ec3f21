import { assert, describe, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import { ConsoleSpans, Diagnostics, Telemetry } from "../../src/index.ts"
import { render } from "../../src/console/internal/tree.ts"
import type { SpanData } from "../../src/tracing/SpanData.ts"

/** Runs an effect with the exporter and gives what was printed. */
const printed = (effect: Effect.Effect<unknown, unknown, Layer.Success<typeof Telemetry.layer>>, options: ConsoleSpans.ConsoleSpansOptions = {}) => {
  const lines: Array<string> = []
  const console = new Proxy({}, { get: (_, name) => name === "log" ? (text: string) => void lines.push(text) : () => {} }) as Console.Console
  return effect.pipe(
    Effect.ignore,
    Effect.provide(ConsoleSpans.layer({ colors: false, ...options })),
    Effect.provideService(Console.Console, console),
    Effect.as(lines)
  )
}

const span = (spanId: string, parentSpanId: string | undefined, more: Partial<SpanData> = {}): SpanData => ({
  traceId: "1".repeat(32), spanId, parentSpanId, name: spanId, kind: "internal", startTime: 1_000_000n, endTime: 2_500_000n, status: "unset", statusMessage: undefined,
  attributes: new Map(), events: [], links: [], droppedAttributes: 0, droppedEvents: 0, droppedLinks: 0, weight: 1, traceState: "", ...more
})

describe("the console exporter", () => {
  it.effect("prints a trace as a tree when its root has ended", () =>
    Effect.gen(function*() {
      const lines = yield* printed(Effect.gen(function*() {
        const charge = Effect.sleep("8 millis").pipe(Effect.andThen(Effect.fail("declined")), Effect.withSpan("charge", { kind: "client", attributes: { amount: 5 } }))
        yield* Effect.sleep("1 millis").pipe(Effect.withSpan("validate"), Effect.andThen(charge), Effect.ignore, Effect.withSpan("checkout"), Effect.forkChild)
        yield* TestClock.adjust("9 millis")
        yield* (yield* Telemetry).flush
        const { imbalances } = yield* (yield* Diagnostics).report
        assert.deepStrictEqual(imbalances, [])
      }))
      assert.deepStrictEqual(lines, [[
        "checkout  9 ms",
        "├─ validate  1 ms",
        "└─ charge  8 ms  client  ✗ declined  amount=5  error.type=string",
        "     · exception +8 ms  exception.type=string  exception.message=declined  effect.cause=fail"
      ].join("\n")])
    }))

  it.effect("prints what is incomplete when it has waited, and the rest at the end", () =>
    Effect.gen(function*() {
      const lines = yield* printed(Effect.gen(function*() {
        yield* Effect.never.pipe(Effect.withSpan("open"), Effect.forkChild({ startImmediately: true }))
        yield* Effect.void.pipe(Effect.withSpan("child"), Effect.withSpan("parent"))
      }))
      assert.deepStrictEqual(lines.toSorted(), ["open  0 ms  span.unfinished=true", "parent  0 ms\n└─ child  0 ms"])
    }))

  it.effect("takes what it is asked to take", () =>
    Effect.gen(function*() {
      const lines = yield* printed(Effect.void.pipe(Effect.withSpan("no"), Effect.andThen(Effect.withSpan(Effect.void, "yes"))), { filter: (span) => span.name === "yes" })
      assert.deepStrictEqual(lines, ["yes  0 ms"])
    }))
})

describe("the tree", () => {
  it("obeys no control character and has colours only when asked to", () => {
    const hostile = "a\u001b[2Jb\nc\u202ed\u0000\u009b"
    const one = span("1", undefined, { name: hostile, attributes: new Map([[hostile, hostile]]), status: "error", statusMessage: hostile, events: [{ name: hostile, time: 1n, attributes: { [hostile]: hostile } }] })
    const plain = render([one], false)
    assert.match(plain.replaceAll("\n", ""), /^[^\p{Cc}\p{Cf}]*$/u)
    assert.strictEqual(plain.split("\n").length, 2)
    const coloured = render([one], true)
    assert.strictEqual(coloured.split("\u001b").map((part, i) => i === 0 ? part : part.replace(/^\[\d+m/, "")).join(""), plain)
    assert.notStrictEqual(coloured, plain)
  })

  it("is in order of begin, whatever the order of ends, and survives broken parents", () => {
    const spans = [span("c", "a", { startTime: 5n }), span("b", "a", { startTime: 3n }), span("x", "gone"), span("p", "q"), span("q", "p"), span("s", "s"), span("a", undefined, { startTime: 1n })]
    const lines = render(spans, false).split("\n").map((line) => line.split("  ")[0])
    assert.deepStrictEqual(lines, ["a", "├─ b", "└─ c", "s", "x", "p", "q"])
    assert.strictEqual(render(spans.toReversed(), false).split("\n").length, 7)
  })

  it("of 2,000 levels does not overflow", () => {
    const deep = Array.from({ length: 2_000 }, (_, i) => span(String(i), i === 0 ? undefined : String(i - 1)))
    assert.strictEqual(render(deep, false).split("\n").length, 2_000)
  })
})
