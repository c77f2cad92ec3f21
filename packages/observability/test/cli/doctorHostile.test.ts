import type { DiagnosticsReport } from "@effect-observability/core"
import { Diagnostics, MetricDefinition, MetricsRecorder, Telemetry } from "@effect-observability/core"
import { EmbeddedServer, Postgres } from "@effect-observability/postgres"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { spawn } from "node:child_process"
import { createServer, type RequestListener } from "node:http"
import * as Net from "node:net"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { ofProgram, told } from "../../src/cli/findings.ts"

const root = resolve(import.meta.dirname, "../../../..")
const token = "tok-canary-9a1c77"

const command = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  Effect.promise(() =>
    new Promise<{ readonly code: number | null; readonly out: string; readonly err: string; readonly seconds: number }>((done) => {
      const began = performance.now()
      const child = spawn(process.execPath, ["--conditions=source", join(root, "packages/observability/src/cli/main.ts"), ...args], { env: { PATH: process.env["PATH"], NO_COLOR: "1", ...env } })
      let out = ""
      let err = ""
      child.stdout.on("data", (bytes) => out += bytes)
      child.stderr.on("data", (bytes) => err += bytes)
      child.on("close", (code) => done({ code, out, err, seconds: (performance.now() - began) / 1_000 }))
    })
  )

const listening = <A extends Net.Server>(server: A) =>
  Effect.acquireRelease(
    Effect.promise(() => new Promise<{ readonly server: A; readonly port: number }>((done) => {
      server.listen(0, "127.0.0.1", () => done({ server, port: (server.address() as Net.AddressInfo).port }))
    })),
    () => Effect.sync(() => {
      server.close()
      if ("closeAllConnections" in server) (server as unknown as { closeAllConnections: () => void }).closeAllConnections()
    })
  )

const http = (answer: RequestListener) => Effect.map(listening(createServer(answer)), ({ port }) => `http://127.0.0.1:${port}/diagnostics`)

const raw = (onConnection: (socket: Net.Socket) => void) => {
  const sockets = new Set<Net.Socket>()
  const server = Net.createServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    onConnection(socket)
  })
  return Effect.andThen(
    Effect.addFinalizer(() => Effect.sync(() => {
      for (const socket of sockets) socket.destroy()
    })),
    listening(server)
  )
}

describe.concurrent("effect-observability, used wrongly", () => {
  it.live("says what is unknown and how it is used, and ends with 2", () =>
    Effect.gen(function*() {
      for (const [args, says] of [
        [["doctor", "--nope"], "Unrecognized flag: --nope"],
        [["doctro"], "Unknown subcommand \"doctro\""],
        [["doctor", "--capacity", "abc", "--database", "env"], "Invalid value for flag --capacity"],
        [["doctor", "extra", "--url", "http://127.0.0.1:1/"], "Unexpected positional argument"],
        [["doctor", "--url"], "--url"]
      ] as const) {
        const { code, err, out } = yield* command(args)
        assert.strictEqual(code, 2, args.join(" "))
        assert.include(err, says)
        assert.include(out + err, "USAGE")
      }
    }), 60_000)
})

