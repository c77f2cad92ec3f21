import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as EffectTracer from "effect/Tracer"
import * as Spans from "../../src/tracing/Spans.ts"
import * as Tracer from "../../src/tracing/Tracer.ts"
import { recording } from "./support.ts"

const service = Tracer.make({ flush: Effect.void })
const header = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`

describe("Tracer", () => {
  it.effect("startSpan ends with its scope, in the way the scope ends", () =>
    Effect.gen(function*() {
      const { ended, provide } = recording()
      const scope = yield* Scope.make()
      const span = yield* service.startSpan("job", { kind: "consumer" }).pipe(Scope.provide(scope), provide)
      span.attribute("step", 1)
      assert.strictEqual(ended.length, 0)
      yield* Scope.close(scope, Exit.die(new Error("gone")))
      assert.strictEqual(ended.length, 1)
      assert.strictEqual(ended[0]!.kind, "consumer")
      assert.strictEqual(ended[0]!.statusMessage, "Error: gone")
    }))

  it.effect("withSpan nests with Effect.withSpan in both directions", () =>
    Effect.gen(function*() {
      const { named, provide } = recording()
      yield* Effect.void.pipe(
        service.withSpan("c", { attributes: { n: 1 } }),
        Effect.withSpan("b"),
        service.withSpan("a"),
        provide
      )
      assert.strictEqual(named("c").parentSpanId, named("b").spanId)
      assert.strictEqual(named("b").parentSpanId, named("a").spanId)
      assert.strictEqual(named("c").attributes.get("n"), 1)
    }))

  it.effect("currentContext is the span the caller is in", () =>
    Effect.gen(function*() {
      const { named, provide } = recording()
      assert.deepStrictEqual(yield* service.currentContext, Option.none())
      const inside = yield* service.currentContext.pipe(service.withSpan("op"), provide)
      const { spanId, traceId } = named("op")
      assert.deepStrictEqual(inside, Option.some({ traceId, spanId, sampled: true }))
      assert.deepStrictEqual(
        yield* service.currentContext.pipe(service.withSpan("off"), Effect.withTracerEnabled(false), provide),
        Option.none()
      )
    }))

  it.effect("carries a trace from one process to the next", () =>
    Effect.gen(function*() {
      const sender = recording()
      const receiver = recording()
      const carrier: Record<string, string> = {}
      yield* service.injectContext(carrier).pipe(service.withSpan("send"), sender.provide)
      const parent = Option.getOrThrow(yield* service.extractContext(carrier))
      yield* Effect.void.pipe(service.withSpan("receive", { parent }), receiver.provide)
      assert.strictEqual(receiver.named("receive").traceId, sender.named("send").traceId)
      assert.strictEqual(receiver.named("receive").parentSpanId, sender.named("send").spanId)
    }))

  it.effect("passes the caller's sampled flag and tracestate on, listening or not", () =>
    Effect.gen(function*() {
      for (const active of [true, false]) {
        for (const flag of ["01", "00"]) {
          const { provide } = recording({ active: () => active })
          const incoming = { traceparent: header.slice(0, -2) + flag, tracestate: "vendor=1" }
          const parent = Option.getOrThrow(yield* service.extractContext(incoming))
          const outgoing: Record<string, string> = {}
          yield* service.injectContext(outgoing).pipe(service.withSpan("inner"), service.withSpan("outer", { parent }), provide)
          assert.match(outgoing["traceparent"]!, new RegExp(`^00-${"a".repeat(32)}-[0-9a-f]{16}-${flag}$`))
          assert.notInclude(outgoing["traceparent"]!, "b".repeat(16))
          assert.strictEqual(outgoing["tracestate"], "vendor=1")
        }
      }
    }))

  it.effect("injects nothing without a span, where propagation is off, and into what takes nothing", () =>
    Effect.gen(function*() {
      const { ended, provide } = recording()
      const carrier: Record<string, string> = {}
      yield* service.injectContext(carrier)
      yield* service.injectContext(carrier).pipe(
        service.withSpan("off"),
        Effect.withTracerEnabled(false),
        Effect.provideService(EffectTracer.DisablePropagation, true),
        provide
      )
      const broken = EffectTracer.externalSpan({ traceId: "x\r\nSet-Cookie: a=b", spanId: "noop" })
      yield* service.injectContext(carrier).pipe(Effect.withParentSpan(broken))
      assert.deepStrictEqual(carrier, {})
      yield* service.injectContext(Object.freeze({})).pipe(service.withSpan("frozen"), provide)
      assert.strictEqual(ended.length, 1)
    }))

  it.effect("extracts none from a carrier without a valid header", () =>
    Effect.gen(function*() {
      for (const carrier of [{}, { traceparent: "00" }, { traceparent: header.toUpperCase() }]) {
        assert.deepStrictEqual(yield* service.extractContext(carrier), Option.none())
      }
      assert.strictEqual(Option.getOrThrow(yield* service.extractContext({ TraceParent: header })).spanId, "b".repeat(16))
    }))

  it.effect("renames an open span and drops a discarded one", () =>
    Effect.gen(function*() {
      const { ended, provide } = recording()
      yield* Effect.tap(Effect.currentSpan, (span) => Effect.sync(() => Spans.rename(span, "GET /users/:id"))).pipe(
        Effect.withSpan("GET"),
        provide
      )
      yield* Effect.tap(Effect.currentSpan, (span) => Effect.sync(() => Spans.discard(span))).pipe(Effect.withSpan("twice"), provide)
      assert.deepStrictEqual(ended.map((span) => span.name), ["GET /users/:id"])
    }))
})
