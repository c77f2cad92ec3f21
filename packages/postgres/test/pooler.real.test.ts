import { Ledger, MetricDefinition, MetricsHistory, MetricsRecorder, Telemetry, TraceHistory } from "@effect-observability/core"
import { PgConnection } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import * as Postgres from "../src/Postgres.ts"
import { pass } from "../src/internal/packing/worker.ts"
import * as Session from "../src/internal/session.ts"
import { freshNames, targetOf } from "./support/database.ts"
import { samples } from "./support/packed.ts"
import { freePort } from "./support/programs.ts"
import { startServer } from "./support/server.ts"

/** Debian's pgbouncer in transaction mode, with fewer server connections than the store has clients. */
const pgbouncer = (server: { readonly url: Redacted.Redacted<string>; readonly port: number }): Effect.Effect<Redacted.Redacted<string>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const port = yield* freePort
    const { password, username } = new URL(Redacted.value(server.url))
    const dir = yield* Effect.acquireRelease(
      Effect.sync(() => Fs.mkdtempSync(Path.join(tmpdir(), "obs-pgbouncer-"))),
      (made) => Effect.sync(() => Fs.rmSync(made, { recursive: true, force: true }))
    )
    const ini = Path.join(dir, "pgbouncer.ini")
    Fs.writeFileSync(ini, `[databases]
postgres = host=127.0.0.1 port=${server.port} user=${username} password=${decodeURIComponent(password)}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
`)
    // It refuses to run as root.
    const root = process.getuid?.() === 0
    if (root) for (const path of [dir, ini]) Fs.chownSync(path, 65_534, 65_534)
    yield* Effect.acquireRelease(
      Effect.sync((): ChildProcess => spawn("/usr/sbin/pgbouncer", [ini], { stdio: "ignore", ...(root ? { uid: 65_534, gid: 65_534 } : {}) })),
      (child) => Effect.callback<void>((resume) => {
        child.once("exit", () => resume(Effect.void))
        if (child.exitCode !== null || !child.kill("SIGTERM")) resume(Effect.void)
      })
    )
    yield* Effect.orDie(Effect.retry(connects(port), { times: 100 }))
    return Redacted.make(`postgres://app@127.0.0.1:${port}/postgres`)
  })

const connects = (port: number): Effect.Effect<void, Error> =>
  Effect.andThen(
    Effect.sleep("50 millis"),
    Effect.callback<void, Error>((resume) => {
      const socket = Net.connect(port, "127.0.0.1", () => {
        socket.destroy()
        resume(Effect.void)
      })
      socket.once("error", (error) => resume(Effect.fail(error)))
    })
  )

const Orders = MetricDefinition.counter("pooled_orders_total", { help: "h", labelNames: ["channel"] })

describe("behind pgbouncer in transaction mode", () => {
  it.live("many processes write, read and pack through three connections", () =>
    Effect.gen(function*() {
      const server = yield* startServer()
      const url = yield* pgbouncer(server)
      const rounds = 40
      const one = Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        const telemetry = yield* Telemetry
        for (let i = 0; i < rounds; i++) {
          yield* metrics.incrementCounter(Orders, 1, { channel: `c${i % 4}` }).pipe(Effect.withSpan("order"))
          yield* Effect.sleep("25 millis")
        }
        yield* Effect.timeout(telemetry.flush, "20 seconds")
        const report = telemetry.reports()[0]!
        assert.strictEqual(report.status, "up", report.reason)
        for (const { ledger } of report.signals) {
          assert.strictEqual(Ledger.imbalance(ledger), undefined)
          // Frames go on while we look.
          assert.deepStrictEqual([ledger.dropped, ledger.rejected, ledger.unconfirmed], [{}, {}, 0])
        }
        const history = yield* MetricsHistory
        const traces = yield* TraceHistory
        const points = yield* history.getMetricsHistory({ name: Orders.name, startTime: 0, endTime: Date.now() + 60_000, limit: 100_000 })
        assert.isAtLeast(points.reduce((sum, point) => sum + point.value, 0), rounds)
        assert.isAbove((yield* traces.getRecentTraces({ limit: 5 })).length, 0)
      }).pipe(Effect.provide(Layer.fresh(Postgres.layer({ connection: url, prepare: false, flushInterval: "100 millis" }))))
      yield* Effect.all([...Array.from({ length: 6 }, () => one), packing(url)], { concurrency: "unbounded" })
      const total = Effect.scoped(Effect.flatMap(PgConnection.make({ url: server.url }), (connection) =>
        Effect.map(
          connection.query(`select sum(value) as sum from ${samples("observability")} join observability.obs_series s on s.id = x.series
            join observability.obs_family f on f.id = s.family where f.name = '${Orders.name}' and value <> 'NaN'`),
          ({ rows }) => Number(rows[0]!["sum"])
        )))
      assert.strictEqual(yield* total, 6 * rounds)
    }), 120_000)
})

/** Two workers, again and again, for whom every hour is over. */
const packing = (url: Redacted.Redacted<string>) => {
  const target = targetOf(url, { prepare: false })
  const names = { ...freshNames(), schema: "observability" }
  const once = Effect.ignore(Effect.acquireUseRelease(
    Session.open(target, 30_000),
    (session) => pass(session, names, { now: Date.now() + 2 * 86_400_000 }),
    (session) => session.close
  ))
  return Effect.all([once, once], { concurrency: 2 }).pipe(Effect.andThen(Effect.sleep("100 millis")), Effect.repeat({ times: 12 }))
}
