import { Ledger, type Telemetry } from "@effect-observability/core"
import { PgConnection } from "@effect/sql-pg"
import { assert } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Redacted from "effect/Redacted"
import { samples } from "../support/packed.ts"

/** What was recorded, as the program knows it. */
export interface Recorded {
  readonly orders: Map<string, number>
  /** `trace id/span id`. */
  readonly spans: Set<string>
  readonly errors: Set<string>
}

/** What became of the spans: the program's count, the ledger's, the database's. */
export interface Verdict {
  readonly recorded: number
  readonly exported: number
  readonly dropped: Readonly<Record<string, number>>
  readonly unconfirmed: number
  readonly stored: number
  readonly missing: number
}

type Books = ReadonlyMap<string, Ledger.LedgerSnapshot>

/** A server that was starved for minutes has minutes of work before it; only one that gets nothing done is stuck. Milliseconds. */
const stuckAfter = 60_000

/** A flush, as long as something is settled meanwhile. */
export const flushed = (telemetry: Telemetry["Service"]): Effect.Effect<void> =>
  Effect.gen(function*() {
    const flush = yield* Effect.forkChild(telemetry.flush, { startImmediately: true })
    const done = () => telemetry.reports().flatMap(({ signals }) => signals).reduce((sum, { ledger }) => sum + ledger.accepted - ledger.queued - ledger.inFlight, 0)
    let last = done()
    for (let idle = 0; flush.pollUnsafe() === undefined; idle += 50) {
      if (idle >= stuckAfter) return yield* Effect.die(new Error(`nothing was settled for a minute: ${JSON.stringify(telemetry.reports())}`))
      yield* Effect.sleep("50 millis")
      const now = done()
      if (now !== last) idle = 0
      last = now
    }
    yield* Fiber.join(flush)
  })

/** The books in a moment when nothing waits and nothing is under way: an idle program's frames go on. */
export const settled = (telemetry: Telemetry["Service"]): Effect.Effect<Books> =>
  Effect.gen(function*() {
    const end = Date.now() + stuckAfter
    while (true) {
      const reports = telemetry.reports()
      assert.strictEqual(reports.length, 1)
      const books = new Map(reports[0]!.signals.map(({ ledger, signal }) => [signal as string, ledger]))
      if ([...books.values()].every(({ inFlight, queued }) => inFlight + queued === 0)) return books
      assert.isBelow(Date.now(), end, `no moment without work for a minute: ${JSON.stringify(Object.fromEntries(books))}`)
      yield* Effect.sleep("3 millis")
    }
  })

/**
 * The database holds what was recorded, once each, and the books say so. Nothing may be given up, unless the queue of spans may
 * have run over: then those that are missing are exactly those that were counted.
 */
export const compare = (url: Redacted.Redacted<string>, recorded: Recorded, books: Books, mayRunOver: boolean): Effect.Effect<Verdict, unknown> =>
  Effect.gen(function*() {
    assert.deepStrictEqual([...books.keys()].toSorted(), ["alerts", "errors", "metrics", "spans"])
    for (const [signal, ledger] of books) {
      assert.strictEqual(Ledger.imbalance(ledger), undefined, signal)
      // Nobody is alerted here.
      if (signal !== "alerts") assert.isAbove(ledger.exported, 0, signal)
      if (signal === "spans" && mayRunOver) continue
      const { dropped, exported, offered, rejected, unconfirmed } = ledger
      assert.deepStrictEqual({ dropped, exported, rejected, unconfirmed }, { dropped: {}, exported: offered, rejected: {}, unconfirmed: 0 }, signal)
    }

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

    const errors = yield* judge(url, "select replace(error_id::text, '-', '') as id, sum(count)::int as times from observability.observability_errors group by 1")
    assert.deepStrictEqual(errors.filter((row) => row["times"] !== 1), [])
    assert.sameMembers(errors.map((row) => row["id"]), [...recorded.errors])

    const rows = yield* judge(url, "select trace_id || '/' || span_id as id, count(*)::int as times from observability.observability_spans group by 1")
    const ids = new Set(rows.map((row) => String(row["id"])))
    const doubled = rows.filter((row) => row["times"] !== 1).length
    const unknown = [...ids].filter((id) => !recorded.spans.has(id)).length
    const missing = [...recorded.spans].filter((id) => !ids.has(id)).length
    const { dropped, exported, offered, rejected, unconfirmed } = books.get("spans")!
    const verdict: Verdict = { recorded: recorded.spans.size, exported, dropped, unconfirmed, stored: ids.size, missing }
    const shown = JSON.stringify(verdict)
    assert.deepStrictEqual({ doubled, unknown, offered, rejected }, { doubled: 0, unknown: 0, offered: recorded.spans.size, rejected: {} }, shown)
    for (const reason of Object.keys(dropped)) assert.strictEqual(reason, "queue_full_oldest", shown)
    // What is in doubt is there or is not; what was acknowledged is there, and what was given up is not.
    const doubtfulAndStored = ids.size - exported
    assert.isTrue(doubtfulAndStored >= 0 && doubtfulAndStored <= unconfirmed, shown)
    assert.strictEqual(missing, Ledger.total(dropped) + unconfirmed - doubtfulAndStored, shown)
    if (!mayRunOver) assert.strictEqual(missing, 0, shown)
    return verdict
  })

const judge = (url: Redacted.Redacted<string>, sql: string) =>
  Effect.scoped(Effect.flatMap(
    PgConnection.make({ url, applicationName: "judge" }),
    (connection) => Effect.map(connection.query(sql), ({ rows }) => rows)
  ))

/** Every connection of the backend ends with its scope. */
export const nobodyLeft = (url: Redacted.Redacted<string>) =>
  Effect.gen(function*() {
    for (let i = 0;; i++) {
      const rows = yield* judge(url, "select application_name from pg_stat_activity where application_name like 'effect-observability%'")
      if (rows.length === 0) return
      if (i === 50) assert.fail(`connections left: ${rows.map((row) => row["application_name"]).join(", ")}`)
      yield* Effect.sleep(Duration.millis(100))
    }
  })
