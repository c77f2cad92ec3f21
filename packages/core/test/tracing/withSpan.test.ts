import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as Scheduler from "effect/Scheduler"
import { TestClock } from "effect/testing"
import * as EffectTracer from "effect/Tracer"
import type { SpanData } from "../../src/tracing/SpanData.ts"
import * as Sampler from "../../src/tracing/sampling/Sampler.ts"
import { type SpanOptions, Tracer } from "../../src/tracing/Tracer.ts"
import { recording } from "./support.ts"

type Around = <A, E>(self: Effect.Effect<A, E>, name: string, options?: SpanOptions & EffectTracer.SpanOptions) => Effect.Effect<A, E>
const ours: Around = (self, name, options) => Tracer.withSpan(self, name, options)
const effects: Around = (self, name, options) => Effect.withSpan(self, name, { ...options, captureStackTrace: false })

const external = (sampled: boolean) => EffectTracer.externalSpan({ traceId: "c".repeat(32), spanId: "d".repeat(16), sampled })
const hidden = Context.make(EffectTracer.DisablePropagation, true)

/** Every option and surrounding that means something, each as a program over a combinator. */
const programs: Record<string, (around: Around) => Effect.Effect<unknown, unknown>> = {
  "nested": (around) => around(around(Effect.void, "inner"), "outer"),
  "kind, attributes and links": (around) =>
    around(Effect.void, "a", { kind: "client", attributes: { a: 1, b: "x" }, links: [{ span: external(true), attributes: { why: "w" } }] }),
  "a parent of one's own": (around) => around(around(Effect.void, "inner", { parent: external(true) }), "outer"),
  "a parent that is not sampled": (around) => around(around(Effect.void, "inner"), "outer", { parent: external(false) }),
  "a root inside": (around) => around(around(Effect.void, "inner", { root: true }), "outer"),
  "annotations and links from around": (around) =>
    around(Effect.void, "a", { attributes: { own: 1 }, links: [{ span: external(true), attributes: {} }] }).pipe(
      Effect.annotateSpans({ tenant: "t", own: 0 }),
      Effect.linkSpans(external(true), { batch: true })
    ),
  "below the level": (around) =>
    around(around(Effect.void, "inner", { level: "Fatal" }), "outer", { level: "Debug" }).pipe(
      Effect.provideService(References.MinimumTraceLevel, "Info")
    ),
  "the fiber's level": (around) =>
    around(Effect.void, "a").pipe(
      Effect.provideService(References.MinimumTraceLevel, "Info"),
      Effect.provideService(References.CurrentTraceLevel, "Debug")
    ),
  "sampled by force below the level": (around) =>
    around(Effect.void, "a", { sampled: true, level: "Debug" }).pipe(Effect.provideService(References.MinimumTraceLevel, "Info")),
  "not sampled by force": (around) => around(around(Effect.void, "inner"), "outer", { sampled: false }),
  "hidden from its children": (around) => around(around(around(Effect.void, "inner"), "middle", { annotations: hidden }), "outer"),
  "switched off inside a span": (around) =>
    around(Effect.withTracerEnabled(around(Effect.annotateCurrentSpan("lost", 1), "inner"), false), "outer"),
  "without times": (around) => Effect.withTracerTiming(around(Effect.void, "a"), false),
  "a failure": (around) => around(Effect.fail(new Error("no")), "a"),
  "a defect": (around) => around(Effect.die("broken"), "a"),
  "annotated from inside": (around) => around(Effect.annotateCurrentSpan("k", "v"), "a"),
  "forked": (around) => around(Effect.flatMap(Effect.forkChild(around(Effect.void, "child")), Fiber.join), "parent"),
  "timed": (around) => around(TestClock.adjust("5 millis"), "a")
}

const shape = (spans: ReadonlyArray<SpanData>): unknown => spans.map((span) => ({ ...span, attributes: [...span.attributes], events: span.events.map(({ name }) => name) }))