describe.concurrent("doctor of something that is no program of ours", () => {
  it.live("a plain sentence, exit code 2, no secret, and an end", () =>
    Effect.scoped(Effect.gen(function*() {
      const big = Buffer.alloc(1_000_000, "x")
      let sent = 0
      const elsewhere: Array<string | undefined> = []
      const other = yield* http((request, response) => {
        elsewhere.push(request.headers.authorization)
        response.end("{}")
      })
      const cases = [
        [yield* http((_, response) => response.end("<html>hello</html>")), "no report of effect-observability"],
        [yield* http((_, response) => response.end("null")), "no report of effect-observability"],
        [yield* http((_, response) => response.end("{\"components\":{},\"queues\":[1]}")), "no report of effect-observability"],
        [yield* http((_, response) => response.end(JSON.stringify({ components: [], queues: [], imbalances: [], metrics: { cardinality: [], problems: [] }, openSpans: {}, alerts: 5 }))), "no report of effect-observability"],
        [yield* http((_, response) => response.end(Buffer.from([0, 255, 254, 1]))), "no report of effect-observability"],
        [yield* http((_, response) => response.end()), "no report of effect-observability"],
        // 50 MB and more, as fast as they are taken.
        [yield* http((_, response) => {
          const more = () => {
            while (sent < 200_000_000) {
              sent += big.length
              if (!response.write(big)) return void response.once("drain", more)
            }
            response.end()
          }
          more()
        }), "longer than 20 MB"],
        [yield* http((request, response) => response.writeHead(302, { location: `${request.url}?again` }).end()), "leads elsewhere"],
        [yield* http((_, response) => response.writeHead(307, { location: other }).end()), "leads elsewhere"],
        [yield* http((_, response) => response.writeHead(500).end("oops")), "the answer is 500"],
        [`http://127.0.0.1:${(yield* raw((socket) => socket.end("SSH-2.0-OpenSSH_9\r\n"))).port}/diagnostics`, "cannot be reached"],
        [`http://127.0.0.1:${(yield* raw((socket) => socket.destroy())).port}/diagnostics`, "cannot be reached"],
        [`https://127.0.0.1:${(yield* raw((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))).port}/diagnostics`, "cannot be reached"]
      ] as const
      for (const [url, says] of cases) {
        const { code, err, out, seconds } = yield* command(["doctor", "--url", url], { OBSERVABILITY_TOKEN: token })
        assert.strictEqual(code, 2, `${says}: ${out}${err}`)
        assert.include(err, says)
        assert.strictEqual(err.trim().split("\n").length, 1, err)
        assert.notInclude(out + err, token)
        assert.isBelow(seconds, 40)
      }
      assert.deepStrictEqual(elsewhere, [])
      // Not all of it was waited for.
      assert.isBelow(sent, 150_000_000)
    })), 120_000)

  it.live("one that hangs, before its answer or within it, ends after ten seconds", () =>
    Effect.scoped(Effect.gen(function*() {
      const silent = `http://127.0.0.1:${(yield* raw(() => {})).port}/diagnostics`
      const halfway = yield* http((_, response) => {
        response.writeHead(200, { "content-length": "1000" })
        response.write("{\"components\":")
      })
      const drip = yield* http((_, response) => {
        response.writeHead(200)
        const timer = setInterval(() => response.write(" "), 200)
        response.on("close", () => clearInterval(timer))
      })
      const all = yield* Effect.forEach([silent, halfway, drip], (url) => command(["doctor", "--url", url], { OBSERVABILITY_TOKEN: token }), { concurrency: 3 })
      for (const { code, err, seconds } of all) {
        assert.deepStrictEqual([code, err.trim()], [2, "--url: no answer within 10 seconds"])
        assert.isBelow(seconds, 40)
      }
    })), 60_000)
})

