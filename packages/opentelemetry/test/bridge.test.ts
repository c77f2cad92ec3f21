import { assert, describe, it } from "@effect/vitest"
import { type SpanData, Telemetry, Tracer } from "@effect-observability/core"
import * as OtelTracer from "@effect/opentelemetry/OtelTracer"
import * as Otel from "@opentelemetry/api"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { EventEmitter } from "node:events"
import * as Readable from "node:stream"
import { OpenTelemetryBridge } from "../src/bridge.ts"
import type { BridgeOptions } from "../src/bridge/OpenTelemetryBridge.ts"
import { OpenTelemetry } from "../src/index.ts"
import { allExported } from "./support/books.ts"
import { collector } from "./support/collector.ts"
import { spanOf } from "./support/reading.ts"

// A library that knows nothing of Effect: it was instrumented with OpenTelemetry's API.
const library = {
  tracer: () => Otel.trace.getTracer("library", "1.0"),
  query: (name: string): Promise<number> =>
    library.tracer().startActiveSpan(name, { kind: Otel.SpanKind.CLIENT, attributes: { "db.system.name": "x" } }, async (span) => {
      await new Promise((resolve) => setTimeout(resolve, 2))
      library.tracer().startSpan(`${name}.inner`).end()
      span.end()
      return 1
    }),
  mark: (name: string): void => library.tracer().startSpan(name).end()
}

/** As `suppressTracing` of `@opentelemetry/core`. */
const suppressTracing = (context: Otel.Context): Otel.Context => context.setValue(Otel.createContextKey("OpenTelemetry SDK Context Key SUPPRESS_TRACING"), true)

/** Runs a program over bridge and backend; its spans by name, with the name of each one's parent. */
const traced = (program: Effect.Effect<unknown, unknown, Layer.Success<typeof Telemetry.layer> | OpenTelemetryBridge.OpenTelemetryBridge>, options?: BridgeOptions) =>
  Effect.scoped(Effect.gen(function*() {
    const receiver = yield* collector()
    yield* Effect.gen(function*() {
      yield* program
      yield* (yield* Telemetry).flush
      yield* allExported()
    }).pipe(Effect.provide(Layer.fresh(Layer.mergeAll(OpenTelemetry.layer({ endpoint: receiver.url, metrics: false, logs: false }), OpenTelemetryBridge.layer(options)))))
    const spans = receiver.spans().map(spanOf)
    const names = new Map(spans.map(({ name, spanId }) => [spanId, name]))
    assert.strictEqual(new Set(spans.map(({ spanId }) => spanId)).size, spans.length, "no span twice")
    return {
      spans,
      parents: Object.fromEntries(spans.map(({ name, parentSpanId }) => [name, parentSpanId === undefined ? undefined : names.get(parentSpanId) ?? parentSpanId])),
      traces: new Set(spans.map(({ traceId }) => traceId)).size,
      of: (name: string): SpanData => spans.find((span) => span.name === name)!
    }
  }))

