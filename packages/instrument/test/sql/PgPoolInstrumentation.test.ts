import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import pg from "pg"
import { PgPoolInstrumentation, type SqlInstrumentation } from "../../src/index.ts"
import { makeObserved } from "../support/observed.ts"
import { startPostgres } from "./support.ts"

let url: string
const scope = Scope.makeUnsafe()
beforeAll(() => Effect.runPromise(Effect.map(startPostgres, (server) => {
  url = Redacted.value(server.url)
}).pipe(Scope.provide(scope))), 60_000)
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const observing = <A>(
  program: (pool: pg.Pool, raw: pg.Pool, observed: ReturnType<typeof makeObserved>) => Promise<A>,
  options: SqlInstrumentation.SqlOptions = {},
  config: pg.PoolConfig = {}
) => {
  const observed = makeObserved()
  return Effect.gen(function*() {
    const raw = yield* Effect.acquireRelease(Effect.sync(() => new pg.Pool({ connectionString: url, max: 2, ...config })), (pool) =>
      // The sockets close a moment later than it says; the server is not to go before them.
      Effect.andThen(Effect.promise(() => pool.end()), Effect.sleep("50 millis")))
    const pool = yield* PgPoolInstrumentation.wrap(raw, { poolName: "p", ...options })
    return { result: yield* Effect.promise(() => program(pool, raw, observed)).pipe(Effect.withSpan("outer")), observed }
  }).pipe(Effect.scoped, Effect.provide(observed.layer))
}

const names = (observed: ReturnType<typeof makeObserved>) => observed.spans.filter(({ kind }) => kind === "client").map(({ name }) => name)

