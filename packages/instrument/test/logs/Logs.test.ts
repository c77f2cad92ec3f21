import { type Diagnostics, type LogData, Memory, MemoryBackend, MetricDefinition, MetricsRecorder, ObservabilityConfig, Requests, Sampler, StandardMetrics, Telemetry } from "@effect-observability/core"
import { Errors, Logs } from "@effect-observability/instrument"
import { expectLedgerBalanced } from "@effect-observability/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Console, Effect, Exit, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { pino } from "pino"

/** A console that keeps what is written. */
const console_ = () => {
  const written: Array<string> = []
  const keep = (...all: ReadonlyArray<unknown>) => void written.push(all.map((one) => typeof one === "string" ? one : JSON.stringify(one)).join(" "))
  return { written, layer: Layer.succeed(Console.Console, { ...globalThis.console, log: keep, error: keep }) }
}

const named = ObservabilityConfig.layer({ env: "prod", tracing: { serviceName: "shop" } })
const traceUrl = "https://obs.example.com/t/{trace_id}?s={span_id}"

/** Runs with our loggers and the memory backend, and gives what the console got. */
const run = <A, E>(
  options: Logs.LogsOptions,
  body: Effect.Effect<A, E, MemoryBackend | Telemetry | MetricsRecorder | Diagnostics>,
  settings: Layer.Layer<never, any> = named,
  outside: Layer.Layer<never> = Layer.empty
) => {
  const { layer, written } = console_()
  return Effect.map(
    body.pipe(
      Effect.provide(Logs.layerOn(options).pipe(Layer.provideMerge(Memory.layer()), Layer.provide(settings))),
      Effect.provide(Layer.mergeAll(layer, outside))
    ),
    (answer) => ({ answer, written })
  )
}
const parsed = (written: ReadonlyArray<string>): ReadonlyArray<Record<string, any>> => written.map((one) => JSON.parse(one))

const request = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  self.pipe(Effect.withSpan("work", { root: true }), Requests.within({ requestId: "r-1", userId: "ada", tenantId: "acme", module: "billing" }))

