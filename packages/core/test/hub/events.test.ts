import { assert, describe, it } from "@effect/vitest"
import { Cause, Console, Data, Effect, ErrorReporter, Exit, Fiber, Layer, Logger, Result, Scope } from "effect"
import {
  type BatchProcessor, Diagnostics, type ErrorData, ErrorPolicy, Exporter, Ledger, type LogData, Memory, MemoryBackend, ObservabilityConfig, quietly, Requests,
  settings, Telemetry
} from "../../src/index.ts"

class Declined extends Data.TaggedError("Declined")<{ readonly message: string; readonly cause?: unknown }> {}

const mute: Console.Console = { ...globalThis.console, log: () => {}, error: () => {} }
/** No output, and no lines but those the test logs. */
const silent = Layer.mergeAll(Layer.succeed(Console.Console, mute), ErrorPolicy.layer({ log: false }))

/** A backend for errors and log lines over the pipes of the hub. */
const backend = (errors: Array<ErrorData>, logs: Array<LogData>, answer: Effect.Effect<void, Exporter.ExportError> = Effect.void) =>
  Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const exporter = <A>(into: Array<A>): Exporter.Exporter<A> => ({
      export: (batch) => Effect.andThen(answer, Effect.sync(() => (into.push(...batch), Exporter.complete)))
    })
    const errorPipe = yield* telemetry.exportErrors({ name: "test", exporter: exporter(errors) })
    const logPipe = yield* telemetry.exportLogs({ name: "test", exporter: exporter(logs) })
    const signal = (of: "errors" | "logs", pipe: BatchProcessor.BatchProcessor<any>) => ({
      signal: of, ledger: pipe.ledger(), queuedItems: 0, queuedBytes: 0, oldestAgeMillis: 0, lastError: undefined
    })
    yield* telemetry.register({
      name: "test",
      kind: "test",
      onError: (error) => void errorPipe.offerUnsafe(error),
      onLog: (line) => void logPipe.offerUnsafe(line),
      flush: Effect.andThen(errorPipe.flush, logPipe.flush),
      report: () => ({ name: "test", kind: "test", status: "up", reason: undefined, signals: [signal("errors", errorPipe), signal("logs", logPipe)] })
    })
    return { errorPipe, logPipe }
  })

const balanced = Effect.gen(function*() {
  assert.deepStrictEqual((yield* (yield* Diagnostics).report).imbalances, [])
})