describe("a pool of pg", () => {
  it.live("is observed in every form of query, once", () =>
    Effect.gen(function*() {
      const { observed, result } = yield* observing(async (pool, raw) => {
        const calls = async (one: pg.Pool) => {
          const rows: Array<unknown> = []
          rows.push((await one.query("select 1 as a where 'x' = $1", ["x"])).rows)
          rows.push((await one.query({ text: "select $1::int as a", values: [2] })).rows)
          rows.push((await one.query({ text: "select 3 as a", name: "three", rowMode: "array" })).rows)
          rows.push(await new Promise((resolve, reject) => one.query("select 4 as a", (error, result) => error ? reject(error) : resolve(result.rows))))
          rows.push(await new Promise((resolve, reject) => one.query("select $1::int as a", [5], (error, result) => error ? reject(error) : resolve(result.rows))))
          const client = await one.connect()
          rows.push((await client.query("select 6 as a")).rows)
          rows.push(await new Promise((resolve, reject) => (client.query as (...args: Array<unknown>) => void)({ text: "select $1::int as a" }, [7], (error: Error | undefined, result: pg.QueryResult) => error ? reject(error) : resolve(result.rows))))
          rows.push(await new Promise((resolve) => {
            const query = client.query(new pg.Query("select generate_series(1, 3) as a"))
            const seen: Array<unknown> = []
            query.on("row", (row) => seen.push(row))
            query.on("end", () => resolve(seen))
          }))
          client.release()
          rows.push(await new Promise((resolve, reject) => one.connect((error, client, release) => {
            if (error || client === undefined) return reject(error)
            client.query("select 9 as a", (_: Error | null, result) => {
              release()
              resolve(result.rows)
            })
          })))
          rows.push((await one.query("select 1 as a; select 2 as a; select 3 as a") as unknown as Array<pg.QueryResult>).map((one) => one.rows))
          return rows
        }
        const plain = await calls(raw)
        return { plain, watched: await calls(pool) }
      })
      assert.deepStrictEqual(result.watched, result.plain)
      assert.strictEqual(result.plain.length, 10)
      assert.deepStrictEqual(names(observed), [...Array.from({ length: 9 }, () => "SELECT"), "SELECT SELECT SELECT"])
      assert.deepStrictEqual(observed.metric("db_operation_duration_seconds"), { "SELECT ": 10 })
      // pool.query six times, connect twice.
      assert.deepStrictEqual(observed.metric("db_connection_wait_seconds"), { p: 8 })
      const first = observed.spans[0]!
      assert.deepStrictEqual([first.attributes.get("db.query.text"), first.attributes.get("db.response.returned_rows"), first.attributes.get("db.namespace")], ["select ? as a where ? = $1", 1, "postgres"])
    }))

  it.live("has its spans in the fiber that calls", () =>
    Effect.gen(function*() {
      const { observed } = yield* observing((pool) => Promise.all([pool.query("select 1"), pool.query("select 2")]))
      assert.deepStrictEqual(observed.spans.map(({ name, parentSpanId }) => [name, parentSpanId === observed.spans.at(-1)!.spanId]), [["SELECT", true], ["SELECT", true], ["outer", false]])
    }))

  it.live("keeps errors as they are, and says their kind", () =>
    Effect.gen(function*() {
      const { observed, result } = yield* observing(async (pool) => {
        const errors: Array<unknown> = []
        await pool.query("select 'hunter2'::int").catch((error) => errors.push(error.code))
        await new Promise((resolve) => pool.query("select nothing", (error: Error & { code?: string }) => resolve(errors.push(error.code))))
        const client = await pool.connect()
        await client.query("select 1 / 0").catch((error) => errors.push(error.code))
        client.release()
        try {
          await (pool.query as any)()
        } catch (error) {
          errors.push((error as Error).name)
        }
        return errors
      })
      assert.deepStrictEqual(result.slice(0, 3), ["22P02", "42703", "22012"])
      assert.deepStrictEqual(observed.metric("db_errors_total"), { "SELECT DataError": 2, "SELECT SqlSyntaxError": 1 })
      assert.notInclude(observed.all(), "hunter2")
    }))

  it.live("leaves no value in the spans around it: the server's message stays without what it quotes", () =>
    Effect.gen(function*() {
      const observed = makeObserved()
      yield* Effect.gen(function*() {
        const raw = yield* Effect.acquireRelease(Effect.sync(() => new pg.Pool({ connectionString: url })), (pool) => Effect.andThen(Effect.promise(() => pool.end()), Effect.sleep("50 millis")))
        const pool = yield* PgPoolInstrumentation.wrap(raw)
        const failing = ["select 'hunter2'::int", "select 'hunt\"er2'::date", "select 'x' 'hunter2' from users", "select * from missing", "select '{hunter2'::json"]
        yield* Effect.forEach(failing, (text) => Effect.exit(Effect.promise(() => pool.query(text)).pipe(Effect.withSpan("outer"))))
      }).pipe(Effect.scoped, Effect.provide(observed.layer))
      assert.deepStrictEqual(observed.spans.filter(({ name }) => name === "outer").map(({ statusMessage }) => statusMessage), [
        "error: invalid input syntax for type integer: ?",
        "error: invalid input syntax for type date: ?",
        "error: syntax error at or near ?",
        "error: relation \"missing\" does not exist",
        "error: invalid input syntax for type json"
      ])
      assert.notMatch(observed.all(), /hunter|er2/)
    }))

  it.live("shows its states, and a server that is away", () =>
    Effect.gen(function*() {
      const { observed, result } = yield* observing(async (pool, _, observed) => {
        const one = await pool.connect()
        const states = [observed.metric("db_connections")]
        const two = await pool.connect()
        const three = pool.connect()
        states.push({ ...observed.metric("db_connections"), ...observed.metric("db_connection_pending_requests"), ...Object.fromEntries(Object.entries(observed.metric("db_connection_max")).map(([name, max]) => [`${name} max`, max])) })
        one.release()
        ;(await three).release()
        two.release()
        states.push(observed.metric("db_connections"))
        return states
      })
      assert.deepStrictEqual(result, [{ "p used": 1, "p idle": 0 }, { "p used": 2, "p idle": 0, p: 1, "p max": 2 }, { "p used": 0, "p idle": 2 }])
      assert.deepStrictEqual(observed.metric("db_connections"), {})
      const away = yield* observing((pool) => pool.query("select 1").catch((error) => error.code), {}, { connectionString: "postgres://u:hunter2@127.0.0.1:1/d" })
      assert.strictEqual(away.result, "ECONNREFUSED")
      assert.deepStrictEqual(away.observed.metric("db_errors_total"), { "SELECT ConnectionError": 1 })
      assert.notInclude(away.observed.all(), "hunter2")
    }))

  it.live("writes comments, except into prepared statements, and logs what is slow", () =>
    Effect.gen(function*() {
      const { observed, result } = yield* observing(async (pool) => {
        const seen = "select query from pg_stat_activity where pid = pg_backend_pid()"
        const plain = (await pool.query(seen)).rows[0].query
        const prepared = (await pool.query({ name: "seen", text: seen })).rows[0].query
        await pool.query("select pg_sleep(0.35)")
        return { plain, prepared, seen }
      }, { sqlcommenter: true, slowQueryThreshold: "300 millis" })
      assert.match(result.plain, /^select query .*\(\) \/\*traceparent='00-[0-9a-f]{32}-[0-9a-f]{16}-01'\*\/$/)
      assert.strictEqual(result.prepared, result.seen)
      assert.strictEqual(/-([0-9a-f]{16})-01/.exec(result.plain)![1], observed.spans[0]!.spanId)
      assert.deepStrictEqual(observed.lines.map(({ annotations }) => annotations["db.query.text"]), ["select pg_sleep(?)"])
    }))

  it.live("is the same pool in all else", () =>
    Effect.gen(function*() {
      const { result } = yield* observing(async (pool, raw) => {
        const heard: Array<string> = []
        assert.strictEqual(pool.on("connect", () => heard.push("connect")), pool)
        await pool.query("select 1")
        const client = await pool.connect()
        assert.isTrue(client instanceof pg.Client)
        client.release()
        return [pool instanceof pg.Pool, pool.totalCount === raw.totalCount, heard, pool.options === raw.options, typeof pool.end]
      })
      assert.deepStrictEqual(result, [true, true, ["connect"], true, "function"])
    }))
})
