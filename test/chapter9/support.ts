import { MetricsRecorder, Telemetry } from "@effect-observability/core"
import { expectLedgerBalanced } from "@effect-observability/testkit"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Session from "../../packages/postgres/src/internal/session.ts"
import { targetOf } from "../../packages/postgres/test/support/database.ts"
import { startServer } from "../../packages/postgres/test/support/server.ts"

/** A PostgreSQL for the examples of one file: where the document writes `postgresql://user:pass@localhost:5432/db`. */
export class Server extends Context.Service<Server, {
  readonly url: Redacted.Redacted<string>
  readonly ask: (sql: string) => Effect.Effect<ReadonlyArray<Session.Row>>
}>()("test/chapter9/Server") {
  static readonly layer: Layer.Layer<Server> = Layer.effect(
    Server,
    Effect.gen(function*() {
      const { url } = yield* startServer()
      const session = yield* Effect.acquireRelease(Session.open(targetOf(url), 60_000), (open) => open.close)
      return { url, ask: (sql: string) => Effect.orDie(session.query(sql)) }
    }).pipe(Effect.orDie)
  )
}

/** What an application does in these examples: three requests, one of which fails. */
export const work = Effect.gen(function*() {
  const metrics = yield* MetricsRecorder
  const request = (method: string, fails: boolean) =>
    Effect.gen(function*() {
      yield* metrics.incrementCounter("http_requests_total", 1, { method })
      if (fails) yield* Effect.fail("payment refused")
    }).pipe(Effect.withSpan(`${method} /orders`, { kind: "server" }), Effect.ignore)
  yield* request("POST", false)
  yield* request("GET", false)
  yield* request("POST", true)
})

/** Brings what was recorded to the backends; ends with the balance of the ledger, as every test of a pipe does. */
export const settled = Effect.gen(function*() {
  yield* (yield* Telemetry).flush
  yield* Effect.orDie(expectLedgerBalanced)
})
