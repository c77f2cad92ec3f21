import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { weighSpan } from "../../src/tracing/internal/weigh.ts"
import * as Sampler from "../../src/tracing/sampling/Sampler.ts"
import { Tracer } from "../../src/tracing/Tracer.ts"
import { recording } from "./support.ts"

describe("L08: a span that is given far too much", () => {
  it.effect("is kept within its limits, says what it left out, and is held at its real size", () =>
    Effect.gen(function*() {
      const { named, provide, tracer } = recording({ sampler: () => Sampler.tail({ rest: Sampler.always, maxBytes: 1_500_000 }) })
      const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`attribute ${i}`, "x".repeat(100)]))
      yield* Effect.gen(function*() {
        yield* Effect.void.pipe(Tracer.withSpan("one attribute of 100 MB", { attributes: () => ({ huge: "x".repeat(100_000_000) }) }))
        yield* Effect.void.pipe(Tracer.withSpan("10,000 attributes", { attributes: many }))
        yield* Effect.map(Effect.orDie(Effect.currentSpan), (span) => {
          for (let i = 0; i < 1_000_000; i++) span.event("again", 1n)
        }).pipe(Tracer.withSpan("a million events"))
        const { held, heldBytes } = tracer.report()
        assert.strictEqual(held, 3)
        assert.isAtMost(heldBytes, 1_500_000)
      }).pipe(Tracer.withSpan("root"), provide)
      const huge = named("one attribute of 100 MB")
      assert.isAtMost(String(huge.attributes.get("huge")).length, 100_000)
      const full = named("10,000 attributes")
      assert.strictEqual(full.attributes.size + full.droppedAttributes, 10_000)
      assert.isAtMost(full.attributes.size, 1_000)
      const eventful = named("a million events")
      assert.strictEqual(eventful.events.length + eventful.droppedEvents, 1_000_000)
      assert.isAtMost(eventful.events.length, 1_000)
      for (const span of [huge, full, eventful]) assert.isAtMost(weighSpan(span), 500_000)
      assert.isUndefined(tracer.report().decidedEarly.overflow || undefined)
    }))
})