describe("log lines", () => {
  it.effect("in JSON carry ids and the shared context", () =>
    Effect.gen(function*() {
      const { answer: spans, written } = yield* run({ traceUrl }, Effect.gen(function*() {
        yield* request(Effect.logWarning("stock is low", { left: 3 }).pipe(Effect.annotateLogs({ item: "apple", trace_id: "forged" }), Effect.withLogSpan("check")))
        yield* Effect.logInfo("outside")
        yield* expectLedgerBalanced
        return yield* (yield* MemoryBackend).spans
      }))
      const [line, outside] = parsed(written)
      const { spanId, traceId } = spans[0]!
      assert.deepStrictEqual(line, {
        timestamp: line!["timestamp"], level: "WARN", message: "stock is low {\"left\":3}",
        trace_id: traceId, span_id: spanId, trace_flags: "01", request_id: "r-1", service: "shop", env: "prod", instance: line!["instance"], module: "billing", tenant_id: "acme",
        user_id: "ada", trace_url: `https://obs.example.com/t/${traceId}?s=${spanId}`, item: "apple", spans: { check: 0 }
      })
      assert.match(line!["timestamp"], /^1970-01-01T00:00:00\.\d{3}Z$/)
      assert.deepStrictEqual(Object.keys(outside!), ["timestamp", "level", "message", "service", "env", "instance"])
      assert.deepStrictEqual(spans[0]!.events.map((event) => event.name), ["stock is low {\"left\":3}"])
    }))

  it.effect("any Effect format carries them too", () =>
    Effect.gen(function*() {
      for (const format of [Logger.formatLogFmt, Logger.formatSimple, Logger.formatJson]) {
        const { written } = yield* run({ format, traceUrl }, request(Effect.logInfo("hello")))
        for (const part of ["trace_id", "span_id", "trace_flags", "r-1", "shop", "prod", "billing", "acme", "ada", "https://obs.example.com/t/"]) assert.include(written[0], part)
      }
      const logfmt = (yield* run({ format: "logfmt" }, request(Effect.logInfo("two words")))).written[0]!
      assert.include(logfmt, "message=\"two words\" trace_id=")
      assert.include(logfmt, " user_id=ada")
      const pretty = (yield* run({ format: "pretty", colors: false }, request(Effect.logError("broken", Cause.fail(new Error("why")))))).written[0]!
      assert.match(pretty, /^\d\d:\d\d:\d\d\.\d{3} ERROR broken trace_id=[0-9a-f]{32} request_id=r-1 error_id=[0-9a-f]{32} module=billing tenant_id=acme user_id=ada\n  Error: why/)
    }))

  it.effect("the address of a trace may come from the settings, which are checked", () =>
    Effect.gen(function*() {
      const { written } = yield* run({}, request(Effect.logInfo("x")), ObservabilityConfig.layer({ env: "prod", tracing: { traceUrl } }))
      assert.match(parsed(written)[0]!["trace_url"], /^https:\/\/obs\.example\.com\/t\/[0-9a-f]{32}\?s=[0-9a-f]{16}$/)
      const exit = yield* Effect.exit(run({}, Effect.void, ObservabilityConfig.layer({ tracing: { traceUrl: "javascript:alert(1)" } })))
      assert.isTrue(Exit.isFailure(exit) && String(exit.cause).includes("traceUrl"))
    }))

  it.effect("development is pretty, production is JSON", () =>
    Effect.gen(function*() {
      const dev = yield* run({}, Effect.logInfo("x"), ObservabilityConfig.layer({ env: "dev" }))
      assert.include(dev.written[0], "\u001b[32mINFO \u001b[0m x")
      assert.strictEqual(parsed((yield* run({}, Effect.logInfo("x"))).written)[0]!["message"], "x")
      assert.deepStrictEqual((yield* run({ format: "none" }, Effect.logInfo("x"))).written, [])
    }))

  it.effect("nothing in them is obeyed by a terminal or begins another line, and no secret is in them", () =>
    Effect.gen(function*() {
      const hostile = "a\r\n2026 INFO forged\u001b[31m\u0000\u009b2J\u202etxt.exe\u2066\u2028\ud800 password=hunter2secret"
      const body = Effect.logError(hostile, Cause.fail(new Error(hostile))).pipe(Effect.annotateLogs({ "name\r\n\u001b[31m": hostile, token: "hunter2secret" }), request)
      const formats: ReadonlyArray<Logs.LogsOptions> = [{ format: "json" }, { format: "logfmt" }, { format: "pretty", colors: false }, { format: Logger.formatSimple }, { format: Logger.formatLogFmt }]
      for (const options of formats) {
        const [line] = (yield* run(options, body)).written
        // oxlint-disable-next-line no-control-regex
        assert.notMatch(line!, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u2028\u2029]/)
        assert.isTrue(line!.isWellFormed())
        assert.notInclude(line, "hunter2secret")
        // A line break of ours is followed by an indentation.
        for (const rest of line!.split("\n").slice(1)) assert.notMatch(rest, /^\S*2026/)
      }
      const json = parsed((yield* run({ format: "json" }, body)).written)[0]!
      assert.include(json["message"], "a\r\n2026 INFO forged\u001b[31m")
    }))

  it.effect("follow the trace: INFO of a trace that is not kept waits, and is written when it turns bad", () =>
    Effect.gen(function*() {
      const never = ObservabilityConfig.layer({ env: "prod", tracing: { sampler: Sampler.never } })
      const { answer, written } = yield* run({ sampling: "trace", maxHeld: 3 }, Effect.gen(function*() {
        const memory = yield* MemoryBackend
        yield* Effect.logInfo("outside")
        yield* Effect.withSpan(Effect.andThen(Effect.logInfo("lost 1"), Effect.logInfo("lost 2")), "good")
        yield* Effect.withSpan(Effect.gen(function*() {
          yield* Effect.logInfo("before 1").pipe(Effect.annotateLogs("step", 1))
          yield* Effect.logDebug("below the minimum level")
          yield* Effect.logInfo("before 2")
          assert.isFalse((yield* memory.logs).some((line) => line.message.startsWith("before")))
          yield* Effect.logWarning("bad")
          yield* Effect.logInfo("after")
        }), "bad")
        yield* Effect.withSpan(Effect.gen(function*() {
          yield* Effect.logInfo("silent before")
          yield* Errors.report(new Error("reported"))
        }), "reported")
        const [error] = yield* memory.errors
        assert.deepStrictEqual(error!.breadcrumbs.map((line) => line.message).slice(0, 1), ["silent before"])
        for (let i = 0; i < 5; i++) yield* Effect.withSpan(Effect.logInfo(`chatter ${i}`), "chatter")
        yield* expectLedgerBalanced
        return [(yield* memory.logs).map((line) => line.message), yield* memory.getCounterValue(StandardMetrics.LogsSampledOut)] as const
      }), never)
      const messages = ["outside", "before 1", "before 2", "bad", "after", "silent before", "Error: reported"]
      assert.deepStrictEqual(parsed(written).map((line) => line["message"]), messages)
      assert.strictEqual(parsed(written)[1]!["step"], 1)
      assert.match(parsed(written)[1]!["trace_id"], /^[0-9a-f]{32}$/)
      assert.deepStrictEqual(answer[0], messages)
      // Seven waited in vain, three of them still do.
      assert.strictEqual(answer[1], 4)
    }))

  it.effect("of a kept trace, and without anybody who decides about traces, all are written", () =>
    Effect.gen(function*() {
      const { written } = yield* run({ sampling: "trace" }, Effect.withSpan(Effect.logInfo("kept"), "s"))
      assert.strictEqual(parsed(written)[0]!["message"], "kept")
      const { layer, written: alone } = console_()
      yield* Effect.withSpan(Effect.logInfo("nobody decides"), "s").pipe(Effect.provide(Logs.layer({ sampling: "trace", format: "json" })), Effect.provide(layer))
      assert.strictEqual(parsed(alone)[0]!["message"], "nobody decides")
    }))

  it.effect("a released line looks the same in every format and goes to every logger", () =>
    Effect.gen(function*() {
      const never = ObservabilityConfig.layer({ env: "prod", tracing: { sampler: Sampler.never } })
      const seen: Array<string> = []
      const mine = Logger.make((options) => void seen.push(Logger.formatLogFmt.log(options)))
      const { written } = yield* run(
        { sampling: "trace", format: Logger.formatLogFmt, loggers: [mine] },
        Effect.withSpan(Effect.andThen(Effect.logInfo("held"), Effect.logError("bad")), "s"), never
      )
      assert.strictEqual(written.length, 2)
      assert.include(written[0], "message=held")
      assert.include(written[0], "trace_id=")
      assert.deepStrictEqual(seen.length, 2)
      assert.include(seen[0], "message=held")
    }))

  it.effect("a second layer that writes is refused in words", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.void.pipe(Effect.provide(Layer.mergeAll(Logs.layerOn(), Logs.layerOn()).pipe(Layer.provideMerge(Telemetry.layer))), Effect.exit)
      assert.isTrue(Exit.isFailure(exit) && String(exit.cause).includes("keep one Logs.layer"))
    }))

  it.effect("a console or a logger that throws disturbs nobody", () =>
    Effect.gen(function*() {
      const bad = () => { throw new Error("console") }
      const seen: Array<unknown> = []
      const logs = yield* Effect.gen(function*() {
        yield* Effect.logInfo("x")
        return yield* (yield* MemoryBackend).logs
      }).pipe(
        Effect.provide(Logs.layerOn({ loggers: [Logger.make(bad), Logger.make(({ message }) => void seen.push(message))] }).pipe(Layer.provideMerge(Memory.layer()))),
        Effect.provideService(Console.Console, { ...globalThis.console, log: bad })
      )
      assert.deepStrictEqual(seen, [["x"]])
      assert.strictEqual(logs.length, 1)
    }))

  it.effect("pino's lines have them by its mixin", () =>
    Effect.gen(function*() {
      const lines: Array<Record<string, unknown>> = []
      const { answer } = yield* run({ format: "none" }, Effect.gen(function*() {
        const log = pino({ mixin: yield* Logs.mixin({ traceUrl }), base: null, timestamp: false }, { write: (text: string) => void lines.push(JSON.parse(text)) })
        yield* request(Effect.sync(() => log.info("from pino")))
        return log
      }))
      answer.info("outside")
      assert.deepStrictEqual(Object.keys(lines[0]!), ["level", "trace_id", "span_id", "trace_flags", "request_id", "service", "env", "instance", "module", "tenant_id", "user_id", "trace_url", "msg"])
      assert.deepStrictEqual(lines[1], { level: 30, service: "shop", env: "prod", instance: lines[1]!["instance"], msg: "outside" })
    }))
})

