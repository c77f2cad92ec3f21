import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { MetricsRecorder, ObservabilityInput, Telemetry } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import { SqlInstrumentation } from "../../src/index.ts"
import * as fc from "fast-check"
import { literals, places, secret } from "./secrets.ts"
import { makeObserved } from "../support/observed.ts"
import { startPostgres } from "./support.ts"

let url: Redacted.Redacted<string>
const scope = Scope.makeUnsafe()

beforeAll(() => Effect.runPromise(Effect.gen(function*() {
  url = (yield* startPostgres).url
  yield* Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.andThen(
      sql`create table users (id int primary key, name text unique, born date)`,
      sql`insert into users (id, name) select i, 'user ' || i from generate_series(1, 1000) i`
    )).pipe(Effect.provide(PgClient.layer({ url })))
}).pipe(Scope.provide(scope))), 60_000)
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

/** Runs a program with an observed client of PostgreSQL, and tells what was seen. */
const observing = <A, E>(
  program: (sql: PgClient.PgClient) => Effect.Effect<A, E, Scope.Scope | Telemetry | MetricsRecorder>,
  options: SqlInstrumentation.SqlOptions = {},
  input: ObservabilityInput = {},
  config: Partial<PgClient.PgPoolConfig> = {}
) => {
  const observed = makeObserved(input)
  const Sql = SqlInstrumentation.layerFor(PgClient.PgClient, options).pipe(Layer.provide(PgClient.layer({ url, maxConnections: 3, ...config })))
  return Effect.map(
    Effect.flatMap(PgClient.PgClient, (sql) => Effect.map(Effect.exit(program(sql)), (exit) => ({ exit, pools: observed.metric("db_connections") }))).pipe(
      Effect.scoped,
      Effect.provide(Sql.pipe(Layer.provideMerge(observed.layer)))
    ),
    ({ exit, pools }) => ({ exit, pools, observed, spans: observed.spans })
  )
}

const value = <A, E>(exit: Exit.Exit<A, E>): A => {
  if (exit._tag === "Failure") throw new Error(Cause.pretty(exit.cause))
  return exit.value
}

