import { type ErrorData, Ledger, MetricDefinition, MetricsRecorder, ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Postgres from "../../src/Postgres.ts"
import { randomUUID } from "node:crypto"
import { freshNames, targetOf } from "../support/database.ts"
import { packAt } from "../support/packed.ts"
import { type Random, seeded } from "./support.ts"
import { compare, flushed, nobodyLeft, type Recorded, settled, type Verdict } from "./verdict.ts"

const Orders = MetricDefinition.counter("fault_orders_total", {
  help: "What the load counted",
  labelNames: ["channel"]
})
const channels = ["web", "shop", "phone", "a channel that comes late"] as const

/**
 * A program that counts and traces without a pause, through the public Layer, while `faults` happen to the database; then the
 * database is well again, and what it holds is compared with what was recorded.
 *
 * `url` is the way the program takes, `direct` the way the judge takes.
 */
export const survives = <E>(options: {
  readonly url: Redacted.Redacted<string>
  readonly direct: Redacted.Redacted<string>
  readonly seed: number
  /** What one of the reported errors must say. */
  readonly noticed?: RegExp
  /** The queue of spans may have run over; then every span that is not there must be one that the ledger counts as given up. */
  readonly mayRunOver?: boolean
  /** `well` waits until the backend says that it is up; `burst` records so many spans besides, as fast as it goes. */
  readonly faults: (random: Random, well: Effect.Effect<void>, burst: (spans: number) => Effect.Effect<void>) => Effect.Effect<void, E>
}): Effect.Effect<Verdict & { readonly peak: number }, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const mayRunOver = options.mayRunOver === true
    const recorded: Recorded = { orders: new Map(), spans: new Set(), errors: new Set() }
    const seen: Seen = { unbalanced: undefined, errors: new Set(), packed: 0, peak: 0 }
    const scope = yield* Effect.acquireRelease(Scope.make(), (made) => Scope.close(made, Exit.void))
    const context = yield* Scope.provide(Layer.build(backend(options.url)), scope)

    const verdict = yield* Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const load = yield* Effect.forkChild(record(recorded, seeded(options.seed + 1)))
      const watcher = yield* Effect.forkChild(watch(telemetry, seen))
      const packer = yield* Effect.forkChild(pack(options.direct, seen))
      const more = seeded(options.seed + 3)
      const here = yield* Effect.context<MetricsRecorder | Telemetry>()
      const burst = (spans: number) =>
        Effect.gen(function*() {
          for (let n = 0; n < spans; n += 2) yield* recordOne(recorded, more, n)
        }).pipe(Effect.provideContext(here))
      yield* options.faults(seeded(options.seed), well(telemetry), burst)
      // The load goes on over a server that is well again: the pipe has to come back by itself.
      yield* Effect.sleep("500 millis")
      yield* Fiber.interrupt(load)
      yield* flushed(telemetry)
      yield* Fiber.interrupt(watcher)
      yield* Fiber.interrupt(packer)
      // Books first, so that a queue that ran over in a long outage is told as that.
      yield* compare(options.direct, recorded, yield* settled(telemetry), mayRunOver)
      // Liveness: one more of each.
      yield* recordOne(recorded, seeded(options.seed + 2), 1_000_000)
      yield* flushed(telemetry)
      // What the packer of the bad times had begun may still be ending on the server.
      const last = yield* Effect.retry(packAt(targetOf(options.direct), faultNames, Date.now() + 2 * 86_400_000), { times: 10, schedule: Schedule.spaced("200 millis") })
      seen.packed += last.hours + last.days
      const verdict = yield* compare(options.direct, recorded, yield* settled(telemetry), mayRunOver)
      // On a starved machine a frame of the idle program may be late in any one moment.
      yield* Effect.timeoutOrElse(well(telemetry), {
        duration: "60 seconds",
        orElse: () => Effect.die(new Error(`not up within a minute: ${telemetry.reports()[0]?.reason}; ${JSON.stringify(verdict)}`))
      })
      return verdict
    }).pipe(Effect.provideContext(context))

    yield* Scope.close(scope, Exit.void)
    yield* nobodyLeft(options.direct)
    const password = new URL(Redacted.value(options.url)).password
    for (const error of seen.errors) assert.notInclude(error, password)
    assert.strictEqual(seen.unbalanced, undefined)
    seen.errors.delete("not connected yet")
    assert.isAbove(seen.errors.size, 0, "no fault was noticed: the test tested nothing")
    if (options.noticed !== undefined) assert.match([...seen.errors].join("\n"), options.noticed)
    assert.isAbove(seen.packed, 0, "nothing was packed")
    // A loss has to have its reason in the queue, too.
    if (verdict.missing > 0) assert.isAtLeast(seen.peak, fullQueue, "spans were given up and the queue was never seen full")
    return { ...verdict, peak: seen.peak }
  })

