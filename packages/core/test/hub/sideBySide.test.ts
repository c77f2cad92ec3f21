import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import {
  type BatchProcessor, type CompositionError, Diagnostics, Exporter, Ledger, Memory, MemoryBackend, ObservabilityConfig, type SpanData, type SpanSelection, Telemetry
} from "../../src/index.ts"

interface Delivery {
  readonly span: SpanData
  /** From the end of the span to its delivery, in virtual milliseconds. */
  readonly millis: number
}

/** A backend whose sink does what `send` does; what arrives is kept. */
const backend = (
  name: string,
  delivered: Array<Delivery>,
  send: Effect.Effect<void, Exporter.ExportError> = Effect.void,
  options: { readonly select?: SpanSelection; readonly policy?: Partial<BatchProcessor.Policy<SpanData>> } = {}
): Effect.Effect<BatchProcessor.BatchProcessor<SpanData>, CompositionError, Telemetry | Scope.Scope> =>
  Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const pipe = yield* telemetry.exportSpans({
      name,
      exporter: {
        export: (batch) =>
          Effect.andThen(send, Effect.map(Clock.currentTimeMillis, (now) => {
            for (const span of batch) delivered.push({ span, millis: now - Number(span.endTime) / 1e6 })
            return Exporter.complete
          }))
      },
      ...options
    })
    yield* telemetry.register({
      name,
      kind: "test",
      onSpan: (span) => void pipe.offerUnsafe(span),
      flush: pipe.flush,
      report: () => ({
        name, kind: "test", status: "up", reason: undefined,
        signals: [{ signal: "spans", ledger: pipe.ledger(), queuedItems: 0, queuedBytes: 0, oldestAgeMillis: 0, lastError: undefined }]
      })
    })
    return pipe
  })

const p99 = (all: ReadonlyArray<Delivery>): number => all.map((one) => one.millis).toSorted((a, b) => a - b)[Math.ceil(all.length * 0.99) - 1]!

/** Spans per virtual second, and how long. */
const rate = 100
const seconds = 12

/** Five backends with sinks of 10 ms; the third one's is another. What the four others got. */
const withThird = (third: Effect.Effect<void, Exporter.ExportError>) =>
  Effect.gen(function*() {
    const slow = Effect.sleep("10 millis")
    const deliveries = Array.from({ length: 5 }, (): Array<Delivery> => [])
    yield* Effect.gen(function*() {
      for (const [i, delivered] of deliveries.entries()) yield* backend(`b${i}`, delivered, i === 2 ? third : slow, { policy: { flushInterval: "1 second" } })
      for (let tick = 0; tick < seconds * 10; tick++) {
        for (let i = 0; i < rate / 10; i++) yield* Effect.withSpan(Effect.void, "op")
        yield* TestClock.adjust("100 millis")
      }
      yield* TestClock.adjust("2 seconds")
      const { imbalances } = yield* (yield* Diagnostics).report
      assert.deepStrictEqual(imbalances, [])
      // Closing waits for the drain's deadline in virtual time.
      yield* Effect.forkDetach(TestClock.adjust("1 minute"))
    }).pipe(Effect.scoped, Effect.provide(Telemetry.layer))
    return deliveries.filter((_, i) => i !== 2)
    // A clock of its own: what a run leaves behind must not move the next one's.
  }).pipe(Effect.provide(TestClock.layer()))

describe("one of five exporters", () => {
  const troubles: Readonly<Record<string, Effect.Effect<void, Exporter.ExportError>>> = {
    "hangs": Effect.never,
    "hangs and cannot be interrupted": Effect.uninterruptible(Effect.never),
    "is slow": Effect.sleep("1 hour"),
    "fails": Effect.fail(Exporter.unavailable("away")),
    "refuses": Effect.fail(Exporter.refused("no", "rejected:400")),
    "dies": Effect.die(new Error("broken")),
    "throws before it is an effect": Effect.suspend(() => {
      throw new Error("broken")
    })
  }
  for (const [what, third] of Object.entries(troubles)) {
    it.effect(`${what}: the others keep their rate and their latency`, () =>
      Effect.gen(function*() {
        const quiet = yield* withThird(Effect.sleep("10 millis"))
        const disturbed = yield* withThird(third)
        for (const [i, delivered] of disturbed.entries()) {
          assert.isAtLeast(delivered.length, quiet[i]!.length * 0.95)
          assert.strictEqual(delivered.length, rate * seconds)
          assert.isAtMost(p99(delivered), p99(quiet[i]!) * 1.1)
        }
      }))
  }

  it.effect("that throws when it is handed a span is counted; the others get theirs", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryBackend
      const telemetry = yield* Telemetry
      yield* telemetry.register({
        name: "rude",
        kind: "test",
        onSpan: () => {
          throw new Error("no")
        },
        report: () => {
          throw new Error("no")
        }
      })
      yield* Effect.withSpan(Effect.void, "op")
      assert.deepStrictEqual((yield* memory.spans).map((span) => span.name), ["op"])
      const rude = (yield* (yield* Diagnostics).report).components.find((one) => one.name === "rude")
      assert.strictEqual(rude?.status, "down")
    }).pipe(Effect.scoped, Effect.provide(Memory.layer())))
})