describe("a statement", () => {
  it.live("is one client span with OpenTelemetry's attributes, and is measured", () =>
    Effect.gen(function*() {
      const { exit, observed, spans } = yield* observing((sql) => sql`select * from users where id = ${7} and name <> 'secret' limit 5`.pipe(Effect.withSpan("outer")))
      assert.deepStrictEqual(value(exit), [{ id: 7, name: "user 7", born: null }])
      assert.deepStrictEqual(spans.map(({ kind, name }) => [kind, name]), [["client", "SELECT users"], ["internal", "outer"]])
      assert.strictEqual(spans[0]!.parentSpanId, spans[1]!.spanId)
      assert.deepStrictEqual(Object.fromEntries(spans[0]!.attributes), {
        "db.system.name": "postgresql",
        "db.namespace": "postgres",
        "server.address": "127.0.0.1",
        "server.port": Number(new URL(Redacted.value(url)).port),
        "db.operation.name": "SELECT",
        "db.collection.name": "users",
        "db.query.summary": "SELECT users",
        "db.query.text": "select * from users where id = $1 and name <> ? limit ?",
        "db.response.returned_rows": 1
      })
      assert.deepStrictEqual(observed.metric("db_operation_duration_seconds"), { "SELECT users": 1 })
      assert.deepStrictEqual(observed.metric("db_returned_rows"), { "SELECT users": 1 })
      assert.deepStrictEqual(observed.metric("db_connection_wait_seconds"), { postgres: 1 })
      assert.deepStrictEqual(observed.metric("db_errors_total"), {})
    }))

  it.live("has one span in every form, and every form gives what it gave", () =>
    Effect.gen(function*() {
      const forms = (sql: SqlClient.SqlClient) => {
        const one = sql`select id from users where id <= ${2} order by id`
        return Effect.all([
          one, one.values, one.valuesUnprepared, one.unprepared, one.withoutTransform, Stream.runCollect(one.stream),
          Effect.map(one.raw, (result) => (result as { readonly rows: unknown }).rows),
          sql.unsafe("select id from users where id <= $1 order by id", [2]),
          sql.withoutTransforms()`select id from users where id <= ${2} order by id`,
          sql.safe`select id from users where id <= ${2} order by id`,
          sql`select id from users where ${sql.in("id", [1, 2])} and ${sql("name")} is not null order by id`
        ])
      }
      const plain = yield* Effect.provide(Effect.flatMap(SqlClient.SqlClient, forms), PgClient.layer({ url }))
      const { exit, spans } = yield* observing(forms)
      assert.deepStrictEqual(value(exit), plain)
      assert.strictEqual(plain.length, 11)
      assert.deepStrictEqual(spans.map(({ attributes, kind, name }) => [kind, name, attributes.get("db.response.returned_rows")]), plain.map(() => ["client", "SELECT users", 2]))
    }))

  it.live("that fails says what kind of error it was, and nothing that was sent", () =>
    Effect.gen(function*() {
      const { exit, observed, spans } = yield* observing((sql) =>
        Effect.forEach([
          sql`insert into users (id, name) values (1001, 'user 5')`,
          sql`select 'hunter2'::int`,
          sql`select nothing from nowhere`,
          sql`update users set id = ${"hunter3"}::text::int where id = 1`
        ], (one) => Effect.flip(one)), { poolName: "p" })
      const errors = value(exit)
      assert.deepStrictEqual(errors.map(({ _tag }) => _tag), ["SqlError", "SqlError", "SqlError", "SqlError"])
      assert.deepStrictEqual(spans.map(({ attributes, status, statusMessage }) => [status, statusMessage, attributes.get("error.type"), attributes.get("db.response.status_code")]), [
        ["error", "UniqueViolation 23505 (users_name_key)", "UniqueViolation", "23505"],
        ["error", "DataError 22P02", "DataError", "22P02"],
        ["error", "SqlSyntaxError 42P01", "SqlSyntaxError", "42P01"],
        ["error", "DataError 22P02", "DataError", "22P02"]
      ])
      assert.deepStrictEqual(observed.metric("db_errors_total"), { "INSERT UniqueViolation": 1, "SELECT DataError": 1, "SELECT SqlSyntaxError": 1, "UPDATE DataError": 1 })
      assert.notMatch(observed.all(), /hunter|user 5/)
    }))

  it.live("that is interrupted is no error, and gives its connection back", () =>
    Effect.gen(function*() {
      const { exit, observed, pools, spans } = yield* observing((sql) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(sql`select pg_sleep(10)`)
          yield* Effect.sleep("100 millis")
          yield* Fiber.interrupt(fiber)
          return yield* sql`select 1 as one`
        }))
      assert.deepStrictEqual(value(exit), [{ one: 1 }])
      assert.deepStrictEqual(spans.map(({ status }) => status), ["unset", "unset"])
      assert.deepStrictEqual(observed.metric("db_errors_total"), {})
      assert.deepStrictEqual(observed.metric("db_interruptions_total"), { SELECT: 1 })
      assert.deepStrictEqual(pools, { "postgres used": 0 })
    }))

  it.live("of a server that is not there is a connection error", () =>
    Effect.gen(function*() {
      const { exit, observed } = yield* observing((sql) => Effect.flip(sql`select 1`), {}, {}, { url: Redacted.make("postgres://u:hunter2@127.0.0.1:1/shop") })
      assert.strictEqual(value(exit).reason._tag, "ConnectionError")
      assert.deepStrictEqual(observed.metric("db_errors_total"), { "SELECT ConnectionError": 1 })
      assert.deepStrictEqual(observed.spans.map(({ attributes }) => [attributes.get("server.port"), attributes.get("db.namespace")]), [[1, "shop"]])
      assert.notInclude(observed.all(), "hunter2")
    }))
})

describe("a stream", () => {
  it.live("lasts until its last row, and counts them", () =>
    Effect.gen(function*() {
      const { exit, observed, spans } = yield* observing((sql) =>
        Stream.runFold(sql`select id from users order by id`.stream, () => 0, (sum) => sum + 1).pipe(
          Effect.tap(() => Effect.sync(() => {}))
        ))
      assert.strictEqual(value(exit), 1000)
      assert.deepStrictEqual(spans.map(({ attributes, name }) => [name, attributes.get("db.response.returned_rows")]), [["SELECT users", 1000]])
      assert.deepStrictEqual(observed.metric("db_operation_duration_seconds"), { "SELECT users": 1 })
    }))

  it.live("is slow when its reader is, ends early with it, and fails with its statement", () =>
    Effect.gen(function*() {
      const { exit, observed, pools, spans } = yield* observing((sql) =>
        Effect.gen(function*() {
          yield* Stream.runForEach(sql`select id from users where id <= 2`.stream, () => Effect.sleep("60 millis"))
          const few = yield* Stream.runCollect(Stream.take(sql`select id from users`.stream, 1))
          const error = yield* Effect.flip(Stream.runDrain(sql`select 1 / (id - 3) from users`.stream))
          return [few.length, error.reason._tag]
        }))
      assert.deepStrictEqual(value(exit), [1, "UnknownError"])
      assert.isAtLeast(Number(spans[0]!.endTime - spans[0]!.startTime) / 1e6, 100)
      assert.deepStrictEqual(spans.map(({ status }) => status), ["unset", "unset", "error"])
      assert.deepStrictEqual(observed.metric("db_errors_total"), { "SELECT DataError": 1 })
      assert.deepStrictEqual(pools, { "postgres used": 0 })
    }))
})

