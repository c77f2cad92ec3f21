import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import * as SqlResolver from "effect/sql/SqlResolver"
import * as SqlSchema from "effect/sql/SqlSchema"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import { SqlInstrumentation } from "../../src/index.ts"
import { makeObserved } from "../support/observed.ts"
import { startPostgres } from "./support.ts"

let url: Redacted.Redacted<string>
const scope = Scope.makeUnsafe()
beforeAll(() => Effect.runPromise(Effect.map(startPostgres, (server) => {
  url = server.url
}).pipe(Scope.provide(scope))), 60_000)
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const observing = <A, E>(program: (sql: SqlClient.SqlClient) => Effect.Effect<A, E, SqlClient.SqlClient | Scope.Scope>, Client: Layer.Layer<SqlClient.SqlClient, unknown> = PgClient.layer({ url })) => {
  const observed = makeObserved()
  const Sql = SqlInstrumentation.layer().pipe(Layer.provide(Client))
  return Effect.map(
    Effect.flatMap(SqlClient.SqlClient, program).pipe(Effect.scoped, Effect.provide(Sql.pipe(Layer.provideMerge(observed.layer)))),
    (result) => ({ result, observed, names: observed.spans.map(({ name }) => name) })
  )
}

describe("what Effect builds on a client", () => {
  it.live("works as before: migrations, schemas, resolvers, fragments inside fragments", () =>
    Effect.gen(function*() {
      const { names, observed, result } = yield* observing((sql) =>
        Effect.gen(function*() {
          yield* Migrator.make({})({ loader: Migrator.fromRecord({ "0001_init": Effect.flatMap(SqlClient.SqlClient, (sql) => sql`create table items (id serial primary key, name text not null)`) }) })
          yield* sql`insert into items ${sql.insert([{ name: "a" }, { name: "b" }, { name: "c" }])}`
          const Item = Schema.Struct({ id: Schema.Int, name: Schema.String })
          const find = SqlSchema.findAll({ Request: Schema.Int, Result: Item, execute: (from) => sql`select * from items where id >= ${from} order by id` })
          const byId = SqlResolver.findById({ Id: Schema.Int, Result: Item, ResultId: ({ id }) => id, execute: (ids) => sql`select * from items where ${sql.in("id", ids)}` })
          const condition = sql`name <> ${"b"}`
          assert.isTrue(Statement.isFragment(condition))
          const some = yield* sql<{ readonly name: string }>`select name from items where ${sql.and([condition, sql`id > ${0}`])} order by id`
          const found = yield* Effect.forEach([1, 2, 3], (id) => SqlResolver.request(id, byId), { concurrency: "unbounded" })
          return { all: (yield* find(2)).length, some: some.map(({ name }) => name), found: JSON.stringify(found).includes("\"c\""), json: Object.keys(condition.toJSON() as object).length > 0 }
        }))
      assert.deepStrictEqual(result, { all: 2, some: ["a", "c"], found: true, json: true })
      assert.includeMembers(names, ["CREATE TABLE items", "INSERT items", "SELECT items", "sql.transaction"])
      // Three requests of a resolver are one statement.
      assert.strictEqual(names.filter((name) => name === "SELECT items").length, 3)
      assert.deepStrictEqual(observed.metric("db_connections"), {})
      assert.deepStrictEqual(observed.metric("db_errors_total"), {})
    }))

  it.live("has spans of the driver inside the statement's, if the program wants them", () =>
    Effect.gen(function*() {
      let parent: string | undefined
      const { observed } = yield* observing((sql) =>
        Effect.gen(function*() {
          // A driver that asks for the current span while it runs.
          const connection = yield* sql.reserve
          const spy = {
            execute: () =>
              Effect.withFiber((fiber) => {
                parent = fiber.cache.span?.spanId
                return Effect.succeed([])
              })
          } as unknown as typeof connection
          yield* sql`select 1`.pipe(Effect.provideService(sql.transactionService, [spy, 0]), Effect.provideService(Statement.SpanPropagationEnabled, true))
        }))
      assert.isDefined(parent)
      assert.include(observed.spans.map(({ spanId }) => spanId), parent)
    }))
})

/** A statement that keeps to the interface and has nothing else. */
class Closed extends Effectable.Class<ReadonlyArray<unknown>, never> {
  readonly segments: ReadonlyArray<unknown>
  private readonly inner: () => Statement.Statement<unknown>

  constructor(inner: Statement.Statement<unknown>) {
    super()
    this.segments = inner.segments
    this.inner = () => inner
  }

  override asEffect(): Effect.Effect<ReadonlyArray<unknown>> {
    return this.inner() as never
  }

  get "~effect/sql/Statement/Fragment"(): string {
    return "~effect/sql/Statement/Fragment"
  }
  get values() {
    return this.inner().values
  }
  get raw() {
    return this.inner().raw
  }
  get stream() {
    return this.inner().stream
  }
  get unprepared() {
    return this.inner().unprepared
  }
  compile(withoutTransform?: boolean) {
    return this.inner().compile(withoutTransform)
  }
}

describe("a client of another make", () => {
  it.live("is observed as well: one span per statement, no wait", () =>
    Effect.gen(function*() {
      const Foreign = Layer.effectContext(Effect.map(PgClient.PgClient, (sql) => {
        const close = (made: unknown) => typeof made === "function" ? made : new Closed(made as Statement.Statement<unknown>)
        const foreign = Object.assign(
          (strings: TemplateStringsArray, ...args: Array<never>) => typeof strings === "string" ? sql(strings) : close(sql(strings, ...args)),
          sql,
          { unsafe: (text: string, params?: ReadonlyArray<unknown>) => close(sql.unsafe(text, params)) }
        )
        return Context.make(SqlClient.SqlClient, foreign as unknown as SqlClient.SqlClient)
      })).pipe(Layer.provide(PgClient.layer({ url })))
      const { names, observed, result } = yield* observing((sql) =>
        Effect.gen(function*() {
          const one = yield* sql`select 1 as a from pg_class limit 1`
          const values = yield* sql.unsafe("select $1::int as a from pg_class limit 1", [2]).values
          const rows = yield* Stream.runCollect(sql`select 3 as a from pg_class limit 1`.stream)
          const error = yield* Effect.flip(sql`select nothing from pg_class`)
          return [one, values, rows, error.reason._tag]
        }).pipe(Effect.withSpan("outer")), Foreign)
      assert.deepStrictEqual(result, [[{ a: 1 }], [[2]], [{ a: 3 }], "SqlSyntaxError"])
      assert.deepStrictEqual(names, ["SELECT pg_class", "SELECT pg_class", "SELECT pg_class", "SELECT pg_class", "outer"])
      assert.deepStrictEqual(observed.metric("db_returned_rows"), { "SELECT pg_class": 3 })
      assert.deepStrictEqual(observed.metric("db_errors_total"), { "SELECT SqlSyntaxError": 1 })
    }))
})

