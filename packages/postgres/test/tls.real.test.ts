import { MetricsRecorder, Telemetry } from "@effect-observability/core"
import { PgConnection } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import * as EmbeddedServer from "../src/embedded/EmbeddedServer.ts"
import * as Postgres from "../src/Postgres.ts"
import type { PostgresOptions } from "../src/PostgresConfig.ts"
import { temporaryFolder } from "./support/server.ts"

/** A certificate for localhost and 127.0.0.1 that vouches for itself, made by openssl. */
const certificate = Effect.acquireRelease(
  Effect.sync(() => {
    const dir = Fs.mkdtempSync(Path.join(tmpdir(), "obs-tls-"))
    const cert = Path.join(dir, "server.crt")
    const key = Path.join(dir, "server.key")
    execFileSync("openssl", [
      "req", "-new", "-x509", "-days", "2", "-nodes", "-text", "-out", cert, "-keyout", key, "-subj", "/CN=localhost",
      "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"
    ], { stdio: "pipe" })
    // PostgreSQL wants the key to be its own, or root's.
    Fs.chmodSync(key, 0o600)
    Fs.chmodSync(dir, 0o755)
    return { dir, cert, key }
  }),
  ({ dir }) => Effect.sync(() => Fs.rmSync(dir, { recursive: true, force: true }))
)

const schema = (name: string) => `tls_${name}`

/** Records one value and flushes; the report tells how it went, the server whether it was encrypted. */
const attempt = (server: EmbeddedServer.EmbeddedServer, url: Redacted.Redacted<string>, name: string, options: Partial<PostgresOptions>) =>
  Effect.gen(function*() {
    const metrics = yield* MetricsRecorder
    const telemetry = yield* Telemetry
    yield* metrics.incrementCounter("tls_total", 1)
    yield* Effect.timeoutOption(telemetry.flush, "3 seconds")
    const encrypted = yield* Effect.scoped(Effect.flatMap(PgConnection.make({ url: server.url }), (connection) =>
      Effect.map(
        connection.query("select bool_and(s.ssl) as all, count(*)::int4 as n from pg_stat_ssl s join pg_stat_activity a using (pid) where a.application_name like 'effect-observability%'"),
        ({ rows }) => ({ encrypted: rows[0]!["all"] as boolean | null, connections: rows[0]!["n"] as number })
      )))
    return { status: telemetry.reports()[0]!.status, reason: telemetry.reports()[0]!.reason ?? "", ...encrypted }
  }).pipe(Effect.provide(Layer.fresh(Postgres.layer({ connection: url, schema: schema(name), flushInterval: "100 millis", history: false, ...options }))))

const over = (url: Redacted.Redacted<string>, host: string, sslmode: string): Redacted.Redacted<string> => {
  const changed = new URL(Redacted.value(url))
  changed.hostname = host
  changed.searchParams.set("sslmode", sslmode)
  return Redacted.make(changed.href)
}

describe("TLS", () => {
  it.live("by sslmode and certificates, and never in clear when encryption was asked for", () =>
    Effect.gen(function*() {
      const { cert, key } = yield* certificate
      const server = yield* EmbeddedServer.start({
        dir: yield* temporaryFolder, durable: false, settings: { ssl: "on", ssl_cert_file: cert, ssl_key_file: key }
      })
      const ca = Fs.readFileSync(cert, "utf8")
      const trusted = yield* attempt(server, over(server.url, "localhost", "verify-full"), "trusted", { tls: { ca } })
      assert.deepStrictEqual([trusted.status, trusted.encrypted], ["up", true], trusted.reason)
      const byAddress = yield* attempt(server, over(server.url, "127.0.0.1", "require"), "address", { tls: { ca } })
      assert.deepStrictEqual([byAddress.status, byAddress.encrypted], ["up", true], byAddress.reason)
      const blind = yield* attempt(server, over(server.url, "127.0.0.1", "require"), "blind", { tls: { rejectUnauthorized: false } })
      assert.deepStrictEqual([blind.status, blind.encrypted], ["up", true], blind.reason)
      const plain = yield* attempt(server, over(server.url, "127.0.0.1", "disable"), "plain", {})
      assert.deepStrictEqual([plain.status, plain.encrypted], ["up", false], plain.reason)

      for (const options of [{}, { tls: { ca, servername: "elsewhere" } }]) {
        const refused = yield* attempt(server, over(server.url, "127.0.0.1", "require"), "refused", options)
        assert.notStrictEqual(refused.status, "up")
        assert.match(refused.reason, /certificate|altnames/i)
        assert.strictEqual(refused.connections, 0)
      }
    }), 60_000)

  it.live("a server without TLS is not spoken to in clear", () =>
    Effect.gen(function*() {
      const server = yield* EmbeddedServer.start({ dir: yield* temporaryFolder, durable: false })
      const refused = yield* attempt(server, over(server.url, "127.0.0.1", "require"), "clear", {})
      assert.notStrictEqual(refused.status, "up")
      assert.match(refused.reason, /TLS/)
      const preferred = yield* attempt(server, over(server.url, "127.0.0.1", "prefer"), "preferred", {})
      assert.strictEqual(preferred.status, "up", preferred.reason)
    }), 60_000)
})