describe("the bridge", () => {
  it.live("a library's spans are children of the Effect span around them, across promises", () =>
    Effect.gen(function*() {
      const { of, parents, traces } = yield* traced(
        Effect.gen(function*() {
          yield* Effect.sync(() => library.mark("in a step"))
          library.mark("in the generator")
          yield* Effect.promise(() => library.query("q1"))
          yield* Effect.promise(async () => {
            await Promise.resolve()
            await library.query("q2")
          })
          yield* Effect.tryPromise(() => Promise.all([library.query("q3"), library.query("q4")]))
        }).pipe(Effect.withSpan("root"))
      )
      assert.strictEqual(traces, 1)
      assert.deepEqual(parents, {
        root: undefined, "in a step": "root", "in the generator": "root",
        q1: "root", "q1.inner": "q1", q2: "root", "q2.inner": "q2", q3: "root", "q3.inner": "q3", q4: "root", "q4.inner": "q4"
      })
      assert.deepEqual([of("q1").kind, of("q1").attributes.get("db.system.name"), of("q1").attributes.get("otel.scope.name"), of("q1").attributes.get("otel.scope.version")], ["client", "x", "library", "1.0"])
    }))

  it.live("across timers, listeners and streams", () =>
    Effect.gen(function*() {
      const { parents, traces } = yield* traced(
        Effect.gen(function*() {
          yield* Effect.callback<void>((resume) => {
            setTimeout(() => {
              library.mark("timer")
              resume(Effect.void)
            }, 2)
          })
          yield* Effect.andThen(Effect.sleep(2), Effect.sync(() => library.mark("after a sleep")))
          yield* Stream.fromAsyncIterable((async function*() {
            for (let i = 0; i < 2; i++) {
              await library.query(`item${i}`)
              yield i
            }
          })(), String).pipe(Stream.mapEffect((i) => Effect.withSpan(Effect.promise(() => library.query(`mapped${i}`)), `map${i}`)), Stream.runDrain)
          yield* Effect.promise(() => new Promise<void>((resolve) => {
            const readable = Readable.Readable.from((async function*() {
              await new Promise((wake) => setTimeout(wake, 1))
              yield "chunk"
            })())
            readable.on("data", () => library.mark("chunk"))
            readable.on("end", resolve)
          }))
          yield* Effect.promise(() => new Promise<void>((resolve) => {
            const emitter = Otel.context.bind(Otel.context.active(), new EventEmitter())
            emitter.once("event", () => {
              library.mark("listener")
              resolve()
            })
            Otel.context.with(Otel.ROOT_CONTEXT, () => emitter.emit("event"))
          }))
        }).pipe(Effect.withSpan("root"))
      )
      assert.strictEqual(traces, 1)
      assert.deepEqual(parents, {
        root: undefined, timer: "root", "after a sleep": "root",
        item0: "root", "item0.inner": "item0", item1: "root", "item1.inner": "item1",
        map0: "root", mapped0: "map0", "mapped0.inner": "mapped0", map1: "root", mapped1: "map1", "mapped1.inner": "mapped1",
        chunk: "root", listener: "root"
      })
    }))

  it.live("Effect spans are children of the OpenTelemetry span around them, and so on through both", () =>
    Effect.gen(function*() {
      const { parents, traces } = yield* traced(Effect.gen(function*() {
        const context = yield* Effect.context<Tracer>()
        const inside = Effect.promise(() => library.query("query")).pipe(Effect.withSpan("effect"))
        yield* Effect.promise(() =>
          // As an instrumented server calls a handler: no fiber is around.
          new Promise<void>((resolve) => setTimeout(() =>
            Otel.context.with(Otel.ROOT_CONTEXT, () => {
              library.tracer().startActiveSpan("handler", async (span) => {
                await new Promise((wake) => setTimeout(wake, 1))
                await Effect.runPromiseWith(context)(inside)
                await Effect.runPromiseWith(context)(Effect.gen(function*() {
                  library.mark("no Effect span around")
                  yield* Effect.promise(() => library.query("query2"))
                  const tracer = yield* Tracer
                  yield* tracer.withSpan(Effect.sync(() => library.mark("leaf")), "combinator")
                }))
                span.end()
                resolve()
              })
            }), 1))
        )
      }))
      assert.strictEqual(traces, 1)
      assert.deepEqual(parents, {
        handler: undefined, effect: "handler", query: "effect", "query.inner": "query",
        "no Effect span around": "handler", query2: "handler", "query2.inner": "query2", combinator: "handler", leaf: "combinator"
      })
    }))

  it.live("another context entered inside a step is the active one there, and only there", () =>
    Effect.gen(function*() {
      const { parents } = yield* traced(
        Effect.gen(function*() {
          yield* Effect.sync(() => {
            const span = library.tracer().startSpan("entered")
            Otel.context.with(Otel.trace.setSpan(Otel.context.active(), span), () => library.mark("below entered"))
            library.mark("beside")
            span.end()
          })
          yield* Effect.sync(() => Otel.context.with(Otel.ROOT_CONTEXT, () => library.mark("root of its own")))
          library.tracer().startSpan("asked to be a root", { root: true }).end()
        }).pipe(Effect.withSpan("root"))
      )
      assert.deepEqual(parents, { root: undefined, entered: "root", "below entered": "entered", beside: "root", "root of its own": undefined, "asked to be a root": undefined })
    }))

  it.live("nothing leaks out of a fiber, and concurrent fibers keep apart", () =>
    Effect.gen(function*() {
      const active = () => Otel.trace.getActiveSpan()
      const { parents } = yield* traced(Effect.gen(function*() {
        const context = yield* Effect.context<Tracer>()
        yield* Effect.promise(() => new Promise<void>((resolve) => setTimeout(() => {
          assert.isUndefined(active())
          Effect.runForkWith(context)(Effect.promise(() => library.query("forked")).pipe(Effect.withSpan("fork")))
          assert.isUndefined(active())
          setTimeout(() => {
            assert.isUndefined(active())
            resolve()
          }, 20)
        })))
        yield* Effect.forEach(
          Array.from({ length: 50 }, (_, i) => i),
          (i) =>
            Effect.gen(function*() {
              yield* Effect.promise(() => library.query(`q${i}`))
              yield* Effect.yieldNow
              library.mark(`m${i}`)
            }).pipe(Effect.withSpan(`s${i}`, { root: true })),
          { concurrency: "unbounded", discard: true }
        )
      }))
      assert.deepEqual([parents["fork"], parents["forked"]], [undefined, "fork"])
      for (let i = 0; i < 50; i++) assert.deepEqual([parents[`q${i}`], parents[`q${i}.inner`], parents[`m${i}`]], [`s${i}`, `q${i}`, `s${i}`])
    }))

  it.live("what a span is told through the API is what is exported", () =>
    Effect.gen(function*() {
      const { of } = yield* traced(Effect.sync(() => {
        const span = library.tracer().startSpan("told", { kind: Otel.SpanKind.SERVER, startTime: [1_700_000_000, 5], links: [{ context: { traceId: "1".repeat(32), spanId: "2".repeat(16), traceFlags: 1 }, attributes: { a: 1 } }] })
        assert.isTrue(span.isRecording())
        span.setAttribute("a", 1).setAttributes({ b: "x", c: [true] }).updateName("renamed").addEvent("e1", { k: "v" }, 1_700_000_000_500).addEvent("e2", new Date(1_700_000_001_000))
        span.addLink({ context: { traceId: "3".repeat(32), spanId: "4".repeat(16), traceFlags: 0 } })
        span.recordException(Object.assign(new TypeError("broken"), { stack: "TypeError: broken\n  at x" }))
        span.setStatus({ code: Otel.SpanStatusCode.ERROR, message: "no good" })
        span.end([1_700_000_002, 0])
        span.setAttribute("late", 1).end()
        assert.isFalse(span.isRecording())
        library.tracer().startSpan("fine").setStatus({ code: Otel.SpanStatusCode.OK }).setStatus({ code: Otel.SpanStatusCode.ERROR }).end()
        library.tracer().startSpan("backwards", { startTime: [1_700_000_002, 0] }).end([1_700_000_001, 0])
      }))
      const told = of("renamed")
      assert.deepEqual([told.kind, told.startTime, told.endTime, told.status, told.statusMessage], ["server", 1_700_000_000_000_000_005n, 1_700_000_002_000_000_000n, "error", "no good"])
      assert.deepEqual([told.attributes.get("a"), told.attributes.get("b"), told.attributes.get("c"), told.attributes.has("late"), told.attributes.get("error.type")], [1, "x", [true], false, "TypeError"])
      assert.deepEqual(told.events.map(({ name, time }) => [name, time]).slice(0, 2), [["e1", 1_700_000_000_500_000_000n], ["e2", 1_700_000_001_000_000_000n]])
      assert.deepEqual([told.events[2]!.name, told.events[2]!.attributes["exception.type"], told.events[2]!.attributes["exception.message"]], ["exception", "TypeError", "broken"])
      assert.deepEqual(told.links.map(({ traceId }) => traceId), ["1".repeat(32), "3".repeat(32)])
      assert.strictEqual(of("fine").status, "unset")
      assert.strictEqual(of("backwards").endTime, of("backwards").startTime)
    }))

  it.live("nothing that untyped code does with a span throws or costs it", () =>
    Effect.gen(function*() {
      const { spans } = yield* traced(Effect.sync(() => {
        const odd: ReadonlyArray<any> = [undefined, null, 7, "x", Symbol("s"), NaN, [], {}, () => {}, { get message() {
          throw new Error("no")
        } }, [1], [NaN, 1], new Date(NaN), 1e300, -1e300, 10n]
        for (const one of odd) {
          const span: any = Otel.trace.getTracer("odd").startSpan("odd", one === null ? null as never : undefined)
          span.setAttribute(one, one).setAttributes(one).addEvent("e", one).addEvent(one, one, one).addLink(one ?? { context: one }).addLinks(one).setStatus(one).updateName("odd")
          span.setStatus({ code: 2, message: one })
          span.recordException(one, one)
          span.end(one)
        }
        const context = Otel.trace.setSpan(Otel.ROOT_CONTEXT, { spanContext: () => {
          throw new Error("no")
        } } as never)
        Otel.trace.getTracer("odd").startSpan("below a broken one", {}, context).end()
        Otel.context.with(context, () => Otel.trace.getTracer("odd").startSpan("again", { links: 7 as never, kind: 99 as never, startTime: "soon" as never }).end())
      }))
      assert.deepEqual(spans.map(({ name }) => name), [...Array.from({ length: 16 }, () => "odd"), "below a broken one", "again"])
    }))

  it.live("secrets do not pass through the bridge", () =>
    Effect.gen(function*() {
      const { of } = yield* traced(Effect.sync(() => {
        const span = library.tracer().startSpan("s", { attributes: { password: "canary-7", "url.full": "https://u:canary-7@h/?token=canary-7" } })
        span.recordException(new Error("connect to postgres://app:canary-7@db failed"))
        span.setStatus({ code: Otel.SpanStatusCode.ERROR, message: "postgres://app:canary-7@db" })
        span.end()
      }))
      assert.notInclude(JSON.stringify([[...of("s").attributes], of("s").events.map(({ attributes }) => attributes), of("s").statusMessage]), "canary-7")
    }))

  it.live("headers: one trace from the caller to the called", () =>
    Effect.gen(function*() {
      const getter: Otel.TextMapGetter<Record<string, string>> = { get: (carrier, key) => carrier[key], keys: Object.keys }
      const { of } = yield* traced(Effect.gen(function*() {
        const context = Otel.propagation.extract(Otel.ROOT_CONTEXT, { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`, tracestate: "vendor=x" }, getter)
        yield* Effect.sync(() => Otel.context.with(context, () => {
          library.tracer().startActiveSpan("server", (span) => {
            const sent: Record<string, string> = {}
            Otel.propagation.inject(Otel.context.active(), sent, { set: (carrier, key, value) => void (carrier[key] = value) })
            assert.deepEqual([sent["traceparent"], sent["tracestate"]], [`00-${"a".repeat(32)}-${span.spanContext().spanId}-01`, "vendor=x"])
            span.end()
          })
        }))
        for (const traceparent of ["", "00-x", `00-${"0".repeat(32)}-${"b".repeat(16)}-01`]) {
          assert.isUndefined(Otel.trace.getSpanContext(Otel.propagation.extract(Otel.ROOT_CONTEXT, { traceparent }, getter)))
        }
      }))
      assert.deepEqual([of("server").traceId, of("server").parentSpanId, of("server").traceState], ["a".repeat(32), "b".repeat(16), "vendor=x"])
    }))

  it.live("what is suppressed, and what the toolkit does itself, makes no spans", () =>
    Effect.gen(function*() {
      const { spans } = yield* traced(
        Effect.gen(function*() {
          yield* Effect.sync(() => Otel.context.with(suppressTracing(Otel.context.active()), () => library.mark("suppressed")))
          yield* Effect.withTracerEnabled(Effect.andThen(Effect.sync(() => library.mark("off")), Effect.promise(async () => {
            await Promise.resolve()
            await library.query("off too")
          })), false)
        }).pipe(Effect.withSpan("root"))
      )
      assert.deepEqual(spans.map(({ name }) => name), ["root"])
    }))

  it.live("an unsampled trace stays one, and its spans are not recorded", () =>
    Effect.gen(function*() {
      const { spans } = yield* traced(
        Effect.promise(async () => {
          const active = Otel.trace.getActiveSpan()!
          const span = library.tracer().startSpan("below")
          assert.deepEqual([span.isRecording(), span.spanContext().traceId, span.spanContext().traceFlags], [false, active.spanContext().traceId, 0])
          span.end()
        }).pipe(Effect.withSpan("root", { sampled: false }))
      )
      assert.deepEqual(spans, [])
    }))

  for (const [context, expected] of [["sync", [undefined, undefined]], ["async", ["root", undefined]], ["everywhere", ["root", "root"]]] satisfies ReadonlyArray<readonly [BridgeOptions["context"], unknown]>) {
    it.live(`context: "${context}" reaches as far as it says`, () =>
      Effect.gen(function*() {
        const { parents } = yield* traced(
          Effect.gen(function*() {
            yield* Effect.sync(() => library.mark("step"))
            yield* Effect.promise(async () => {
              await Promise.resolve()
              library.mark("after await")
            })
            yield* Effect.sync(() => void setTimeout(() => library.mark("left running"), 1))
            yield* Effect.sleep(15)
          }).pipe(Effect.withSpan("root")),
          { context: context as NonNullable<BridgeOptions["context"]> }
        )
        assert.strictEqual(parents["step"], "root")
        assert.deepEqual([parents["after await"], parents["left running"]], expected)
      }))
  }

  it.live("it stands alone: one bridge, no other SDK, and nothing remains of it", () =>
    Effect.gen(function*() {
      const failure = (effect: Effect.Effect<unknown, { readonly message: string }>) => Effect.map(Effect.flip(effect), ({ message }) => message)
      const build = Layer.fresh(OpenTelemetryBridge.layer())
      yield* Effect.provide(
        Effect.gen(function*() {
          assert.isTrue(Otel.trace.getTracer("x").startSpan("s").spanContext().traceId.length === 32)
          assert.match(yield* failure(Effect.scoped(Layer.build(Layer.fresh(OpenTelemetryBridge.layer())))), /has a tracer provider already: leave out the OpenTelemetry SDK/)
        }),
        build
      )
      assert.isFalse(Otel.isSpanContextValid(Otel.trace.getTracer("x").startSpan("s").spanContext()))
      const provider = { getTracer: () => Otel.trace.getTracer("none") }
      Otel.trace.setGlobalTracerProvider(provider)
      try {
        assert.match(yield* failure(Effect.scoped(Layer.build(build))), /has a tracer provider already/)
        yield* Effect.scoped(Layer.build(Layer.fresh(OpenTelemetryBridge.layer({ global: false }))))
      } finally {
        Otel.trace.disable()
      }
    }))
})

describe("with @effect/opentelemetry", () => {
  it.live("its words for OpenTelemetry's spans mean ours", () =>
    Effect.gen(function*() {
      const { parents, traces } = yield* traced(
        Effect.gen(function*() {
          const bridge = yield* OpenTelemetryBridge.OpenTelemetryBridge
          const outer = yield* OtelTracer.currentOtelSpan
          outer.setAttribute("seen", true)
          assert.strictEqual(outer.spanContext().spanId, (yield* Effect.currentSpan).spanId)
          // A tracer of its kind, over our provider.
          const otel = yield* Effect.provide(
            OtelTracer.OtelTracer,
            Layer.provide(OtelTracer.layerTracer, Layer.succeed(OtelTracer.OtelTracerProvider, bridge.tracerProvider))
          )
          const span = otel.startSpan("from its tracer")
          yield* Effect.void.pipe(Effect.withSpan("below it"), OtelTracer.withSpanContext(span.spanContext()))
          span.end()
        }).pipe(Effect.withSpan("root"))
      )
      assert.strictEqual(traces, 1)
      assert.deepEqual(parents, { root: undefined, "from its tracer": "root", "below it": "from its tracer" })
    }))
})
