import { Ledger, MetricDefinition, MetricsRecorder, ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { PgConnection } from "@effect/sql-pg"
import { assert } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Postgres from "../../src/Postgres.ts"
import { freshNames, targetOf } from "../support/database.ts"
import { packAt, samples } from "../support/packed.ts"
import { type Random, seeded } from "./support.ts"

const Orders = MetricDefinition.counter("fault_orders_total", {
  help: "What the load counted",
  labelNames: ["channel"]
})
const channels = ["web", "shop", "phone", "a channel that comes late"] as const

/** What was recorded, as the program knows it. */
interface Recorded {
  readonly orders: Map<string, number>
  /** `trace id/span id`. */
  readonly spans: Set<string>
}

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
  /** `well` waits until the backend says that it is up. */
  readonly faults: (random: Random, well: Effect.Effect<void>) => Effect.Effect<void, E>
}): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const recorded: Recorded = { orders: new Map(), spans: new Set() }
    const seen: Seen = { unbalanced: undefined, errors: new Set(), packed: 0 }
    const scope = yield* Effect.acquireRelease(Scope.make(), (made) => Scope.close(made, Exit.void))
    const context = yield* Scope.provide(Layer.build(backend(options.url)), scope)

    yield* Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const load = yield* Effect.forkChild(record(recorded, seeded(options.seed + 1)))
      const watcher = yield* Effect.forkChild(watch(telemetry, seen))
      const packer = yield* Effect.forkChild(pack(options.direct, seen))
      yield* options.faults(seeded(options.seed), well(telemetry))
      // The load goes on over a server that is well again: the pipe has to come back by itself.
      yield* Effect.sleep("500 millis")
      yield* Fiber.interrupt(load)
      yield* Effect.timeoutOrElse(telemetry.flush, {
        duration: "20 seconds",
        orElse: () => Effect.die(new Error(`no flush within 20 seconds: ${JSON.stringify(telemetry.reports())}`))
      })
      yield* Fiber.interrupt(watcher)
      yield* Fiber.interrupt(packer)
      // First, so that a queue that ran over in a long outage is told as that.
      yield* books(telemetry)
      yield* compare(options.direct, recorded)
      // Liveness: one more of each.
      yield* recordOne(recorded, seeded(options.seed + 2), 1_000_000)
      yield* telemetry.flush
      // What the packer of the bad times had begun may still be ending on the server.
      const last = yield* Effect.retry(packAt(targetOf(options.direct), faultNames, Date.now() + 2 * 86_400_000), { times: 10, schedule: Schedule.spaced("200 millis") })
      seen.packed += last.hours + last.days
      yield* compare(options.direct, recorded)
      yield* books(telemetry)
      const report = telemetry.reports()[0]
      assert.strictEqual(report?.status, "up", report?.reason)
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
  })

/** What the watcher, looking every 20 ms, has seen. */
interface Seen {
  /** The first time the books did not balance. */
  unbalanced: string | undefined
  readonly errors: Set<string>
  /** Hours and days. */
  packed: number
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

/** About 1,300 spans and 2,600 increments a second. */
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

const note = (recorded: Recorded) =>
  Effect.map(Effect.currentSpan, (span) => {
    recorded.spans.add(`${span.traceId}/${span.spanId}`)
  })

const watch = (telemetry: Telemetry["Service"], seen: Seen) =>
  Effect.forever(Effect.gen(function*() {
    for (const report of telemetry.reports()) {
      for (const signal of report.signals) {
        seen.unbalanced ??= Ledger.imbalance(signal.ledger)
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

/** Nothing was given up, nothing is left. */
const books = (telemetry: Telemetry["Service"]) =>
  Effect.gen(function*() {
    // An idle program's frames go on: look in a moment when none is under way.
    const busy = () => telemetry.reports().some(({ signals }) => signals.some(({ ledger }) => ledger.queued + ledger.inFlight > 0))
    for (let i = 0; busy() && i < 100; i++) yield* Effect.sleep("7 millis")
    const reports = telemetry.reports()
    assert.strictEqual(reports.length, 1)
    assert.deepStrictEqual(reports[0]!.signals.map(({ signal }) => signal).toSorted(), ["errors", "metrics", "spans"])
    for (const { ledger, signal } of reports[0]!.signals) {
      assert.strictEqual(Ledger.imbalance(ledger), undefined, signal)
      const { dropped, exported, inFlight, offered, queued, rejected, unconfirmed } = ledger
      assert.deepStrictEqual(
        { dropped, inFlight, queued, rejected, unconfirmed },
        { dropped: {}, inFlight: 0, queued: 0, rejected: {}, unconfirmed: 0 },
        signal
      )
      assert.strictEqual(exported, offered, signal)
      assert.isAbove(exported, 0, signal)
    }
  })

const judge = (url: Redacted.Redacted<string>, sql: string) =>
  Effect.scoped(Effect.flatMap(
    PgConnection.make({ url, applicationName: "judge" }),
    (connection) => Effect.map(connection.query(sql), ({ rows }) => rows)
  ))

const compare = (url: Redacted.Redacted<string>, recorded: Recorded) =>
  Effect.gen(function*() {
    const sums = yield* judge(
      url,
      `select s.labels ->> 'channel' as channel, sum(value) as sum from ${samples("observability")}
        join observability.obs_series s on s.id = x.series join observability.obs_family f on f.id = s.family
        where f.name = 'fault_orders_total' and value <> 'NaN' group by 1`
    )
    assert.deepStrictEqual(
      Object.fromEntries(sums.map((row) => [row["channel"], Number(row["sum"])])),
      Object.fromEntries(recorded.orders)
    )
    const stored = yield* judge(url, "select trace_id || '/' || span_id as id, count(*)::int as times from observability.observability_spans group by 1")
    const doubled = stored.filter((row) => row["times"] !== 1)
    const ids = new Set(stored.map((row) => String(row["id"])))
    const lost = [...recorded.spans].filter((id) => !ids.has(id))
    const unknown = [...ids].filter((id) => !recorded.spans.has(id))
    assert.deepStrictEqual({ doubled: doubled.length, lost: lost.length, unknown: unknown.length }, { doubled: 0, lost: 0, unknown: 0 })
    assert.strictEqual(ids.size, recorded.spans.size)
  })

/** Every connection of the backend ends with its scope. */
const nobodyLeft = (url: Redacted.Redacted<string>) =>
  Effect.gen(function*() {
    for (let i = 0;; i++) {
      const rows = yield* judge(url, "select application_name from pg_stat_activity where application_name like 'effect-observability%'")
      if (rows.length === 0) return
      if (i === 50) assert.fail(`connections left: ${rows.map((row) => row["application_name"]).join(", ")}`)
      yield* Effect.sleep(Duration.millis(100))
    }
  })
