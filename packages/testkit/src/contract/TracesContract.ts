import { type HistoryError, type SpanFilter, type TraceDeletion, TraceHistory, type Tracer } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { equal, type Law, LawBroken } from "./Law.ts"
import { SpansProbe } from "./SpansContract.ts"

/** The steps of a law: effects that fail only by breaking it. */
type Steps = Generator<Effect.Effect<any, LawBroken, any>, void, any>
type History = TraceHistory["Service"]

const law = (name: string, check: (history: History, settle: Effect.Effect<void>) => Steps): Law<TraceHistory | SpansProbe | Tracer> => ({
  name,
  check: Effect.gen(function*() {
    yield* check(yield* TraceHistory, (yield* SpansProbe).settle)
  })
})

/** An answer that must not fail. */
const answer = <A>(effect: Effect.Effect<A, HistoryError>): Effect.Effect<A, LawBroken> =>
  Effect.mapError(effect, (error) => new LawBroken({ message: `no answer: ${error.message}` }))

/** Records a root span with a child; the id of its trace. */
const record = (name: string, attributes: Readonly<Record<string, string | number | boolean>> = {}, fails = false): Effect.Effect<string> =>
  Effect.gen(function*() {
    let traceId = ""
    yield* Effect.map(Effect.orDie(Effect.currentSpan), (span) => {
      traceId = span.traceId
    }).pipe(
      Effect.andThen(fails ? Effect.fail(`${name} is out of stock`) : Effect.void),
      Effect.withSpan(`${name} step`, { attributes }),
      Effect.withSpan(name, { root: true, kind: "server" }),
      Effect.exit
    )
    return traceId
  })

const found = (history: History, filter: SpanFilter): Effect.Effect<ReadonlyArray<string>, LawBroken> =>
  Effect.map(answer(history.searchTraces({ limit: 1_000, ...filter })), ({ traces }) => traces.map(({ traceId }) => traceId).sort())

/** The minute around now. */
const around = Effect.map(Clock.currentTimeMillis, (now) => ({ startTime: now - 60_000, endTime: now + 60_000 }))