describe("a transaction", () => {
  it.live("is one span around its statements, with savepoints inside, and is counted by how it ended", () =>
    Effect.gen(function*() {
      const { exit, observed, pools, spans } = yield* observing((sql) =>
        Effect.gen(function*() {
          yield* sql.withTransaction(Effect.gen(function*() {
            yield* sql`insert into users (id, name) values (2001, 'a')`
            yield* Effect.ignore(sql.withTransaction(Effect.andThen(sql`insert into users (id, name) values (2002, 'b')`, Effect.fail("no"))))
            yield* sql.withTransaction(sql`update users set name = 'c' where id = 2001`)
          }))
          yield* Effect.ignore(sql.withTransaction(Effect.andThen(sql`delete from users where id = 2001`, Effect.fail("no"))))
          return yield* sql`select name from users where id > 2000`
        }), { poolName: "main" })
      assert.deepStrictEqual(value(exit), [{ name: "c" }])
      assert.deepStrictEqual(observed.metric("db_transactions_total"), {
        "savepoint rolled_back": 1, "savepoint committed": 1, "transaction committed": 1, "transaction rolled_back": 1
      })
      assert.deepStrictEqual(observed.metric("db_transaction_duration_seconds"), { savepoint: 2, transaction: 2 })
      assert.deepStrictEqual(observed.metric("db_operation_duration_seconds"), {
        "BEGIN ": 2, "INSERT users": 2, "SAVEPOINT ": 2, "ROLLBACK ": 2, "UPDATE users": 1, "RELEASE ": 1, "COMMIT ": 1, "DELETE users": 1, "SELECT users": 1
      })
      const addresses = new Set(spans.map(({ attributes }) => `${String(attributes.get("server.address"))}:${String(attributes.get("server.port"))}`))
      assert.deepStrictEqual([...addresses], [new URL(Redacted.value(url)).host])
      const byId = new Map(spans.map((span) => [span.spanId, span]))
      assert.deepStrictEqual(spans.map((span) => [span.name, byId.get(span.parentSpanId ?? "")?.name]), [
        ["INSERT users", "sql.transaction"], ["INSERT users", "sql.transaction"], ["sql.transaction", "sql.transaction"], ["UPDATE users", "sql.transaction"],
        ["sql.transaction", "sql.transaction"], ["sql.transaction", undefined], ["DELETE users", "sql.transaction"], ["sql.transaction", undefined], ["SELECT users", undefined]
      ])
      assert.deepStrictEqual(pools, { "main used": 0 })
      // Statements of a transaction wait for no connection.
      assert.deepStrictEqual(observed.metric("db_connection_wait_seconds"), { main: 1 })
    }))

  it.live("that cannot commit says so, and one that is interrupted", () =>
    Effect.gen(function*() {
      const { observed, pools } = yield* observing((sql) =>
        Effect.gen(function*() {
          yield* sql`create table later (id int unique deferrable initially deferred)`
          yield* Effect.flip(sql.withTransaction(sql`insert into later values (1), (1)`))
          const fiber = yield* Effect.forkChild(sql.withTransaction(sql`select pg_sleep(10)`))
          yield* Effect.sleep("100 millis")
          yield* Fiber.interrupt(fiber)
        }))
      assert.deepStrictEqual(observed.metric("db_transactions_total"), { "transaction commit_failed": 1, "transaction interrupted": 1 })
      assert.deepStrictEqual(observed.metric("db_errors_total"), { "COMMIT UniqueViolation": 1 })
      assert.deepStrictEqual(pools, { "postgres used": 0 })
    }))
})

