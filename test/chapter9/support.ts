import { MetricsRecorder, Telemetry } from "@effect-observability/core"
import { EmbeddedServer } from "@effect-observability/postgres"
import { expectLedgerBalanced } from "@effect-observability/testkit"
import { PgClient } from "@effect/sql-pg"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A PostgreSQL for the examples of one file: where the document writes `postgresql://user:pass@localhost:5432/db`. */
export class Server extends Context.Service<Server, {
  readonly url: Redacted.Redacted<string>
  readonly ask: (sql: string) => Effect.Effect<ReadonlyArray<Record<string, unknown>>>
}>()("test/chapter9/Server") {
  static readonly layer: Layer.Layer<Server> = Layer.effect(
    Server,
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "obs-chapter9-"))),
        (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
      )
      const { url } = yield* EmbeddedServer.start({ dir: join(folder, "data") })
      const client = yield* Layer.build(PgClient.layer({ url }))
      const sql = Context.get(client, PgClient.PgClient)
      return { url, ask: (text: string) => Effect.orDie(sql.unsafe<Record<string, unknown>>(text)) }
    }).pipe(Effect.orDie)
  )
}

/** What an application does in these examples: three requests, one of which fails. */
export const work = Effect.gen(function*() {
  const metrics = yield* MetricsRecorder
  const request = (method: string, outcome: Effect.Effect<void, string>) =>
    metrics.incrementCounter("http_requests_total", 1, { method }).pipe(
      Effect.andThen(outcome),
      Effect.withSpan(`${method} /orders`, { kind: "server" }),
      Effect.ignore
    )
  yield* request("POST", Effect.void)
  yield* request("GET", Effect.void)
  yield* request("POST", Effect.fail("payment refused"))
})

/** Brings what was recorded to the backends; ends with the balance of the ledger, as every test of a pipe does. */
export const settled = Effect.gen(function*() {
  yield* (yield* Telemetry).flush
  yield* Effect.orDie(expectLedgerBalanced)
})