/** What holds for `TraceHistory`, whoever keeps the traces. Spans of one service are enough. */
export const laws: ReadonlyArray<Law<TraceHistory | SpansProbe | Tracer>> = [
  law("a search finds the traces with a span that meets every condition", function*(history, settle) {
    const red = yield* record("law search", { colour: "red", size: 42, "odd \"key\"": "50%_'\\" })
    const blue = yield* record("law search", { colour: "blue", size: 42 }, true)
    yield* settle
    const both = [red, blue].sort()
    yield* equal("by name", yield* found(history, { operation: "law search" }), both)
    yield* equal("by name of a child", yield* found(history, { operation: "law search step" }), both)
    yield* equal("by kind", yield* found(history, { operation: "law search", kind: "server" }), both)
    yield* equal("by another kind", yield* found(history, { operation: "law search", kind: "client" }), [])
    yield* equal("by attribute", yield* found(history, { operation: "law search step", attributes: { colour: "red" } }), [red])
    yield* equal("by number, as text too", yield* found(history, { operation: "law search step", attributes: { size: "42" } }), both)
    yield* equal("by two attributes", yield* found(history, { operation: "law search step", attributes: { colour: "blue", size: 42 } }), [blue])
    yield* equal("attribute on another span of the trace", yield* found(history, { operation: "law search", attributes: { colour: "red" } }), [])
    yield* equal("failed", yield* found(history, { operation: "law search", status: "ERROR" }), [blue])
    yield* equal("of any cluster", yield* found(history, { operation: "law search", resource: { cluster: { neq: "nowhere" } } }), both)
    yield* equal("of a cluster that is none", yield* found(history, { operation: "law search", resource: { cluster: "nowhere" } }), [])
    yield* equal("of no service", yield* found(history, { operation: "law search step", attributes: { colour: "red" }, resource: { service: { in: [] } } }), [])
    yield* equal("not failed", yield* found(history, { operation: "law search", status: "OK" }), [red])
    yield* equal("text of a name, in any case", yield* found(history, { text: "LAW sear", kind: "server" }), both)
    yield* equal("text of a message", yield* found(history, { operation: "law search step", text: "out of stock" }), [blue])
    yield* equal("text of a value, literally", yield* found(history, { operation: "law search step", text: "50%_'\\" }), [red])
    yield* equal("a pattern is no pattern", yield* found(history, { operation: "law search step", text: "5%'" }), [])
  }),
  law("durations and times bound a search", function*(history, settle) {
    const trace = yield* record("law bounds")
    yield* settle
    const { endTime, startTime } = yield* around
    yield* equal("within", yield* found(history, { operation: "law bounds", startTime, endTime }), [trace])
    yield* equal("before", yield* found(history, { operation: "law bounds", endTime: startTime }), [])
    yield* equal("after", yield* found(history, { operation: "law bounds", startTime: endTime }), [])
    yield* equal("shorter than a minute", yield* found(history, { operation: "law bounds", maxDuration: "1 minute" }), [trace])
    yield* equal("longer than a minute", yield* found(history, { operation: "law bounds", minDuration: "1 minute" }), [])
  }),
  law("pages follow each other without a gap or a repetition", function*(history, settle) {
    const ids: Array<string> = []
    for (let n = 0; n < 7; n++) ids.push(yield* record("law pages"))
    yield* settle
    for (const order of ["newest", "oldest", "slowest"] as const) {
      const seen: Array<string> = []
      let cursor: string | undefined
      for (let page = 0; page < 10; page++) {
        const next = yield* answer(history.searchTraces({ operation: "law pages", order, limit: 3, ...(cursor === undefined ? {} : { cursor }) }))
        seen.push(...next.traces.map(({ traceId }) => traceId))
        cursor = next.cursor
        if (cursor === undefined) break
      }
      yield* equal(`${order}: each once`, [...seen].sort(), [...ids].sort())
      const streamed = yield* answer(Stream.runCollect(history.streamTraces({ operation: "law pages", order, limit: 2 })))
      yield* equal(`${order}: as a stream`, streamed.map(({ traceId }) => traceId), seen)
    }
  }),
  law("a summary adds up the whole trace", function*(history, settle) {
    const trace = yield* record("law summary", {}, true)
    yield* settle
    const [summary] = (yield* answer(history.searchTraces({ operation: "law summary step" }))).traces
    const stored = yield* answer(history.getTrace(trace))
    yield* equal("name, spans, errors, status", [summary?.name, summary?.spanCount, summary?.errorCount, summary?.status], ["law summary", 2, 2, "ERROR"])
    yield* equal("start", summary?.startTime, stored?.spans[0]?.startTime)
    yield* equal("recent", (yield* answer(history.getRecentTraces({ status: "ERROR", limit: 1_000 }))).some(({ traceId }) => traceId === trace), true)
    yield* equal("not recent and well", (yield* answer(history.getRecentTraces({ status: "OK", limit: 1_000 }))).some(({ traceId }) => traceId === trace), false)
  }),
  law("a live reader hears of a trace that is stored while it listens", function*(history, settle) {
    const heard = yield* Effect.forkChild(
      answer(Stream.runCollect(Stream.take(Stream.filter(history.liveTraces, ({ name }) => name === "law live"), 1))),
      { startImmediately: true }
    )
    // Until it listens, what is stored may come before it.
    for (let n = 0; n < 50 && heard.pollUnsafe() === undefined; n++) {
      yield* record("law live")
      yield* settle
      yield* Effect.sleep("100 millis")
    }
    yield* equal("heard", (yield* Effect.timeoutOrElse(Fiber.join(heard), {
      duration: "10 seconds",
      orElse: () => Effect.fail(new LawBroken({ message: "nothing was heard within 10 seconds" }))
    })).map(({ spanCount }) => spanCount), [2])
  }),
  law("operations count spans and failures", function*(history, settle) {
    for (let n = 0; n < 5; n++) yield* record("law operations", {}, n < 2)
    yield* settle
    const all = yield* answer(history.operations({ ...(yield* around), limit: 1_000 }))
    const mine = all.filter(({ name }) => name === "law operations")
    yield* equal("one row", mine.map(({ count, errorCount, kind }) => [count, errorCount, kind]), [[5, 2, "server"]])
    yield* equal("quantiles in order", mine[0]!.p50 <= mine[0]!.p90 && mine[0]!.p90 <= mine[0]!.p99 && mine[0]!.p50 > 0, true)
  }),
  law("latency counts every span once, in points and heatmap", function*(history, settle) {
    for (let n = 0; n < 6; n++) yield* record("law latency", {}, n === 0)
    yield* settle
    const { bounds, points, quantiles } = yield* answer(history.latency({ ...(yield* around), operation: "law latency", step: "10 seconds", quantiles: [0, 1] }))
    const sum = (of: (point: (typeof points)[number]) => number) => points.reduce((total, point) => total + of(point), 0)
    yield* equal("points", points.length, 12)
    yield* equal("spans, failures", [sum(({ count }) => count), sum(({ errorCount }) => errorCount)], [6, 1])
    yield* equal("heatmap", sum(({ counts }) => counts.reduce((a, b) => a + b, 0)), 6)
    yield* equal("a count per bound", points.every(({ counts }) => counts.length === bounds.length), true)
    yield* equal("quantiles", quantiles, [0, 1])
  }),
  law("what differs is what the failures have and the others have not", function*(history, settle) {
    for (let n = 0; n < 40; n++) {
      const bad = n % 4 === 0
      yield* record("law differs", { region: bad ? "north" : ["south", "east", "north"][n % 3]!, n, kind: "same" }, bad)
    }
    yield* settle
    const { differences, rest, selected } = yield* answer(history.whatDiffers({
      among: { operation: "law differs step", ...(yield* around) },
      selection: { status: "ERROR" }
    }))
    yield* equal("compared", [selected, rest], [10, 30])
    yield* equal("first", [differences[0]?.key, differences[0]?.value, differences[0]?.selectedShare], ["region", "north", 1])
    yield* equal("nothing that all have", differences.some(({ value }) => value === "same"), false)
  }),
  law("what is deleted is gone, and nothing else", function*(history, settle) {
    const ids: Array<string> = []
    for (let n = 0; n < 4; n++) ids.push(yield* record("law deletion", { tenant: n < 2 ? "gone" : "stays" }))
    yield* settle
    const deleted = (what: TraceDeletion) => Effect.map(answer(history.deleteTraces(what)), ({ spans, traces }) => [spans, traces])
    yield* equal("a trace", yield* deleted({ traceId: ids[2]! }), [2, 1])
    yield* equal("again", yield* deleted({ traceId: ids[2]! }), [0, 0])
    yield* equal("a tenant", yield* deleted({ attribute: { key: "tenant", value: "gone" } }), [4, 2])
    yield* equal("what is left", yield* found(history, { operation: "law deletion" }), [ids[3]!])
    yield* equal("trace", yield* answer(history.getTrace(ids[0]!)), undefined)
  }),
  law("a question that makes no sense names the field", function*(history) {
    const wrong: ReadonlyArray<readonly [string, Effect.Effect<unknown, HistoryError>]> = [
      ["traceId", history.getTrace("abc123")],
      ["status", history.searchTraces({ status: "MAYBE" as never })],
      ["kind", history.searchTraces({ kind: "SERVER" as never })],
      ["endTime", history.searchTraces({ startTime: 2, endTime: 1 })],
      ["startTime", history.operations({ startTime: NaN })],
      ["endTime", history.dependencies({ endTime: new Date(NaN) })],
      ["minDuration", history.searchTraces({ minDuration: "long" as never })],
      ["maxDuration", history.searchTraces({ minDuration: 2, maxDuration: 1 })],
      ["text", history.searchTraces({ text: "x".repeat(257) })],
      ["attributes", history.searchTraces({ attributes: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`k${n}`, n])) })],
      ["cursor", history.searchTraces({ cursor: "'; drop table x" })],
      ["order", history.searchTraces({ order: "random" as never })],
      ["quantiles", history.latency({ quantiles: [2] })],
      ["selection.status", history.whatDiffers({ selection: { status: "x" as never } })],
      ["what", history.deleteTraces({} as never)],
      ["serviceName", history.deleteTraces({ serviceName: "" })]
    ]
    for (const [field, question] of wrong) {
      const error = yield* Effect.catch(Effect.flip(question), () => Effect.fail(new LawBroken({ message: `${field}: an answer` })))
      yield* equal(`${field}: reason`, error.reason, "invalid")
      yield* equal(`${field}: ${error.message}`, error.message.startsWith(field), true)
    }
  })
]