describe("Tracer.withSpan is Effect.withSpan", () => {
  for (const [name, program] of Object.entries(programs)) {
    it.effect(name, () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(1000)
        const expected = recording()
        const exit = yield* Effect.exit(program(effects).pipe(expected.provide))
        const actual = recording()
        yield* TestClock.setTime(1000)
        assert.deepStrictEqual(Exit.isSuccess(yield* Effect.exit(program(ours).pipe(actual.provide))), Exit.isSuccess(exit))
        assert.deepStrictEqual(shape(actual.ended), shape(expected.ended))
      }))
  }

  it.effect("data last and data first, result and error passed through", () =>
    Effect.gen(function*() {
      const { ended, provide } = recording()
      assert.strictEqual(yield* Effect.succeed(5).pipe(Tracer.withSpan("last"), provide), 5)
      assert.strictEqual(yield* Tracer.withSpan(Effect.succeed(6), "first").pipe(provide), 6)
      assert.strictEqual(yield* Effect.flip(Tracer.withSpan(Effect.fail("no"), "fails").pipe(provide)), "no")
      assert.deepStrictEqual(ended.map((span) => span.name), ["last", "first", "fails"])
    }))

  it.effect("one effect runs many times at once, each with a span of its own", () =>
    Effect.gen(function*() {
      const { ended, provide } = recording()
      const one = Tracer.withSpan(Effect.andThen(Effect.yieldNow, Effect.map(Effect.orDie(Effect.currentSpan), (span) => span.spanId)), "one")
      const ids = yield* Effect.all(Array.from({ length: 50 }, () => one), { concurrency: "unbounded" }).pipe(provide)
      assert.strictEqual(new Set(ids).size, 50)
      assert.deepStrictEqual(ended.map((span) => span.spanId).toSorted(), [...ids].toSorted())
    }))

  it.effect("with another tracer it is Effect's own", () =>
    Effect.gen(function*() {
      const names: Array<string> = []
      const native = EffectTracer.make({ span: (options) => (names.push(options.name), new EffectTracer.NativeSpan(options)) })
      const inside = yield* Effect.orDie(Effect.currentSpan).pipe(
        Tracer.withSpan("foreign", { attributes: () => ({ a: 1 }) }),
        Effect.provideService(EffectTracer.Tracer, native)
      )
      assert.deepStrictEqual(names, ["foreign"])
      assert.strictEqual(inside.attributes.get("a"), 1)
      assert.strictEqual(inside.status._tag, "Ended")
    }))

  it.effect("a stack frame on request, which points at the caller", () =>
    Effect.gen(function*() {
      const { provide } = recording()
      const frame = Effect.withFiber((fiber) => Effect.succeed(fiber.cache.stackFrame))
      const none = yield* Tracer.withSpan(frame, "none").pipe(provide)
      assert.isUndefined(none)
      for (const asked of [Tracer.withSpan(frame, "here", { captureStackTrace: true }), frame.pipe(Tracer.withSpan("here", { captureStackTrace: true }))]) {
        const found = yield* asked.pipe(provide)
        assert.strictEqual(found?.name, "here")
        assert.match(String(found?.stack?.()), /withSpan\.test\.ts/)
      }
      const given = yield* Tracer.withSpan(frame, "given", { captureStackTrace: () => "at given" }).pipe(provide)
      assert.strictEqual(given?.stack?.(), "at given")
    }))
})

describe("attributes as a function", () => {
  it.effect("are asked for once per kept span, never for others, and cost no program", () =>
    Effect.gen(function*() {
      let asked = 0
      const attributes = () => ({ n: ++asked })
      const work = Effect.void.pipe(Tracer.withSpan("inner", { attributes }), Tracer.withSpan("outer", { attributes }))
      const kept = recording()
      yield* work.pipe(kept.provide)
      assert.deepStrictEqual(kept.ended.map((span) => span.attributes.get("n")), [2, 1])
      yield* work.pipe(recording({ sampler: () => Sampler.never }).provide)
      yield* work.pipe(recording({ active: () => false }).provide)
      yield* work.pipe(Effect.withTracerEnabled(false), kept.provide)
      assert.strictEqual(asked, 2)
      yield* Effect.void.pipe(Tracer.withSpan("bad", { attributes: () => { throw new Error("no") } }), kept.provide)
      assert.strictEqual(kept.named("bad").attributes.get("otel.attributes"), "[unreadable]")
      const trap = { first: 1, get second(): number { throw new Error("no") } }
      for (const [name, given] of [["asked", () => trap], ["given", trap]] as const) {
        yield* Effect.void.pipe(Tracer.withSpan(name, { attributes: given }), kept.provide)
        assert.deepStrictEqual(Object.fromEntries(kept.named(name).attributes), { first: 1, "otel.attributes": "[unreadable]" })
      }
    }))
})

describe("spans that nobody keeps", () => {
  it.effect("inside a trace that is not kept they are counted and not made; ids stay those of the trace", () =>
    Effect.gen(function*() {
      const { provide, tracer } = recording({ sampler: () => Sampler.never })
      const [outer, inner] = yield* Effect.gen(function*() {
        const outer = yield* Effect.currentSpan
        return [outer, yield* Tracer.withSpan(Effect.currentSpan, "inner")] as const
      }).pipe(Tracer.withSpan("outer"), provide)
      assert.strictEqual(inner.traceId, outer.traceId)
      const { ended, kept, sampledOut } = tracer.report()
      assert.deepStrictEqual({ ended, kept, sampledOut }, { ended: 2, kept: 0, sampledOut: 2 })
    }))

  it.effect("with nobody listening there is no span, unless a trace is to be passed on", () =>
    Effect.gen(function*() {
      const { provide } = recording({ active: () => false })
      const span = Effect.withFiber((fiber) => Effect.succeed(fiber.cache.span))
      assert.isUndefined(yield* span.pipe(Tracer.withSpan("a"), provide))
      const passed = yield* span.pipe(Tracer.withSpan("a", { parent: external(true) }), provide)
      assert.strictEqual(passed?.traceId, "c".repeat(32))
    }))
})

