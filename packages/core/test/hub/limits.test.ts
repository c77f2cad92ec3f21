import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Memory, MemoryBackend, ObservabilityConfig, type ObservabilityInput } from "../../src/index.ts"

/** One span, recorded under these settings. */
const spanUnder = (input: ObservabilityInput) =>
  Effect.gen(function*() {
    yield* Effect.gen(function*() {
      const span = yield* Effect.orDie(Effect.currentSpan)
      for (let i = 0; i < 5; i++) {
        span.attribute(`k${i}`, "x".repeat(20))
        span.event(`e${i}`, 1n, { a: 1, b: 2, c: 3 })
        span.addLinks([{ span, attributes: { a: 1, b: 2, c: 3 } }])
      }
      span.attribute("k0", { a: { b: { c: 1 } }, token: "s3cret" })
    }).pipe(Effect.withSpan("op"))
    return (yield* (yield* MemoryBackend).spans)[0]!
  }).pipe(Effect.provide(Layer.provide(Memory.layer(), ObservabilityConfig.layer(input))))

describe("span limits from the settings", () => {
  it.effect("hold for everything a span has, and what they leave out is counted", () =>
    Effect.gen(function*() {
      const span = yield* spanUnder({
        tracing: { limits: { attributeCount: 2, attributeValueLength: 10, eventCount: 3, linkCount: 1, attributePerEventCount: 2, attributePerLinkCount: 1, depth: 2 } }
      })
      assert.deepStrictEqual(Object.fromEntries(span.attributes), { k0: "{\"a\":{\"b\":", k1: "xxxxxxxxxx" })
      assert.deepStrictEqual(span.events.map(({ attributes }) => Object.keys(attributes)), [["a", "b"], ["a", "b"], ["a", "b"]])
      assert.deepStrictEqual(span.links.map(({ attributes }) => Object.keys(attributes)), [["a"]])
      assert.deepStrictEqual([span.droppedAttributes, span.droppedEvents, span.droppedLinks], [3, 2, 4])
    }))

  it.effect("of 0 leave nothing, and a failure is still told", () =>
    Effect.gen(function*() {
      const span = yield* spanUnder({ tracing: { limits: { attributeCount: 0, eventCount: 0, linkCount: 0 } } })
      assert.deepStrictEqual([span.attributes.size, span.events.length, span.links.length], [0, 0, 0])
      assert.deepStrictEqual([span.droppedAttributes, span.droppedEvents, span.droppedLinks], [6, 5, 5])
    }))

  it.effect("cut what is deep", () =>
    Effect.gen(function*() {
      const span = yield* spanUnder({ tracing: { limits: { depth: 2 } } })
      assert.strictEqual(span.attributes.get("k0"), "{\"a\":{\"b\":\"[…]\"},\"token\":\"REDACTED\"}")
    }))
})

describe("redaction from the settings", () => {
  it.effect("adds names and rules, or is off", () =>
    Effect.gen(function*() {
      const own = yield* spanUnder({ redaction: { names: ["k1"], rules: [(name) => name === "k2"] } })
      assert.deepStrictEqual([own.attributes.get("k1"), own.attributes.get("k2"), own.attributes.get("k3")], ["REDACTED", "REDACTED", "x".repeat(20)])
      const off = yield* spanUnder({ redaction: { enabled: false } })
      assert.include(off.attributes.get("k0"), "s3cret")
    }))
})
