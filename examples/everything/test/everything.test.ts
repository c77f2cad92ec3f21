import { EmbeddedServer } from "@effect-observability/postgres"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, type Scope } from "effect"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Client } from "pg"
import { fakeServer } from "../../../packages/clickhouse/test/support/fakeServer.ts"
import { agent, udp } from "../../../packages/datadog/test/support/scoped.ts"
import { collector } from "../../../packages/opentelemetry/test/support/collector.ts"
import { receiver } from "../../../packages/sentry/test/support/scoped.ts"

// The example as a process of its own, with receivers for every backend. Each backend in turn is away: the others get what they always get.

const orders = 100
const failures = 10

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "obs-everything-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)

/** A port that accepts connections and never says anything: worse than a closed one. */
const silence: Effect.Effect<number, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.promise(() => new Promise<{ port: number; close: () => void }>((resolve) => {
      const sockets = new Set<{ destroy: () => void }>()
      const server = createServer((socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
      }).listen(0, "127.0.0.1", () => resolve({
        port: (server.address() as { port: number }).port,
        close: () => {
          for (const socket of sockets) socket.destroy()
          server.close()
        }
      }))
    })),
    ({ close }) => Effect.sync(close)
  ),
  ({ port }) => port
)

const run = (env: Readonly<Record<string, string>>) =>
  Effect.promise(() =>
    new Promise<any>((resolve, reject) => {
      const main = join(import.meta.dirname, "../src/main.ts")
      const child = spawn(process.execPath, ["--conditions=source", main], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] })
      let out = ""
      let err = ""
      child.stdout.on("data", (bytes) => out += bytes)
      child.stderr.on("data", (bytes) => err += bytes)
      child.on("close", (code) => code === 0 ? resolve(JSON.parse(out.trim().split("\n").at(-1)!)) : reject(new Error(`ended with ${code}: ${out}${err}`)))
    })
  )

const kinds = ["postgres", "opentelemetry", "sentry", "datadog", "clickhouse"] as const
type Kind = typeof kinds[number]

/** What each receiver got: orders counted, spans, and errors where it takes them. */
const everything = (dead: Kind | undefined) =>
  Effect.gen(function*() {
    const database = yield* EmbeddedServer.start({ dir: join(yield* folder, "data"), durable: false })
    const otlp = yield* collector()
    const sentry = yield* receiver
    const statsd = yield* udp
    const traces = yield* agent
    const clickhouse = yield* fakeServer
    const nobody = yield* silence
    const at = (kind: Kind, address: string, gone: string) => kind === dead ? gone : address
    const seen = yield* run({
      POSTGRES_URL: at("postgres", Redacted.value(database.url), `postgres://a:b@127.0.0.1:${nobody}/none`),
      OTLP_URL: at("opentelemetry", otlp.url, `http://127.0.0.1:${nobody}`),
      SENTRY_DSN: at("sentry", sentry.dsn, `http://key@127.0.0.1:${nobody}/1`),
      STATSD_URL: statsd.address,
      AGENT_URL: at("datadog", traces.url, `http://127.0.0.1:${nobody}`),
      CLICKHOUSE_URL: at("clickhouse", `${clickhouse.url}/obs`, `http://127.0.0.1:${nobody}/obs`)
    })
    const client = new Client({ connectionString: Redacted.value(database.url) })
    yield* Effect.promise(() => client.connect())
    const count = (sql: string) => Effect.promise(async () => Number((await client.query(sql)).rows[0].n))
    const got = {
      postgres: dead === "postgres" ? undefined : {
        orders: yield* count("select sum(value) as n from observability.observability_metrics where name = 'orders_total'"),
        spans: yield* count("select count(*) as n from observability.observability_spans where name = 'take order'"),
        errors: yield* count("select count(*) as n from observability.observability_errors")
      },
      opentelemetry: dead === "opentelemetry" ? undefined : { spans: otlp.spans().length },
      sentry: dead === "sentry" ? undefined : { spans: sentry.items("span").flatMap(({ items }) => items).length, errors: sentry.items("event").length },
      datadog: dead === "datadog" ? undefined : { spans: traces.spans().length },
      clickhouse: dead === "clickhouse" ? undefined : { inserts: clickhouse.stored("otel_traces").length > 0 }
    }
    yield* Effect.promise(() => client.end())
    const datagrams = statsd.samples().filter(({ name }) => name === "orders_total").reduce((sum, { values }) => sum + Number(values[0]), 0)
    assert.deepStrictEqual(otlp.problems, [])
    assert.deepStrictEqual(traces.failures, [])
    return { seen, got, datagrams }
  }).pipe(Effect.scoped)

describe("seven backends in one program", () => {
  for (const dead of [undefined, "clickhouse", "postgres", "sentry"] as const) {
    it.live(dead === undefined ? "all get everything" : `${dead} hangs, and the others do not notice`, () =>
      Effect.gen(function*() {
        const { datagrams, got, seen } = yield* everything(dead)
        assert.deepStrictEqual(seen.page.sort(), [`orders_total{channel="shop"} ${orders / 2}`, `orders_total{channel="web"} ${orders / 2}`])
        assert.deepStrictEqual(seen.memory, { spans: orders, errors: failures, orders: orders / 2 })
        assert.strictEqual(datagrams, orders)
        for (const [kind, one] of Object.entries(got)) {
          if (one === undefined) continue
          if ("orders" in one) assert.strictEqual(one.orders, orders, kind)
          if ("spans" in one) assert.strictEqual(one.spans, orders, kind)
          if ("errors" in one) assert.strictEqual(one.errors, failures, kind)
          if ("inserts" in one) assert.isTrue(one.inserts, kind)
        }
        assert.deepStrictEqual(seen.imbalances, [])
        for (const [name, status] of Object.entries(seen.health)) {
          // What it stores into is as it is.
          if (name.startsWith(`${dead}.`)) continue
          if (dead !== undefined && name === dead) assert.notStrictEqual(status, "up", name)
          else assert.strictEqual(status, "up", name)
        }
        // Nothing is lost: the dead one's share waits.
        for (const [name, { accepted, exported, queued }] of Object.entries<any>(seen.books)) {
          // The next frame of metrics may be waiting already.
          if (name.endsWith(" metrics") || (dead !== undefined && name.startsWith(`${dead} `))) assert.strictEqual(exported + queued, accepted, name)
          else assert.deepStrictEqual([exported, queued], [accepted, 0], name)
        }
      }), 60_000)
  }
})