describe.concurrent("doctor of a database that is no store of ours", () => {
  it.live("a plain sentence, exit code 2, no password, and an end", () =>
    Effect.scoped(Effect.gen(function*() {
      const dir = mkdtempSync(join(tmpdir(), "obs-doctor-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(dir, { recursive: true, force: true })))
      const server = yield* EmbeddedServer.start({ dir: join(dir, "data"), durable: false })
      const url = new URL(Redacted.value(server.url))
      yield* Effect.gen(function*() {
        yield* (yield* MetricsRecorder).incrementCounter(MetricDefinition.counter("orders_total", { help: "Orders" }))
        yield* (yield* Telemetry).flush
      }).pipe(Effect.provide(Postgres.layer({ connection: server.url })))
      const { PgConnection } = yield* Effect.promise(() => import("@effect/sql-pg"))
      const connection = yield* PgConnection.make({ url: server.url })
      const sql = (text: string) => connection.query(text, [], false)
      yield* sql("create role stranger login password 'pw-canary-51'")
      yield* sql("create schema foreign_one")
      yield* sql("create table foreign_one.users (id int)")
      yield* sql("create schema lookalike")
      yield* sql("create table lookalike.obs_metric_frame (id int)")
      yield* sql("create schema broken")
      yield* sql("create table broken.obs_metric_frame (id int)")
      yield* sql("create table broken.obs_migration (version int, name text)")
      yield* sql("insert into broken.obs_migration values (1000, 'x')")
      yield* sql("create schema old")
      yield* sql("create table old.obs_metric_frame (id int)")
      yield* sql("create table old.obs_migration (version int, name text)")
      yield* sql("insert into old.obs_migration values (1, 'store')")
      const as = (change: (url: URL) => void) => {
        const other = new URL(url)
        change(other)
        return String(other)
      }
      const stranger = as((one) => {
        one.username = "stranger"
        one.password = "pw-canary-51"
      })
      const silent = yield* raw(() => {})
      const web = yield* raw((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
      for (const [connection, schema, says, most] of [
        [String(url), "foreign_one", "there is no store in the schema \"foreign_one\"", 40],
        [String(url), "nowhere", "there is no store in the schema \"nowhere\"", 40],
        [String(url), "lookalike", "is no store of effect-observability", 40],
        [String(url), "broken", "is not a store of this version", 40],
        [String(url), "old", "older version (1, this is", 40],
        [stranger, "observability", "the role may not read the store", 40],
        [as((one) => one.pathname = "/nobody"), "observability", "does not exist", 40],
        [`postgresql://app:pw-canary-52@127.0.0.1:${web.port}/x`, "observability", "--database:", 40],
        [`postgresql://app:pw-canary-53@127.0.0.1:${silent.port}/x`, "observability", "--database:", 60],
        ["mysql://app:pw-canary-54@127.0.0.1/x", "observability", "must start with postgresql://", 40],
        ["postgresql://app:pw-canary-55@127.0.0.1:5432/x", "select; drop", "schema", 40]
      ] as const) {
        const { code, err, out, seconds } = yield* command(["doctor", "--database", "env", "--schema", schema], { POSTGRES_CONNECTION: connection })
        assert.strictEqual(code, 2, `${says}: ${out}${err}`)
        assert.include(err, says)
        assert.strictEqual(err.trim().split("\n").length, 1, err)
        assert.notInclude(out + err, "canary")
        assert.isBelow(seconds, most)
      }
    })), 150_000)
})

describe("what doctor tells", () => {
  it.effect("failed reloads, alerts and anomalies with their beginning, silent sinks, full disks, upkeep", () =>
    Effect.gen(function*() {
      const fine = yield* (yield* Diagnostics).report
      assert.deepStrictEqual(ofProgram(fine), [])
      const day = 86_400_000
      const alert = {
        fingerprint: "0", labels: {}, severity: "critical", description: undefined, origin: "rule", state: "firing", value: 7, activeAt: 0, firedAt: Date.UTC(2026, 1, 3, 4, 5),
        inhibitedBy: undefined, silencedBy: undefined
      } as const
      const queue = {
        backend: "otlp", signal: "spans", items: 1, maxItems: 10, bytes: 1, maxBytes: 10, oldestAgeMillis: 0, itemsPerSecond: 0, secondsToFull: undefined, failures: 3, hangs: 3, rebuilds: 3,
        lastError: undefined, lastSuccessAt: undefined, lost: 0, balanced: true
      } as const
      const capacity = {
        backend: "postgres", at: day, observedMillis: 300_000, basis: "minutes", series: 1_050, usedBytes: 5e9, capacity: 10e9, fullAt: 4.5 * day, fullAtEarliest: 4 * day, fullAtLatest: 6 * day,
        bytesPerDay: { total: 1.5e9, least: 1.2e9, most: 1.8e9 }, notes: []
      } as unknown as DiagnosticsReport["capacity"][number]
      const ill: DiagnosticsReport = {
        ...fine,
        configuration: { ...fine.configuration, problem: { message: "the configuration has a problem:\n  metrics.maxSeries: expected a number", at: Date.UTC(2026, 1, 3, 4, 5) } },
        alerts: [
          { ...alert, alertname: "HighErrors", summary: "many errors" },
          { ...alert, alertname: "OddLatency", summary: "", origin: "anomaly", severity: "warning", description: "expected 1 to 2" },
          { ...alert, alertname: "Silenced", summary: "", silencedBy: "me" },
          { ...alert, alertname: "Pending", summary: "", state: "pending" }
        ],
        queues: [queue],
        capacity: [capacity],
        upkeep: [{ backend: "postgres", step: 2, dryRun: false, since: 0, reason: "9 GB are used", leads: true, retention: { raw: 22, spans: 22, minute: 45, hour: 547, day: 3_650 }, actions: [], counts: {} }]
      }
      const found = ofProgram(ill)
      assert.deepStrictEqual(found.map(({ severity, what }) => `${severity}: ${what}`), [
        "problem: the newest configuration is not in force since 2026-02-03T04:05Z",
        "problem: alert HighErrors fires since 2026-02-03T04:05Z",
        "warning: anomaly OddLatency fires since 2026-02-03T04:05Z",
        "problem: postgres: the disk is full in 3 days, on 1970-01-05T12:00Z",
        "warning: postgres: upkeep is at step 2, samples are kept for 22 days",
        "problem: otlp, queue of spans: its sink takes connections and gives no answer, 3 times in a row"
      ])
      assert.include(found[0]!.why, "metrics.maxSeries: expected a number")
      assert.include(found[2]!.why, "expected 1 to 2")
      assert.strictEqual(
        told("postgres", capacity),
        "postgres: 5.0 GB used, 1.5 GB more a day (1.2 GB to 1.8 GB), 1050 series, by 300 s of recording; the disk is full on 1970-01-05T12:00Z (1970-01-05T00:00Z to 1970-01-07T00:00Z)"
      )
    }).pipe(Effect.provide(Telemetry.layer)))
})