describe("errors and logs in the hub", () => {
  it.effect("reach a backend through pipes whose books balance", () =>
    Effect.gen(function*() {
      const errors: Array<ErrorData> = []
      const logs: Array<LogData> = []
      const { errorPipe, logPipe } = yield* backend(errors, logs)
      yield* Effect.fail(new Declined({ message: "no funds" })).pipe(Effect.withErrorReporting, Effect.exit)
      yield* Effect.logWarning("stock is low")
      yield* (yield* Telemetry).flush
      assert.deepStrictEqual(errors.map((one) => one.errorType), ["Declined"])
      assert.deepStrictEqual(logs.map((one) => one.message), ["stock is low"])
      for (const pipe of [errorPipe, logPipe]) {
        assert.strictEqual(pipe.ledger().exported, 1)
        assert.isUndefined(Ledger.imbalance(pipe.ledger()))
      }
      yield* balanced
    }).pipe(Effect.scoped, Effect.provide([Telemetry.layer, silent])))

  it.effect("a full pipe keeps the first errors and the last lines, and counts the others", () =>
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const errors: Array<ErrorData> = []
      const logs: Array<LogData> = []
      const into = <A>(kept: Array<A>): Exporter.Exporter<A> => ({ export: (batch) => Effect.sync(() => (kept.push(...batch), Exporter.complete)) })
      const errorPipe = yield* telemetry.exportErrors({ name: "test", exporter: into(errors), policy: { maxItems: 2 } })
      const logPipe = yield* telemetry.exportLogs({ name: "test", exporter: into(logs), policy: { maxItems: 2 } })
      yield* telemetry.register({
        name: "test", kind: "test", onError: (one) => void errorPipe.offerUnsafe(one), onLog: (one) => void logPipe.offerUnsafe(one),
        report: () => ({ name: "test", kind: "test", status: "up", reason: undefined, signals: [] })
      })
      for (let i = 0; i < 5; i++) {
        yield* Effect.fail(new Declined({ message: `${i}` })).pipe(Effect.withErrorReporting, Effect.exit)
        yield* Effect.log(`${i}`)
      }
      yield* Effect.andThen(errorPipe.flush, logPipe.flush)
      assert.deepStrictEqual(errors.map((one) => one.message), ["0", "1"])
      assert.deepStrictEqual(logs.map((one) => one.message), ["3", "4"])
      for (const pipe of [errorPipe, logPipe]) {
        const { accepted, dropped, offered, rejected } = pipe.ledger()
        assert.strictEqual(offered, 5)
        assert.strictEqual(accepted + Object.values(rejected).reduce((a, b) => a + b, 0), 5)
        assert.strictEqual(Object.values(dropped).reduce((a, b) => a + b, 0) + Object.values(rejected).reduce((a, b) => a + b, 0), 3)
        assert.isUndefined(Ledger.imbalance(pipe.ledger()))
      }
    }).pipe(Effect.scoped, Effect.provide([Telemetry.layer, silent])))

  it.effect("a listener that throws harms nobody and is counted", () =>
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const bad = () => {
        throw new Error("listener")
      }
      yield* telemetry.register({ name: "bad", kind: "test", onError: bad, onLog: bad, report: () => ({ name: "bad", kind: "test", status: "up", reason: undefined, signals: [] }) })
      yield* Effect.die(new Error("bug")).pipe(Effect.withErrorReporting, Effect.exit)
      yield* Effect.log("line")
      const memory = yield* MemoryBackend
      assert.strictEqual((yield* memory.errors).length, 1)
      assert.strictEqual((yield* memory.logs).length, 1)
      for (const signal of ["errors", "logs"]) {
        assert.strictEqual(yield* memory.getCounterValue("obs_dropped_metrics_total", { backend: "bad", signal, reason: "listener_defect" }), 1)
      }
      yield* balanced
    }).pipe(Effect.scoped, Effect.provide([Memory.layer(), silent])))

  it.effect("an error says all that is known of it", () =>
    Effect.gen(function*() {
      const low = new TypeError("x is not a function")
      const fail = Effect.fail(new Declined({ message: "card 12 declined", cause: low }))
      yield* Effect.log("about to charge").pipe(
        Effect.andThen(Effect.withErrorReporting(fail)),
        Effect.withSpan("charge"),
        Effect.withSpan("checkout"),
        Requests.within({ requestId: "r-1", userId: "ada", tenantId: "acme", module: "billing" }),
        Effect.exit
      )
      const memory = yield* MemoryBackend
      const [error] = yield* memory.errors
      assert.isDefined(error)
      const [charge] = yield* memory.spans
      assert.deepStrictEqual(
        [error!.kind, error!.errorClass, error!.level, error!.errorType, error!.message, error!.handled, error!.sampled],
        ["failure", "business", "warn", "Declined", "card 12 declined", false, true]
      )
      assert.deepStrictEqual(error!.spanNames, ["charge", "checkout"])
      assert.deepStrictEqual([error!.traceId, error!.spanId], [charge!.traceId, charge!.spanId])
      assert.deepStrictEqual([error!.requestId, error!.userId, error!.tenantId, error!.module], ["r-1", "ada", "acme", "billing"])
      assert.deepStrictEqual(error!.causes.map(({ message, parent, type }) => [type, message, parent]), [
        ["Declined", "card 12 declined", undefined],
        ["TypeError", "x is not a function", 0]
      ])
      assert.include(error!.stack, "events.test.ts")
      assert.match(error!.fingerprint, /^[0-9a-f]{16}$/)
      assert.deepStrictEqual(error!.breadcrumbs.map((line) => line.message), ["about to charge"])
      assert.strictEqual(charge!.attributes.get("error.id"), error!.errorId)
      assert.strictEqual(yield* memory.getCounterValue("errors_total", { class: "business", level: "warn", error_type: "Declined" }), 1)
      yield* balanced
    }).pipe(Effect.provide([Memory.layer(), silent])))

  it.effect("a failure, a defect beside it and an interruption are one error: the defect", () =>
    Effect.gen(function*() {
      const cause = Cause.fromReasons([Cause.makeInterruptReason(1), Cause.makeFailReason(new Declined({ message: "first" })), Cause.makeDieReason(new RangeError("worse"))])
      yield* Effect.failCause(cause).pipe(Effect.withErrorReporting, Effect.exit)
      yield* ErrorReporter.report(cause)
      const errors = yield* (yield* MemoryBackend).errors
      assert.deepStrictEqual(errors.map((one) => [one.kind, one.errorType, one.errorClass]), [["defect", "RangeError", "system"]])
      assert.deepStrictEqual(errors[0]!.causes.map((one) => [one.type, one.parent]), [["RangeError", undefined], ["Declined", undefined]])
    }).pipe(Effect.provide([Memory.layer(), silent])))

  it.effect("a line about an error has its id, before and after the report", () =>
    Effect.gen(function*() {
      const cause = Cause.fail(new Declined({ message: "why" }))
      yield* Effect.logError("first", cause)
      yield* ErrorReporter.report(cause)
      yield* Effect.logError("then", cause)
      const memory = yield* MemoryBackend
      const [error] = yield* memory.errors
      assert.deepStrictEqual((yield* memory.logs).map((line) => line.errorId), [error!.errorId, error!.errorId])
      assert.include((yield* memory.logs)[0]!.cause, "Declined")
    }).pipe(Effect.provide([Memory.layer(), silent])))

  it.effect("one error object in two requests is two errors", () =>
    Effect.gen(function*() {
      const constant = new Declined({ message: "constant" })
      const request = (requestId: string) => Effect.fail(constant).pipe(Effect.withErrorReporting, Effect.withErrorReporting, Requests.within({ requestId }), Effect.exit)
      yield* request("a")
      yield* request("b")
      const errors = yield* (yield* MemoryBackend).errors
      assert.deepStrictEqual(errors.map((one) => one.requestId), ["a", "b"])
      assert.strictEqual(new Set(errors.map((one) => one.errorId)).size, 2)
    }).pipe(Effect.provide([Memory.layer(), silent])))

  it.effect("an error that asks to be ignored is", () =>
    Effect.gen(function*() {
      class Quiet extends Data.TaggedError("Quiet")<{}> {
        override readonly [ErrorReporter.ignore] = true
      }
      yield* Effect.fail(new Quiet()).pipe(Effect.withErrorReporting, Effect.exit)
      assert.deepStrictEqual(yield* (yield* MemoryBackend).errors, [])
      assert.strictEqual(yield* (yield* MemoryBackend).getCounterValue("errors_total"), 0)
    }).pipe(Effect.provide([Memory.layer(), silent])))

  it.effect("hostile errors cost nobody anything", () =>
    Effect.gen(function*() {
      const throwing = new Proxy({}, { get: () => { throw new Error("getter") }, has: () => { throw new Error("has") } })
      const loop: { cause?: unknown; message: string } = { message: "loop" }
      loop.cause = loop
      const endless = { message: "endless", get cause(): unknown { return { ...endless } } }
      const all: ReadonlyArray<unknown> = [throwing, loop, endless, null, undefined, 12n, Symbol("s"), () => {}, Cause.die(new Error("inside")), new AggregateError([new Error("a"), new Error("b")], "both")]
      for (const one of all) {
        const exit = yield* Effect.fail(one).pipe(Effect.withErrorReporting, Effect.exit)
        assert.isTrue(Exit.isFailure(exit))
        if (one !== throwing) yield* Effect.logError("hostile", one)
      }
      const errors = yield* (yield* MemoryBackend).errors
      assert.strictEqual(errors.length, all.length)
      for (const one of errors) assert.isAtMost(one.causes.length, 16)
      assert.strictEqual(errors[8]!.errorType, "Error")
      assert.strictEqual(errors[8]!.message, "inside")
      assert.deepStrictEqual(errors[9]!.causes.map((one) => [one.message, one.parent]), [["both", undefined], ["a", 0], ["b", 0]])
      assert.strictEqual((yield* (yield* MemoryBackend).logs).length, all.length - 1)
    }).pipe(Effect.provide([Memory.layer(), silent])))

  it.effect("a line that cannot be read costs neither itself nor its neighbours", () =>
    Effect.gen(function*() {
      const loop: Record<string, unknown> = {}
      loop["self"] = loop
      const bad = { get value(): never { throw new Error("getter") } }
      yield* Effect.withSpan(Effect.logWarning("odd", loop, bad, 1n), "s")
      const memory = yield* MemoryBackend
      assert.strictEqual((yield* memory.logs).length, 1)
      const [span] = yield* memory.spans
      assert.strictEqual(span!.events[0]!.name, "odd [unreadable] [unreadable] \"1\"")
    }).pipe(Effect.provide([Memory.layer(), silent])))

  it.effect("chatter is no event of the span, warnings are", () =>
    Effect.gen(function*() {
      yield* Effect.withSpan(Effect.andThen(Effect.logInfo("chatter"), Effect.logWarning("warned").pipe(Effect.annotateLogs({ item: "apple", password: "hunter2secret" }))), "s")
      const [span] = yield* (yield* MemoryBackend).spans
      assert.deepStrictEqual(span!.events.map((event) => [event.name, event.attributes["effect.logLevel"], event.attributes["item"]]), [["warned", "WARN", "apple"]])
      assert.notInclude(JSON.stringify(span!.events[0]!.attributes), "hunter2secret")
    }).pipe(Effect.provide([Memory.layer(), silent])))

  it.effect("what comes from elsewhere loses its secrets first", () =>
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const memory = yield* MemoryBackend
      yield* Effect.fail("x").pipe(Effect.withErrorReporting, Effect.exit)
      yield* Effect.log("x")
      const [error] = yield* memory.errors
      const [line] = yield* memory.logs
      const secret = "password=hunter2secret"
      const dirty = { ...line!, message: secret, cause: secret, attributes: new Map([["api_key", "hunter2secret"]]) }
      telemetry.recordLogUnsafe(dirty)
      telemetry.recordErrorUnsafe({
        ...error!, message: secret, stack: secret, causes: [{ type: "E", message: secret, stack: secret, parent: undefined }],
        attributes: new Map([["password", "hunter2secret"]]), breadcrumbs: [dirty]
      })
      const text = JSON.stringify([yield* memory.errors, yield* memory.logs], (_, one) => typeof one === "bigint" ? String(one) : one instanceof Map ? [...one] : one)
      assert.strictEqual((yield* memory.errors).length, 2)
      assert.notInclude(text, "hunter2secret")
      telemetry.recordErrorUnsafe(undefined as never)
      telemetry.recordLogUnsafe({} as never)
      assert.strictEqual((yield* memory.errors).length, 2)
    }).pipe(Effect.provide([Memory.layer(), silent])))

  it.effect("the toolkit's own lines and errors reach the loggers, and no backend", () =>
    Effect.gen(function*() {
      yield* quietly(Effect.logError("own").pipe(Effect.andThen(Effect.fail("own")), Effect.withErrorReporting, Effect.exit))
      const memory = yield* MemoryBackend
      assert.deepStrictEqual([...yield* memory.errors, ...yield* memory.logs], [])
    }).pipe(Effect.provide([Memory.layer(), silent])))

  it.effect("nothing is kept when everything is switched off, and nobody listens when nobody registered", () =>
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      assert.isFalse(telemetry.listensTo("errors"))
      const scope = yield* Scope.make()
      yield* telemetry.register({ name: "one", kind: "test", onError: () => {}, report: () => ({ name: "one", kind: "test", status: "up", reason: undefined, signals: [] }) }).pipe(Scope.provide(scope))
      assert.isTrue(telemetry.listensTo("errors"))
      assert.isFalse(telemetry.listensTo("logs"))
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(telemetry.listensTo("errors"))
      const off = yield* Effect.gen(function*() {
        yield* Effect.log("line").pipe(Effect.andThen(Effect.fail("x")), Effect.withErrorReporting, Effect.exit)
        const memory = yield* MemoryBackend
        return [...yield* memory.errors, ...yield* memory.logs]
      }).pipe(Effect.provide(Layer.fresh(Memory.layer()).pipe(Layer.provide(Layer.succeed(ObservabilityConfig, Result.getOrThrow(settings({ enabled: false })))))))
      assert.deepStrictEqual(off, [])
    }).pipe(Effect.provide([Telemetry.layer, silent])))

  it.effect("loggers and reporters given outside of the hub stay", () => {
    const lines: Array<unknown> = []
    const reports: Array<string> = []
    const mine = Layer.mergeAll(
      Logger.layer([Logger.make(({ message }) => void lines.push(message))]),
      ErrorReporter.layer([ErrorReporter.make(({ error }) => void reports.push(error.message))])
    )
    return Effect.gen(function*() {
      yield* Effect.log("both")
      yield* Effect.fail(new Error("seen twice")).pipe(Effect.withErrorReporting, Effect.exit)
      const memory = yield* MemoryBackend
      assert.deepStrictEqual(lines, [["both"]])
      assert.deepStrictEqual(reports, ["seen twice"])
      assert.deepStrictEqual((yield* memory.logs).map((line) => line.message), ["both"])
      assert.deepStrictEqual((yield* memory.errors).map((one) => one.message), ["seen twice"])
    }).pipe(Effect.provide(Memory.layer()), Effect.provide([mine, ErrorPolicy.layer({ log: false })]))
  })

  it.effect("lines of a fiber, a request and a trace do not mix", () =>
    Effect.gen(function*() {
      const work = (name: string) => Effect.log(name).pipe(Effect.andThen(Effect.yieldNow), Effect.andThen(Effect.fail(new Error(name))), Effect.withErrorReporting, Effect.exit)
      yield* Effect.all([
        Requests.within({ requestId: "r-1" })(work("request")), Effect.withSpan(work("span"), "s"), Effect.flatMap(Effect.forkChild(work("fiber")), Fiber.join)
      ], { concurrency: 3 })
      for (const error of yield* (yield* MemoryBackend).errors) assert.deepStrictEqual(error.breadcrumbs.map((line) => line.message), [error.message])
    }).pipe(Effect.provide([Memory.layer(), silent])))
})