describe("a backend's own choice", () => {
  it.effect("filters and samples for itself alone, and counts what it leaves out", () =>
    Effect.gen(function*() {
      const all: Array<Delivery> = []
      const errors: Array<Delivery> = []
      const some: Array<Delivery> = []
      const none: Array<Delivery> = []
      const spans = 4_000
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        const pipes = [
          yield* backend("all", all),
          yield* backend("errors", errors, Effect.void, { select: { filter: (span) => span.status === "error" } }),
          yield* backend("some", some, Effect.void, { select: { sampleRatio: 0.25 } }),
          yield* backend("none", none, Effect.void, {
            select: {
              filter: () => {
                throw new Error("no")
              }
            }
          })
        ]
        for (let i = 0; i < spans; i++) {
          yield* Effect.withSpan(i % 10 === 0 ? Effect.fail("x") : Effect.void, "child").pipe(Effect.withSpan("root"), Effect.ignore)
        }
        yield* telemetry.flush
        for (const pipe of pipes) assert.strictEqual(Ledger.imbalance(pipe.ledger()), undefined)
        assert.deepStrictEqual(pipes[1]!.ledger().rejected, { filtered: spans * 2 - spans / 5 })
        assert.deepStrictEqual(pipes[2]!.ledger().rejected, { sampled_out: spans * 2 - some.length })
        assert.deepStrictEqual(pipes[3]!.ledger().rejected, { filter_defect: spans * 2 })
      }).pipe(Effect.scoped, Effect.provide(Telemetry.layer))
      assert.strictEqual(all.length, spans * 2)
      assert.strictEqual(errors.length, spans / 5)
      // 2,000 ± 4 standard deviations of whole traces.
      assert.isAbove(some.length, 1_780)
      assert.isBelow(some.length, 2_220)
      assert.isTrue(some.every(({ span }) => span.weight === 4))
      const traces = new Map<string, number>()
      for (const { span } of some) traces.set(span.traceId, (traces.get(span.traceId) ?? 0) + 1)
      assert.isTrue([...traces.values()].every((count) => count === 2))
      assert.isTrue(all.every(({ span }) => span.weight === 1))
      assert.strictEqual(none.length, 0)
    }))

  it.effect("does not depend on what a ratio sampler has kept", () =>
    Effect.gen(function*() {
      const some: Array<Delivery> = []
      const all: Array<Delivery> = []
      const settings = ObservabilityConfig.layer({ tracing: { sampleRate: 0.5 } })
      yield* Effect.gen(function*() {
        yield* backend("all", all)
        yield* backend("some", some, Effect.void, { select: { sampleRatio: 0.5 } })
        for (let i = 0; i < 4_000; i++) yield* Effect.withSpan(Effect.void, "op")
        yield* (yield* Telemetry).flush
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Telemetry.layer, settings)))
      assert.isAbove(some.length / all.length, 0.44)
      assert.isBelow(some.length / all.length, 0.56)
      assert.isTrue(some.every(({ span }) => span.weight === 4))
    }))

  it.effect("the memory backend has it too", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryBackend
      yield* Effect.withSpan(Effect.void, "a").pipe(Effect.andThen(Effect.withSpan(Effect.void, "b")))
      assert.deepStrictEqual((yield* memory.spans).map((span) => span.name), ["b"])
      assert.deepStrictEqual((yield* (yield* Diagnostics).report).components[0]!.signals[0]!.ledger.rejected, { filtered: 1 })
    }).pipe(Effect.provide(Memory.layer({ filter: (span) => span.name === "b" }))))
})