describe("the pool", () => {
  it.live("shows what is used and who waits, and how long", () =>
    Effect.gen(function*() {
      let during: ReadonlyArray<unknown> = []
      const observed = makeObserved()
      const Sql = SqlInstrumentation.layer({ poolName: "small" }).pipe(Layer.provide(PgClient.layer({ url, maxConnections: 2 })))
      yield* Effect.flatMap(SqlClient.SqlClient, (sql) =>
        Effect.gen(function*() {
          const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], () => Effect.forkChild(sql`select pg_sleep(0.2)`))
          yield* Effect.sleep("100 millis")
          during = [observed.metric("db_connections"), observed.metric("db_connection_pending_requests"), observed.metric("db_connection_max")]
          yield* Fiber.joinAll(fibers)
          yield* Effect.scoped(Effect.gen(function*() {
            const connection = yield* sql.reserve
            assert.deepStrictEqual(observed.metric("db_connections"), { "small used": 1 })
            yield* connection.execute("select count(*) from users", [], undefined)
          }))
        })).pipe(Effect.provide(Sql.pipe(Layer.provideMerge(observed.layer))))
      assert.deepStrictEqual(during, [{ "small used": 2 }, { small: 3 }, { small: 2 }])
      assert.deepStrictEqual(observed.metric("db_connection_wait_seconds"), { small: 5 })
      assert.isAtLeast(observed.sum("db_connection_wait_seconds"), 0.6)
      // The end of the scope takes the pool's series with it.
      assert.deepStrictEqual(observed.metric("db_connections"), {})
      assert.deepStrictEqual(observed.spans.map(({ name }) => name), ["SELECT", "SELECT", "SELECT", "SELECT", "SELECT", "SELECT users"])
    }))

  it.live("has OpenTelemetry's names when they are asked for", () =>
    Effect.gen(function*() {
      const { exit, observed } = yield* observing((sql) => Effect.andThen(sql`select 1 from users limit 2`, Effect.flip(sql`select 1 / 0`)), { poolName: "p" }, { metrics: { conventions: "otel" } })
      value(exit)
      assert.deepStrictEqual(observed.metric("db_client_operation_duration_seconds"), { "SELECT users ": 1, "SELECT  DataError": 1 })
      assert.deepStrictEqual(observed.metric("db_client_response_returned_rows"), { "SELECT users": 1, "SELECT ": 0 })
      assert.deepStrictEqual(observed.metric("db_client_connection_wait_time_seconds"), { p: 2 })
      assert.deepStrictEqual(observed.metric("db_client_connection_count"), { "p used": 0 })
      assert.deepStrictEqual(observed.metric("db_client_connection_max"), { p: 0 })
      assert.deepStrictEqual(observed.metric("db_errors_total"), {})
      assert.deepStrictEqual(observed.metric("db_operation_duration_seconds"), {})
    }))
})

describe("the slow-query log", () => {
  it.live("has a line for each that took as long, without literals, on its span, and not too many", () =>
    Effect.gen(function*() {
      const { observed } = yield* observing((sql) =>
        Effect.gen(function*() {
          yield* sql`select pg_sleep(0.12), 'hunter2' from users where id = ${1}`
          yield* sql`select 1`
          yield* sql`select pg_sleep(0.11)`
          yield* Effect.flip(sql`select 1 / (count(*) - count(*)) from pg_sleep(0.11)`)
        }), { slowQueryThreshold: "100 millis", slowQueryLogsPerMinute: 2 })
      assert.deepStrictEqual(observed.lines.map(({ annotations, level, message }) => [level, message, annotations["db.query.text"], annotations["db.query.summary"], annotations["db.response.returned_rows"]]), [
        ["Warn", "slow database operation", "select pg_sleep(?), ? from users where id = $1", "SELECT users", 1],
        ["Warn", "slow database operation", "select pg_sleep(?)", "SELECT", 1]
      ])
      assert.strictEqual(observed.lines[0]!.spanId, observed.spans[0]!.spanId)
      assert.isAtLeast(observed.lines[0]!.annotations["duration_seconds"] as number, 0.12)
      assert.deepStrictEqual(observed.metric("db_slow_queries_total"), { "SELECT users": 1, "SELECT ": 2 })
    }))
})

describe("a literal", () => {
  it.live("is in no attribute, metric or line of the log, whatever the server says about it", () =>
    Effect.gen(function*() {
      const written = fc.sample(fc.tuple(fc.constantFrom(...places), fc.constantFrom(...literals["pg"]!), secret), { numRuns: 300, seed: 7 })
      const { exit, observed, spans } = yield* observing((sql) =>
        Effect.forEach(written, ([place, write, one]) => {
          const text = place.replaceAll("@", () => write(one))
          return Effect.ignore(Effect.timeout(sql.unsafe(text), "2 seconds"))
        }), { slowQueryThreshold: "1 nanos", slowQueryLogsPerMinute: 100_000 })
      value(exit)
      assert.strictEqual(spans.length, written.length)
      assert.strictEqual(observed.lines.filter(({ message }) => message === "slow database operation").length, written.length)
      const all = observed.all()
      for (const [place, , one] of written) assert.notInclude(all, one, place)
    }), 60_000)
})

