import { IdGenerator, Propagation, type Tracer } from "@effect-observability/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as EffectTracer from "effect/Tracer"
import type { SpanData } from "@effect-observability/core"
import { equal, type Law, LawBroken } from "./Law.ts"

/** How a backend is asked for the spans it holds. */
export class SpansProbe extends Context.Service<SpansProbe, {
  readonly trace: (traceId: string) => Effect.Effect<ReadonlyArray<SpanData>>
  /** How many spans it holds in all. */
  readonly count: Effect.Effect<number>
  readonly settle: Effect.Effect<void>
}>()("@effect-observability/testkit/SpansProbe") {}

/** The steps of a law: effects that fail only by breaking it. */
type Steps = Generator<Effect.Effect<any, LawBroken>, void, any>
type Probe = SpansProbe["Service"]

const law = (name: string, check: (probe: Probe) => Steps): Law<SpansProbe | Tracer> => ({
  name,
  check: Effect.gen(function*() {
    yield* check(yield* SpansProbe)
  })
})

/** Runs an effect below a root span and gives all spans of its trace, as the backend holds them. */
const traced = <E, R>(probe: Probe, effect: Effect.Effect<unknown, E, R>, options?: EffectTracer.SpanOptions) =>
  Effect.gen(function*() {
    let traceId = ""
    const remember = Effect.map(Effect.orDie(Effect.currentSpan), (span) => {
      traceId = span.traceId
    })
    yield* Effect.andThen(remember, effect).pipe(Effect.withSpan("root", { ...options, root: true }), Effect.exit)
    yield* probe.settle
    return yield* probe.trace(traceId)
  })

const named = (spans: ReadonlyArray<SpanData>, name: string): Effect.Effect<SpanData, LawBroken> => {
  const found = spans.filter((span) => span.name === name)
  return found.length === 1
    ? Effect.succeed(found[0]!)
    : Effect.fail(new LawBroken({ message: `expected one span "${name}", got ${found.length} among [${spans.map((span) => span.name).join(", ")}]` }))
}

const ids = IdGenerator.fromCrypto()
/** A trace id that no other law has. */
const freshTrace = (): string => IdGenerator.hexId(ids)

