import { ObservabilityTracer } from "@effect-observability/core"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import { SqlInstrumentation } from "../../src/index.ts"
import { withComment } from "../../src/sql/internal/comment.ts"
import { Statements } from "../../src/sql/internal/Statements.ts"
import { makeObserved } from "../support/observed.ts"
import { startPostgres } from "./support.ts"

const tracer = ObservabilityTracer.make({ onEnd: () => {}, active: () => true, now: () => 0 })
const span = Effect.runSync(Effect.makeSpan("x", { root: true }).pipe(Effect.withTracer(tracer)))
const statements = new Statements("pg", { maxTables: 100, maxSummaries: 100 })
const comment = (sql: string, tags: Readonly<Record<string, string>> = {}, traced = false) =>
  withComment(sql, statements.info(sql), Object.entries(tags), traced ? span : undefined)

/** As the sqlcommenter specification reads it. */
const parsed = (sql: string): Record<string, string> => {
  const text = /\/\*(.*)\*\/[\s;]*$/s.exec(sql)![1]!
  return Object.fromEntries(text.split(",").map((pair) => {
    const [, key, value] = /^([^=]+)='([^']*)'$/.exec(pair)!
    return [decodeURIComponent(key!), decodeURIComponent(value!)]
  }))
}

describe("a comment", () => {
  it("stands at the end, keys in order, before a last semicolon", () => {
    assert.strictEqual(comment("select 1", { route: "/users/:id", application: "shop" }), "select 1 /*application='shop',route='%2Fusers%2F%3Aid'*/")
    assert.strictEqual(comment("select 1 ; \n", { a: "b" }), "select 1 /*a='b'*/ ;")
    assert.match(comment("select 1", {}, true), /^select 1 \/\*traceparent='00-[0-9a-f]{32}-[0-9a-f]{16}-01'\*\/$/)
  })

  it("is never written twice, nor where it is not certain that the statement ends", () => {
    const once = comment("select 1", { a: "b" }, true)
    assert.strictEqual(comment(once, { a: "b" }, true), once)
    for (const sql of ["select 1 -- note", "select /* note */ 1", "/* a */ select 1", "select 'open", "select $$open", "select \"open", "", " ;; ", `select '${"x".repeat(20_000)}'`]) {
      assert.strictEqual(comment(sql, { a: "b" }, true), sql)
    }
    // What only looks like a comment is none.
    assert.strictEqual(comment("select '-- no /* comment */'", { a: "b" }), "select '-- no /* comment */' /*a='b'*/")
    assert.strictEqual(comment("select 1", {}), "select 1")
  })

  it("cannot be left by what is in it, and says it whole", () => {
    fc.assert(fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("'*/; drop table users; --", "\\'", "%27", "*/", "/*", "\u0000")), { minKeys: 1, maxKeys: 4 }), (tags) => {
      const text = comment("select 1", tags, true)
      const inside = text.slice("select 1 /*".length, -2)
      assert.isTrue(text.startsWith("select 1 /*") && text.endsWith("*/"))
      assert.notMatch(inside, /\*\/|\/\*|\s/)
      const { traceparent, ...said } = parsed(text)
      assert.isDefined(traceparent)
      // Half a surrogate pair is no text that could be encoded.
      if (Object.entries(tags).every((pair) => pair.every((one) => one.isWellFormed()))) assert.deepStrictEqual(said, { ...tags })
    }), { numRuns: 500 })
  })
})

describe("a server", () => {
  it.live("sees the comment in every form, and the program the same rows", () =>
    Effect.scoped(Effect.gen(function*() {
      const { url } = yield* startPostgres
      const run = (options: SqlInstrumentation.SqlOptions) => {
        const observed = makeObserved()
        const Sql = SqlInstrumentation.layer(options).pipe(Layer.provide(PgClient.layer({ url })))
        return Effect.map(Effect.flatMap(SqlClient.SqlClient, (sql) => {
          const one = sql<{ readonly query: string }>`select query from pg_stat_activity where pid = pg_backend_pid() and ${1} = 1`
          return Effect.gen(function*() {
            const queries = [(yield* one)[0]!.query, (yield* one)[0]!.query, String((yield* one.values)[0]![0]), (yield* one.unprepared)[0]!.query]
            queries.push((yield* Stream.runCollect(one.stream))[0]!.query)
            queries.push((yield* sql.withTransaction(one))[0]!.query)
            const prepared = yield* sql<{ readonly n: number }>`select count(*)::int as n from pg_prepared_statements where statement like '%pg_stat_activity%'`
            return { queries, prepared: prepared[0]!.n }
          })
        }).pipe(Effect.provide(Sql.pipe(Layer.provideMerge(observed.layer)))), (result) => ({ ...result, observed }))
      }
      const off = yield* run({})
      assert.deepStrictEqual(off.queries.filter((query) => query.includes("/*")), [])
      assert.isAtLeast(off.prepared, 1)
      const on = yield* run({ sqlcommenter: { tags: { application: "it's" } } })
      const spans = on.observed.spans.filter(({ name }) => name === "SELECT pg_stat_activity")
      assert.deepStrictEqual(
        on.queries.map((query) => /\/\*(.*)\*\/$/.exec(query)?.[1]),
        spans.map((span) => `application='it%27s',traceparent='00-${span.traceId}-${span.spanId}-01'`)
      )
      assert.strictEqual(spans.length, 6)
      // None is prepared but what a stream sends: no other text will ever be the same.
      assert.isAtMost(on.prepared, 1)
      assert.deepStrictEqual(spans.map(({ attributes }) => attributes.get("db.query.text")), spans.map(() => "select query from pg_stat_activity where pid = pg_backend_pid() and $1 = ?"))
    })), 60_000)
})