describe("the clock", () => {
  it.effect("T01: a duration is exact and the fiber's own clock's, however wall time jumps", () =>
    Effect.gen(function*() {
      for (const jump of [-3_600_000n, 3_600_000n, -1_577_880_000_000n]) {
        const { named, provide } = recording()
        let wall = 1_700_000_000_000_000_000n
        let monotonic = 5_000_000_000n
        const clock: Clock.Clock = {
          currentTimeMillisUnsafe: () => Number(wall / 1_000_000n),
          currentTimeNanosUnsafe: () => wall,
          monotonicTimeNanosUnsafe: () => monotonic,
          currentTimeMillis: Effect.sync(() => Number(wall / 1_000_000n)),
          currentTimeNanos: Effect.sync(() => wall),
          monotonicTimeNanos: Effect.sync(() => monotonic),
          sleep: (_: Duration.Duration) => Effect.never
        }
        const pass = (nanos: bigint) => Effect.sync(() => {
          wall += nanos
          monotonic += nanos
        })
        yield* Effect.gen(function*() {
          yield* pass(20_000_000n)
          wall += jump * 1_000_000n
          yield* pass(20_000_000n)
          yield* Effect.void.pipe(Tracer.withSpan("after"))
        }).pipe(Tracer.withSpan("during"), provide, Effect.provideService(Clock.Clock, clock))
        const during = named("during")
        assert.strictEqual(during.startTime, 1_700_000_000_000_000_000n)
        assert.strictEqual(during.endTime - during.startTime, 40_000_000n)
        assert.strictEqual(named("after").startTime, wall)
      }
    }))
})

describe("interruption between any two steps", () => {
  type Way = "while it runs" | "while it yields"

  /** Runs a program and interrupts it at its n-th operation; whether it got that far. */
  const interruptedAt = (program: Effect.Effect<unknown>, n: number, way: Way) =>
    Effect.promise(async () => {
      let ops = 0
      let reached = false
      const mixed = new Scheduler.MixedScheduler("async")
      const scheduler: Scheduler.Scheduler = {
        executionMode: "async",
        makeDispatcher: () => mixed.makeDispatcher(),
        shouldYield: (fiber) => {
          if (++ops !== n) return false
          reached = true
          if (way === "while it runs") fiber.interruptUnsafe()
          else queueMicrotask(() => fiber.interruptUnsafe())
          return way === "while it yields"
        }
      }
      const fiber = Effect.runFork(Effect.provideService(program, Scheduler.Scheduler, scheduler))
      const exit = await Effect.runPromise(Fiber.await(fiber))
      return { reached, exit }
    })

  for (const way of ["while it runs", "while it yields"] as const) {
    it.live(`${way}: no span stays open, no dead parent in the context`, () =>
      Effect.gen(function*() {
        let interrupted = 0
        let opened = 0
        let n = 1
        for (; n < 500; n++) {
          const { ended, provide, tracer } = recording()
          const spans: Array<EffectTracer.Span> = []
          const span = tracer.span.bind(tracer)
          tracer.span = (options) => {
            const made = span(options)
            spans.push(made)
            return made
          }
          const after: Array<EffectTracer.AnySpan | undefined> = []
          const look = Effect.withFiber((fiber) => Effect.sync(() => void after.push(fiber.cache.span)))
          const body = Effect.void.pipe(
            Effect.andThen(Effect.void),
            Tracer.withSpan("inner"),
            Effect.ensuring(Effect.void),
            Tracer.withSpan("outer")
          )
          const { exit, reached } = yield* interruptedAt(Effect.onExit(body, () => look).pipe(provide), n, way)
          if (!reached) break
          assert.isTrue(spans.every((one) => one.status._tag === "Ended"), `operation ${n}`)
          assert.strictEqual(ended.length, spans.length)
          assert.isTrue(after.every((one) => one === undefined), `operation ${n}`)
          if (Exit.isFailure(exit)) {
            assert.isTrue(Cause.hasInterruptsOnly(exit.cause))
            interrupted++
          }
          opened += spans.length
        }
        assert.isAbove(n, 15)
        assert.isAbove(interrupted, 10)
        assert.isAbove(opened, 10)
      }))
  }
})