/** A queue of spans that runs over: 50,000 wait at most, those in flight included; the watcher may look a little late. */
const fullQueue = 49_000

/** What the watcher, looking every 20 ms, has seen. */
interface Seen {
  /** The first time the books did not balance. */
  unbalanced: string | undefined
  readonly errors: Set<string>
  /** Hours and days. */
  packed: number
  /** The most spans that waited. */
  peak: number
}

const backend = (url: Redacted.Redacted<string>) =>
  Postgres.layer({ connection: url, flushInterval: "150 millis", batchSize: 250 }).pipe(
    Layer.provide(Layer.succeed(ObservabilityConfig, {
      ...ObservabilityConfig.defaultValue(),
      // Short enough that attempts run out of time in a pause, and are tried again while the first still lies in the kernel.
      requestTimeout: 500,
      shutdownTimeout: 5_000
    }))
  )

/** About 1,300 spans, 2,600 increments and 10 errors a second. */
const record = (recorded: Recorded, random: Random) =>
  Effect.gen(function*() {
    for (let i = 0;; i++) {
      for (let n = 0; n < 4; n++) yield* recordOne(recorded, random, i)
      yield* Effect.sleep("5 millis")
    }
  })

const recordOne = (recorded: Recorded, random: Random, i: number) =>
  Effect.gen(function*() {
    const metrics = yield* MetricsRecorder
    if (random.below(64) === 0) recordError(recorded, yield* Telemetry)
    // A new series in mid-fault: dictionaries must survive too.
    const channel = channels[random.below(i < 300 ? 3 : 4)]!
    for (let n = 0; n < 4; n++) {
      const step = 1 + random.below(5)
      // In one step: no interruption between the deed and the note of it.
      yield* Effect.sync(() => {
        metrics.incrementCounterUnsafe(Orders, step, { channel })
        recorded.orders.set(channel, (recorded.orders.get(channel) ?? 0) + step)
      })
    }
    yield* Effect.uninterruptible(
      note(recorded).pipe(Effect.withSpan(`inner ${i % 7}`), Effect.andThen(note(recorded)), Effect.withSpan("outer"))
    )
  })

const recordError = (recorded: Recorded, telemetry: Telemetry["Service"]) => {
  const errorId = randomUUID().replaceAll("-", "")
  recorded.errors.add(errorId)
  telemetry.recordErrorUnsafe({ ...anError, errorId, time: BigInt(Date.now()) * 1_000_000n })
}

const anError: Omit<ErrorData, "errorId" | "time"> = {
  kind: "failure", errorClass: "system", level: "error", errorType: "Planned", message: "as planned", stack: undefined, causes: [],
  fingerprint: "0123456789abcdef", spanNames: [], traceId: undefined, spanId: undefined, sampled: true, requestId: undefined, userId: undefined,
  tenantId: undefined, module: undefined, attributes: new Map(), handled: true, breadcrumbs: []
}

const note = (recorded: Recorded) =>
  Effect.map(Effect.orDie(Effect.currentSpan), (span) => {
    recorded.spans.add(`${span.traceId}/${span.spanId}`)
  })

const watch = (telemetry: Telemetry["Service"], seen: Seen) =>
  Effect.forever(Effect.gen(function*() {
    for (const report of telemetry.reports()) {
      for (const signal of report.signals) {
        const { inFlight, queued } = signal.ledger
        seen.unbalanced ??= Ledger.imbalance(signal.ledger)
        if (signal.signal === "spans") seen.peak = Math.max(seen.peak, queued + inFlight)
        if (signal.lastError !== undefined) seen.errors.add(signal.lastError.message)
      }
    }
    yield* Effect.sleep("20 millis")
  }))

/** The worker, for which it is always the day after tomorrow: it packs whatever is there, again and again. */
const pack = (url: Redacted.Redacted<string>, seen: Seen) =>
  packAt(targetOf(url), faultNames, Date.now() + 2 * 86_400_000).pipe(
    Effect.tap(({ days, hours }) => Effect.sync(() => void (seen.packed += days + hours))),
    // A paused server answers nobody: this connection is let go, whatever it had begun.
    Effect.timeoutOption("5 seconds"),
    Effect.ignore,
    Effect.andThen(Effect.sleep("50 millis")),
    Effect.forever
  )

const faultNames = { ...freshNames(), schema: "observability" }

const well = (telemetry: Telemetry["Service"]) =>
  Effect.gen(function*() {
    while (telemetry.reports().some(({ status }) => status !== "up")) yield* Effect.sleep("10 millis")
  })