describe("spans around a statement that fails", () => {
  it.live("say nothing of what it sent, those of transactions neither", () =>
    Effect.gen(function*() {
      const { observed, spans } = yield* observing((sql) =>
        Effect.forEach([
          sql`select 'hunter2'::int`, sql`select 'hunt"er2'::date`, sql`select 'x' 'hunter2' from users`, sql`insert into users (id, name) values (1002, 'user 5')`, sql`select * from missing`
        ], (one) => Effect.ignore(sql.withTransaction(one).pipe(Effect.withSpan("outer")))))
      const outer = spans.filter(({ name }) => name === "outer")
      assert.deepStrictEqual(outer.map(({ statusMessage }) => statusMessage), outer.map(() => "effect/sql/SqlError: PgConnection: Query failed"))
      assert.notMatch(observed.all(), /hunter|er2|user 5/)
    }))
})

describe("options", () => {
  it.live("that are wrong are all named at once", () =>
    Effect.gen(function*() {
      const error = yield* observing(() => Effect.void, { slowQueryThreshold: -1, maxTables: 0, maxSummaries: 1.5, poolName: " ", sqlcommenter: { tags: { traceparent: "x" } } }).pipe(Effect.flip)
      assert.deepStrictEqual(error.message.split("\n").slice(1).map((line) => line.trim().split(":")[0]), [
        "sql.poolName", "sql.slowQueryThreshold", "sql.sqlcommenter.tags.traceparent", "sql.maxTables", "sql.maxSummaries"
      ])
    }))

  it.live("keep the text away, and add attributes", () =>
    Effect.gen(function*() {
      const { spans } = yield* observing((sql) => sql`select 1`, { queryText: false, attributes: { "server.address": "db.example.org", shard: 3 } })
      assert.isFalse(spans[0]!.attributes.has("db.query.text"))
      assert.deepStrictEqual([spans[0]!.attributes.get("server.address"), spans[0]!.attributes.get("shard")], ["db.example.org", 3])
    }))

  it.live("bound tables and summaries", () =>
    Effect.gen(function*() {
      const { observed, spans } = yield* observing((sql) =>
        Effect.forEach(Array.from({ length: 20 }, (_, i) => i), (i) => Effect.ignore(sql.unsafe(`select * from t_${i}`))), { maxTables: 3, maxSummaries: 5 })
      assert.deepStrictEqual(observed.metric("db_operation_duration_seconds"), { "SELECT t_0": 1, "SELECT t_1": 1, "SELECT t_2": 1, "SELECT _OTHER": 17 })
      assert.deepStrictEqual([...new Set(spans.map(({ name }) => name))], ["SELECT t_0", "SELECT t_1", "SELECT t_2", "SELECT t_3", "SELECT t_4", "SELECT _OTHER"])
    }))
})

describe("the program's own", () => {
  it.live("transformers are asked, and what they return is run", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const { exit, spans } = yield* observing((sql) =>
        sql`select 1 as one`.pipe(Effect.provideService(Statement.CurrentTransformer, (statement, make, _fiber, span) => {
          seen.push(`${statement.compile()[0]} ${span.kind}`)
          return Effect.succeed(make`select 2 as two from users limit 1`)
        })))
      assert.deepStrictEqual([value(exit), seen], [[{ two: 2 }], ["select 1 as one client"]])
      assert.deepStrictEqual(spans.map(({ name }) => name), ["SELECT users"])
    }))

  it.live("driver keeps what is its own, and an observed client is not observed twice", () =>
    Effect.gen(function*() {
      const { exit, spans } = yield* observing((sql) =>
        Effect.gen(function*() {
          const again = yield* SqlInstrumentation.wrap(sql)
          assert.strictEqual(again, sql)
          assert.isDefined(sql.config.url)
          yield* sql.notify("c", "x")
          return yield* sql`select ${sql.json({ a: 1 })}::jsonb as j`
        }))
      assert.deepStrictEqual(value(exit as Exit.Exit<unknown, unknown>), [{ j: { a: 1 } }])
      assert.strictEqual(spans.length, 1)
    }))

  it.live("switch turns spans off, and nothing else", () =>
    Effect.gen(function*() {
      const { observed, spans } = yield* observing((sql) => Effect.withTracerEnabled(sql`select 1 from users limit 1`, false))
      assert.deepStrictEqual([spans.length, observed.metric("db_operation_duration_seconds")], [0, { "SELECT users": 1 }])
    }))
})