describe("the user's own loggers", () => {
  const mine = () => {
    const lines: Array<string> = []
    return { lines, logger: Logger.make((options: Logger.Options<unknown>) => void lines.push(Logger.formatLogFmt.log(options))) }
  }
  const body = Effect.andThen(Effect.logWarning("line"), Effect.flatMap(MemoryBackend, (memory) => memory.logs)).pipe(Effect.withSpan("s"))
  const ours = () => Logs.layerOn({ format: "json" }).pipe(Layer.provideMerge(Memory.layer()))
  const withOurs = (layer: Layer.Layer<MemoryBackend, any>) => {
    const { layer: console, written } = console_()
    return Effect.map(body.pipe(Effect.provide(layer), Effect.provide(console)), (logs: ReadonlyArray<LogData>) => ({ logs: logs.length, written: written.length }))
  }

  it.effect("outside of ours: both work, and theirs carry the fields", () =>
    Effect.gen(function*() {
      const { lines, logger } = mine()
      const seen = yield* withOurs(ours().pipe(Layer.provide(Logger.layer([logger]))))
      assert.deepStrictEqual(seen, { logs: 1, written: 1 })
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], "trace_id=")
    }))

  it.effect("outside of ours without a format: theirs are the output", () =>
    Effect.gen(function*() {
      const { lines, logger } = mine()
      const seen = yield* withOurs(Logs.layerOn().pipe(Layer.provideMerge(Memory.layer()), Layer.provide(Logger.layer([logger]))))
      assert.deepStrictEqual(seen, { logs: 1, written: 0 })
      assert.include(lines[0], "trace_id=")
    }))

  it.effect("inside of ours, merged with existing: both work", () =>
    Effect.gen(function*() {
      const { lines, logger } = mine()
      const seen = yield* withOurs(Logger.layer([logger], { mergeWithExisting: true }).pipe(Layer.provideMerge(ours())))
      assert.deepStrictEqual(seen, { logs: 1, written: 1 })
      assert.strictEqual(lines.length, 1)
    }))

  it.effect("inside of ours, not merged: theirs take the place of all others, as with Effect's own", () =>
    Effect.gen(function*() {
      const { lines, logger } = mine()
      const seen = yield* withOurs(Logger.layer([logger]).pipe(Layer.provideMerge(ours())))
      assert.deepStrictEqual(seen, { logs: 0, written: 0 })
      assert.strictEqual(lines.length, 1)
    }))

  it.effect("beside ours: the last one of the two counts", () =>
    Effect.gen(function*() {
      const first = mine()
      assert.deepStrictEqual(yield* withOurs(Layer.mergeAll(Logger.layer([first.logger]), ours())), { logs: 1, written: 1 })
      assert.strictEqual(first.lines.length, 0)
      const last = mine()
      assert.deepStrictEqual(yield* withOurs(Layer.mergeAll(ours(), Logger.layer([last.logger]))), { logs: 0, written: 0 })
      assert.strictEqual(last.lines.length, 1)
    }))

  it.effect("in the options of ours: both work in every order", () =>
    Effect.gen(function*() {
      const { lines, logger } = mine()
      assert.deepStrictEqual(yield* withOurs(Layer.mergeAll(Memory.layer(), Logs.layer({ format: "json", loggers: [logger] }))), { logs: 1, written: 1 })
      assert.include(lines[0], "trace_id=")
    }))

  it.effect("wrapped by enriched: they carry the fields wherever they are", () =>
    Effect.gen(function*() {
      const { lines, logger } = mine()
      yield* withOurs(Layer.unwrap(Effect.map(Logs.enriched(logger), (one) => Logger.layer([one]))).pipe(Layer.provideMerge(ours())))
      assert.include(lines[0], "trace_id=")
    }))
})

