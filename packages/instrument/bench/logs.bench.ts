import { Telemetry } from "@effect-observability/core"
import { Errors, Logs } from "@effect-observability/instrument"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as ErrorReporter from "effect/ErrorReporter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { pino } from "pino"
import type { Bench, Side } from "../../../test/bench/Bench.ts"

// log.line: one line with an annotation inside a span, as JSON, to a console that drops it: ours (ids, shared context, redaction, escapes)
// against Effect's `consoleJson` and `consoleStructured`, which have none of that, and pino with a child logger and `JSON` to nowhere.
// error.report: an error reported for the first time, with breadcrumbs off, against Effect's `ErrorReporter.make` with an empty callback.

const ops = 1_000

let written = 0
const nowhere: Console.Console = { ...globalThis.console, log: () => void written++, error: () => void written++ }
const quiet = Layer.succeed(Console.Console, nowhere)

const inSpan = Effect.withSpan(
  Effect.gen(function*() {
    for (let i = 0; i < ops; i++) yield* Effect.logInfo("order placed")
  }).pipe(Effect.annotateLogs({ order: "o-7", total: 12.5 })),
  "request"
)

/** A listener for spans, so that there are spans to belong to. */
const listening = Layer.effectDiscard(Effect.flatMap(Telemetry, (telemetry) =>
  telemetry.register({
    name: "bench", kind: "bench", onSpan: () => {},
    report: () => ({ name: "bench", kind: "bench", status: "up", reason: undefined, signals: [] })
  })))

const logging = (name: string, layer: Layer.Layer<never>): Side => {
  const runtime = ManagedRuntime.make(Layer.mergeAll(layer, quiet))
  return { name, ops, run: () => runtime.runPromise(inSpan) }
}

const ours = Layer.orDie(listening.pipe(Layer.provideMerge(Logs.layer({ format: "json", metrics: "off" }))))

const theirs = (): Side => {
  const log = pino({ base: { service: "bench", env: "dev" } }, { write: () => void written++ })
  return {
    name: "pino, child with four fields",
    ops,
    run: () => {
      const child = log.child({ trace_id: "0af7651916cd43dd8448eb211c80319c", span_id: "b7ad6b7169203331", order: "o-7", total: 12.5 })
      for (let i = 0; i < ops; i++) child.info("order placed")
    }
  }
}

class Declined extends Data.TaggedError("Declined")<{ readonly message: string }> {}

const reporting = (name: string, layer: Layer.Layer<never>, report: (error: Declined) => Effect.Effect<unknown>): Side => {
  const runtime = ManagedRuntime.make(layer)
  const program = Effect.withSpan(
    Effect.gen(function*() {
      for (let i = 0; i < ops; i++) yield* report(new Declined({ message: `order ${i} declined` }))
    }),
    "request"
  )
  return { name, ops, run: () => runtime.runPromise(program) }
}

const taking = Layer.orDie(
  Layer.effectDiscard(Effect.flatMap(Telemetry, (telemetry) =>
    telemetry.register({
      name: "bench", kind: "bench", onError: () => {},
      report: () => ({ name: "bench", kind: "bench", status: "up", reason: undefined, signals: [] })
    }))).pipe(Layer.provideMerge(Telemetry.layer))
)

export default (bench: Bench): void => {
  const subject = () => logging("ours, JSON", ours)
  const json = () => logging("Effect's consoleJson", Logger.layer([Logger.consoleJson]))
  bench.compare({ name: "log.line", unit: "ns/op", must: 2, moonshot: 1, baseline: json(), subject: subject() })
  bench.compare({ name: "log.line.structured", unit: "ns/op", baseline: logging("Effect's consoleStructured", Logger.layer([Logger.consoleStructured])), subject: subject() })
  bench.compare({ name: "log.line.pino", unit: "ns/op", baseline: theirs(), subject: subject() })
  bench.compare({
    name: "error.report",
    unit: "us/op",
    must: 3,
    moonshot: 1.5,
    baseline: reporting(
      "Effect's ErrorReporter, empty callback",
      Layer.mergeAll(ErrorReporter.layer([ErrorReporter.make(() => {})]), quiet),
      (error) => Effect.exit(Effect.withErrorReporting(Effect.fail(error)))
    ),
    subject: reporting("ours, counted, one listener, repeats held back", Layer.mergeAll(taking, quiet), (error) => Errors.report(error))
  })
}