describe("a backend that comes and goes", () => {
  it.effect("gets every span of its time, once; the others notice nothing", () =>
    Effect.gen(function*() {
      const first: Array<Delivery> = []
      const second: Array<Delivery> = []
      yield* Effect.gen(function*() {
        const stays = yield* backend("stays", first)
        for (let round = 0; round < 20; round++) {
          const scope = yield* Scope.make()
          const comes = yield* backend("comes", second).pipe(Scope.provide(scope))
          for (let i = 0; i < 50; i++) yield* Effect.withSpan(Effect.void, `r${round} n${i}`)
          yield* Scope.close(scope, Exit.void)
          assert.strictEqual(Ledger.imbalance(comes.ledger()), undefined)
          assert.strictEqual(comes.ledger().exported, 50)
          yield* Effect.withSpan(Effect.void, `between ${round}`)
        }
        yield* stays.flush
        assert.strictEqual(stays.ledger().exported, 20 * 51)
      }).pipe(Effect.scoped, Effect.provide(Telemetry.layer))
      assert.strictEqual(second.length, 1000)
      assert.strictEqual(new Set(second.map(({ span }) => span.name)).size, 1000)
      assert.strictEqual(first.length, 1020)
    }))

  it.effect("and cannot be drained is counted as removed while the program goes on, as shut down with it", () =>
    Effect.gen(function*() {
      const close = (alone: boolean) =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          if (!alone) yield* backend("stays", [])
          const pipe = yield* backend("goes", [], Effect.fail(Exporter.unavailable("away"))).pipe(Scope.provide(scope))
          for (let i = 0; i < 7; i++) yield* Effect.withSpan(Effect.void, "op")
          const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
          yield* TestClock.adjust("1 minute")
          yield* Effect.exit(Effect.timeout(Effect.succeed(closing), "1 second"))
          assert.strictEqual(Ledger.imbalance(pipe.ledger()), undefined)
          return pipe.ledger().dropped
        }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Telemetry.layer)))
      assert.deepStrictEqual(yield* close(false), { backend_removed: 7 })
      assert.deepStrictEqual(yield* close(true), { shutdown: 7 })
    }))
})

describe("spans that have not ended", () => {
  it.effect("show in the diagnostics, and are handed over as they are when the backend goes", () =>
    Effect.gen(function*() {
      const delivered: Array<Delivery> = []
      const other: Array<Delivery> = []
      yield* Effect.gen(function*() {
        const scope = yield* Scope.make()
        const pipe = yield* backend("goes", delivered).pipe(Scope.provide(scope))
        yield* backend("stays", other)
        const annotate = Effect.annotateCurrentSpan("step", 1)
        yield* Effect.andThen(annotate, Effect.never).pipe(Effect.withSpan("leak"), Effect.forkDetach({ startImmediately: true }))
        yield* TestClock.adjust("5 minutes")
        yield* Effect.never.pipe(Effect.withSpan("younger"), Effect.forkDetach({ startImmediately: true }))
        yield* Effect.withSpan(Effect.void, "ended")
        const { openSpans } = yield* (yield* Diagnostics).report
        assert.strictEqual(openSpans.open, 2)
        assert.strictEqual(openSpans.forgotten, 0)
        assert.strictEqual(openSpans.oldest?.name, "leak")
        assert.strictEqual(openSpans.oldest?.ageMillis, 300_000)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(pipe.ledger().exported, 3)
        assert.strictEqual(Ledger.imbalance(pipe.ledger()), undefined)
      }).pipe(Effect.scoped, Effect.provide(Telemetry.layer))
      assert.deepStrictEqual(delivered.map(({ span }) => [span.name, span.status, span.attributes.get("span.unfinished")]), [
        ["ended", "unset", undefined], ["leak", "unset", true], ["younger", "unset", true]
      ])
      assert.strictEqual(delivered[1]!.span.attributes.get("step"), 1)
      assert.strictEqual(delivered[1]!.span.endTime - delivered[1]!.span.startTime, 300_000_000_000n)
      assert.deepStrictEqual(other.map(({ span }) => span.name).toSorted(), ["ended", "leak", "younger"])
    }))

  it.effect("are watched up to 10,000 of them; the oldest are forgotten and counted", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      for (let i = 0; i < 10_005; i++) yield* Effect.makeSpanScoped(`s${i}`).pipe(Scope.provide(scope))
      const { openSpans } = yield* (yield* Diagnostics).report
      assert.deepStrictEqual([openSpans.open, openSpans.forgotten, openSpans.oldest?.name], [10_000, 5, "s5"])
      yield* Scope.close(scope, Exit.void)
      const after = (yield* (yield* Diagnostics).report).openSpans
      assert.deepStrictEqual([after.open, after.oldest], [0, undefined])
    }).pipe(Effect.provide(Memory.layer({ maxSpans: 10 }))))
})