describe("metrics in the log", () => {
  const Depth = MetricDefinition.gauge("queue_depth", { help: "Depth", labelNames: ["queue"], alertThreshold: 10 })
  const Failures = MetricDefinition.counter("failures_total", { help: "Failures", alertThreshold: 3 })
  const Seconds = MetricDefinition.histogram("wait_seconds", { help: "Wait", unit: "seconds", alertThreshold: 1, buckets: [0.1, 1, 5] })
  const Quantiles = MetricDefinition.summary("wait_summary_seconds", { help: "Wait", unit: "seconds", alertThreshold: 1, maxAge: 60 })
  const Version = MetricDefinition.gauge("config_version", { help: "Version", logChanges: true })

  const lines = (written: ReadonlyArray<string>, metric: string) => parsed(written).filter((line) => line["metric"] === metric).map((line) => [line["level"], line["state"] ?? line["value"]])

  it.effect("a threshold that is crossed is logged once, both ways", () =>
    Effect.gen(function*() {
      const { written } = yield* run({}, Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        const step = TestClock.adjust("15 seconds")
        yield* metrics.setGauge(Depth, 11, { queue: "a" })
        yield* metrics.setGauge(Depth, 10, { queue: "b" })
        yield* metrics.incrementCounter(Failures, 4)
        yield* metrics.observeHistogram(Seconds, 3)
        yield* metrics.observeSummary(Quantiles, 3)
        yield* step
        yield* step
        yield* metrics.setGauge(Depth, 2, { queue: "a" })
        yield* metrics.incrementCounter(Failures, 1)
        yield* step
        // Five minutes later nothing of it counts any more.
        yield* TestClock.adjust("330 seconds")
      }))
      assert.deepStrictEqual(lines(written, "queue_depth"), [["WARN", "above"], ["INFO", "within"]])
      const [line] = parsed(written).filter((one) => one["metric"] === "queue_depth")
      assert.deepStrictEqual([line!["value"], line!["threshold"], line!["labels"]], [11, 10, "{\"queue\":\"a\"}"])
      for (const metric of ["failures_total", "wait_seconds", "wait_summary_seconds"]) assert.deepStrictEqual(lines(written, metric), [["WARN", "above"], ["INFO", "within"]], metric)
    }))

  it.effect("a metric marked for it is logged whenever it has changed", () =>
    Effect.gen(function*() {
      const { written } = yield* run({ metrics: "1 second" }, Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        for (const version of [1, 1, 2]) {
          yield* metrics.setGauge(Version, version)
          yield* TestClock.adjust("1 second")
        }
      }))
      assert.deepStrictEqual(lines(written, "config_version"), [["INFO", 1], ["INFO", 2]])
    }))

  it.effect("can be switched off", () =>
    Effect.gen(function*() {
      const { written } = yield* run({ metrics: "off" }, Effect.andThen(Effect.flatMap(MetricsRecorder, (metrics) => metrics.setGauge(Depth, 11, { queue: "a" })), TestClock.adjust("60 seconds")))
      assert.deepStrictEqual(written, [])
    }))
})