/** What holds for spans in every backend. */
export const laws: ReadonlyArray<Law<SpansProbe | Tracer>> = [
  law("a span keeps name, kind and attributes", function*(probe) {
    const spans = yield* traced(probe, Effect.void, { kind: "client", attributes: { text: "a", number: 1.5, flag: true, list: ["x", "y"] } })
    const root = yield* named(spans, "root")
    yield* equal("kind", root.kind, "client")
    yield* equal("text", root.attributes.get("text"), "a")
    yield* equal("number", root.attributes.get("number"), 1.5)
    yield* equal("flag", root.attributes.get("flag"), true)
    yield* equal("list", root.attributes.get("list"), ["x", "y"])
  }),
  law("a child belongs to its parent and to its trace", function*(probe) {
    const spans = yield* traced(probe, Effect.void.pipe(Effect.withSpan("leaf"), Effect.withSpan("middle")))
    const root = yield* named(spans, "root")
    const middle = yield* named(spans, "middle")
    const leaf = yield* named(spans, "leaf")
    yield* equal("root's parent", root.parentSpanId, undefined)
    yield* equal("middle's parent", middle.parentSpanId, root.spanId)
    yield* equal("leaf's parent", leaf.parentSpanId, middle.spanId)
    yield* equal("trace", leaf.traceId, root.traceId)
  }),
  law("siblings share a parent, and ids differ", function*(probe) {
    const spans = yield* traced(probe, Effect.all([Effect.withSpan(Effect.void, "a"), Effect.withSpan(Effect.void, "b")], { concurrency: 2 }))
    const root = yield* named(spans, "root")
    const a = yield* named(spans, "a")
    const b = yield* named(spans, "b")
    yield* equal("parents", [a.parentSpanId, b.parentSpanId], [root.spanId, root.spanId])
    yield* equal("different ids", new Set(spans.map((span) => span.spanId)).size, 3)
  }),
  law("a success is no error", function*(probe) {
    const root = yield* named(yield* traced(probe, Effect.succeed(1)), "root")
    yield* equal("status is error", root.status === "error", false)
    yield* equal("message", root.statusMessage, undefined)
  }),
  law("a failure is an error with its message", function*(probe) {
    const root = yield* named(yield* traced(probe, Effect.fail(new LawBroken({ message: "no funds" }))), "root")
    yield* equal("status", root.status, "error")
    yield* equal("message", root.statusMessage?.includes("no funds"), true)
  }),
  law("a defect is an error with its message", function*(probe) {
    const root = yield* named(yield* traced(probe, Effect.die(new TypeError("broken"))), "root")
    yield* equal("status", root.status, "error")
    yield* equal("message", root.statusMessage?.includes("broken"), true)
  }),
  law("an interruption ends the span", function*(probe) {
    const spans = yield* traced(
      probe,
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(Effect.withSpan(Effect.never, "stopped"), { startImmediately: true })
        yield* Fiber.interrupt(fiber)
      })
    )
    const stopped = yield* named(spans, "stopped")
    yield* equal("status is error", stopped.status === "error", false)
  }),
  law("times are in order, and a parent covers its child", function*(probe) {
    const spans = yield* traced(probe, Effect.withSpan(Effect.yieldNow, "inner"))
    const root = yield* named(spans, "root")
    const inner = yield* named(spans, "inner")
    yield* equal("start ≤ end", inner.startTime <= inner.endTime, true)
    yield* equal("covered", root.startTime <= inner.startTime && inner.endTime <= root.endTime, true)
  }),
  law("events keep name, time and attributes", function*(probe) {
    const spans = yield* traced(
      probe,
      Effect.gen(function*() {
        const span = yield* Effect.currentSpan
        span.event("halfway", 1_700_000_000_123_456_000n, { step: "two" })
      })
    )
    const [event] = (yield* named(spans, "root")).events
    yield* equal("name", event?.name, "halfway")
    yield* equal("time", event?.time, 1_700_000_000_123_456_000n)
    yield* equal("attribute", event?.attributes["step"], "two")
  }),
  law("links are kept", function*(probe) {
    const span = EffectTracer.externalSpan({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", sampled: true })
    const [link] = (yield* named(yield* traced(probe, Effect.void, { links: [{ span, attributes: {} }] }), "root")).links
    yield* equal("link", [link?.traceId, link?.spanId], ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"])
  }),
  law("links keep their attributes", function*(probe) {
    const span = EffectTracer.externalSpan({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", sampled: true })
    const [link] = (yield* named(yield* traced(probe, Effect.void, { links: [{ span, attributes: { reason: "retry" } }] }), "root")).links
    yield* equal("attribute", link?.attributes["reason"], "retry")
  }),
  law("every kind of span is kept", function*(probe) {
    const kinds = ["internal", "server", "client", "producer", "consumer"] as const
    const spans = yield* traced(probe, Effect.forEach(kinds, (kind) => Effect.withSpan(Effect.void, kind, { kind }), { discard: true }))
    for (const kind of kinds) yield* equal(kind, (yield* named(spans, kind)).kind, kind)
  }),
  law("numbers and lists come back as they went in", function*(probe) {
    const values: ReadonlyArray<readonly [name: string, value: unknown]> = [
      ["zero", 0], ["negative", -17.25], ["large", 9007199254740991], ["tiny", 5e-324], ["false", false], ["empty", ""], ["numbers", [1, -2.5]], ["flags", [true, false]], ["nothing", []]
    ]
    const root = yield* named(yield* traced(probe, Effect.void, { attributes: Object.fromEntries(values) }), "root")
    for (const [name, value] of values) yield* equal(name, root.attributes.get(name), value)
  }),
  law("a failure has its type and an exception event", function*(probe) {
    const root = yield* named(yield* traced(probe, Effect.fail(new LawBroken({ message: "no funds" }))), "root")
    const exception = root.events.find((event) => event.name === "exception")
    yield* equal("error.type", root.attributes.get("error.type"), "LawBroken")
    yield* equal("exception.type", exception?.attributes["exception.type"], "LawBroken")
    yield* equal("exception.message", exception?.attributes["exception.message"], "no funds")
  }),
  law("a remote parent is kept, with its tracestate and the weight that says", function*(probe) {
    // th:8 is a probability of one half (OpenTelemetry, "TraceState: Probability Sampling").
    const parent = Propagation.remoteSpan({ traceId: freshTrace(), spanId: "b7ad6b7169203331", sampled: true }, "ot=th:8,vendor=a")
    yield* Effect.void.pipe(Effect.withSpan("below"), Effect.withSpan("entry", { parent, kind: "server" }))
    yield* probe.settle
    const spans = yield* probe.trace(parent.traceId)
    const entry = yield* named(spans, "entry")
    yield* equal("parent", entry.parentSpanId, "b7ad6b7169203331")
    yield* equal("tracestate", entry.traceState, "ot=th:8,vendor=a")
    yield* equal("weights", spans.map((span) => span.weight), [2, 2])
  }),
  law("what the limits leave out is counted", function*(probe) {
    const spans = yield* traced(
      probe,
      Effect.gen(function*() {
        const span = yield* Effect.currentSpan
        for (let i = 0; i < 200; i++) {
          span.attribute(`k${i}`, i)
          span.event(`e${i}`, 1n)
          span.addLinks([{ span, attributes: {} }])
        }
      })
    )
    const root = yield* named(spans, "root")
    yield* equal("kept", [root.attributes.size, root.events.length, root.links.length], [128, 128, 128])
    yield* equal("dropped", [root.droppedAttributes, root.droppedEvents, root.droppedLinks], [72, 72, 72])
  }),
  law("a huge span arrives, cut", function*(probe) {
    const spans = yield* traced(
      probe,
      Effect.gen(function*() {
        const span = yield* Effect.currentSpan
        for (let i = 0; i < 100; i++) span.event("step", 1n, { text: "x".repeat(20_000), deep: { a: Array.from({ length: 500 }, () => "y".repeat(100)) } })
      }),
      { attributes: { text: "z".repeat(1_000_000) } }
    )
    const root = yield* named(spans, "root")
    yield* equal("attribute", String(root.attributes.get("text")).length, 4096)
    yield* equal("events", root.events.map((event) => String(event.attributes["text"]).length), Array.from({ length: 100 }, () => 4096))
  }),
  law("text that databases refuse costs no span", function*(probe) {
    const text = "nul \u0000, half a pair \ud800, bell \u0007"
    const spans = yield* traced(probe, Effect.fail(text).pipe(Effect.withSpan("odd", { attributes: { [text]: text } }), Effect.ignore))
    yield* equal("span", spans.some((span) => span.name === "odd"), true)
  }),
  law("secrets never reach a backend", function*(probe) {
    const secret = "canary-4d1f"
    const spans = yield* traced(
      probe,
      Effect.gen(function*() {
        const span = yield* Effect.currentSpan
        span.attribute("password", secret)
        span.attribute("body", { user: { api_key: secret }, url: `https://u:${secret}@example.org/?token=${secret}` })
        span.event("sent", 1n, { "db.query.text": `select '${secret}'` })
        return yield* Effect.fail(new LawBroken({ message: `connect to postgres://app:${secret}@db/shop failed` }))
      })
    )
    const root = yield* named(spans, "root")
    const seen = JSON.stringify([[...root.attributes], root.events.map(({ attributes }) => attributes), root.statusMessage ?? null])
    yield* equal("secret in what is kept", seen.includes(secret), false)
    yield* equal("password", root.attributes.get("password"), "REDACTED")
  }),
  law("an unsampled span is not kept, nor what is below it", function*(probe) {
    const spans = yield* traced(probe, Effect.withSpan(Effect.void, "below"), { sampled: false })
    yield* equal("spans", spans.length, 0)
  }),
  law("text comes back as it went in", function*(probe) {
    const text = "a\"b\\c\nd üñï 请求 🎉 '; drop table t;--"
    const spans = yield* traced(probe, Effect.withSpan(Effect.void, text, { attributes: { [text]: text } }))
    const found = yield* named(spans, text)
    yield* equal("attribute", found.attributes.get(text), text)
  }),
  law("a span that has ended does not change", function*(probe) {
    const spans = yield* traced(
      probe,
      Effect.gen(function*() {
        const span = yield* Effect.withSpan(Effect.currentSpan, "over")
        span.attribute("late", 1)
        span.event("late", 1n)
        span.end(9_999_999_999_999_999_999n, Exit.fail("late"))
      })
    )
    const over = yield* named(spans, "over")
    yield* equal("attribute, event, status", [over.attributes.has("late"), over.events.length, over.status === "error"], [false, 0, false])
  }),
  law("200 spans of concurrent fibers all arrive, once", function*(probe) {
    const spans = yield* traced(
      probe,
      Effect.forEach(Array.from({ length: 200 }, (_, i) => i), (i) => Effect.withSpan(Effect.yieldNow, `n${i}`), { concurrency: "unbounded", discard: true })
    )
    yield* equal("spans", spans.length, 201)
    yield* equal("names", new Set(spans.map((span) => span.name)).size, 201)
  }),
  law("flushing twice does not double", function*(probe) {
    const spans = yield* traced(probe, Effect.withSpan(Effect.void, "once"))
    yield* probe.settle
    const again = yield* probe.trace(spans[0]?.traceId ?? "")
    yield* equal("spans", again.length, 2)
  }),
  law("the toolkit makes no spans of its own: none over 100 flushes", function*(probe) {
    yield* probe.settle
    const before = yield* probe.count
    for (let i = 0; i < 100; i++) yield* probe.settle
    yield* equal("spans", (yield* probe.count) - before, 0)
  })
]
