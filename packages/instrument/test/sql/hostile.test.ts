import { Redaction } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { literals, places, secret } from "./secrets.ts"
import { Statements } from "../../src/sql/internal/Statements.ts"

const budget = { maxTables: 200, maxSummaries: 500 }
const shown = (text: string, dialect?: Redaction.SqlDialect) => {
  const { operation, summary, table, text: kept } = new Statements(dialect, budget).info(text)
  return { operation, summary, table, kept }
}

const dialects = Object.keys(literals) as ReadonlyArray<Redaction.SqlDialect>

const long = fc.bigInt({ min: 10_000_000n, max: 10n ** 20n }).map(String)

describe("no literal stays", () => {
  for (const dialect of dialects) {
    it(`in ${dialect}, wherever it stands`, () => {
      // Brackets are subscripts in some dialects, and quotes of names in others.
      const here = dialect === "mssql" || dialect === "sqlite" ? places.filter((place) => !place.includes("[")) : places
      fc.assert(fc.property(fc.constantFrom(...here), fc.array(fc.tuple(fc.constantFrom(...literals[dialect]!), secret), { minLength: 6, maxLength: 6 }), (place, given) => {
        let i = 0
        const text = place.replaceAll("@", () => {
          const [write, one] = given[i++ % given.length]!
          return write(one)
        })
        const said = JSON.stringify(shown(text, dialect))
        for (const [, one] of given) assert.notInclude(said, one, text)
      }), { numRuns: 1_500 })
    })
  }

  it("of numbers, in any dialect", () => {
    const numbers: ReadonlyArray<(one: string) => string> = [(one) => one, (one) => `-${one}`, (one) => `${one}.5e10`, (one) => `.${one}`, (one) => `0x${one}`, (one) => `1.e${one}`, (one) => `${one}::int8`]
    fc.assert(fc.property(fc.constantFrom(...dialects), fc.constantFrom(...places.filter((place) => !place.includes("["))), fc.constantFrom(...numbers), long, (dialect, place, write, one) => {
      assert.notInclude(JSON.stringify(shown(place.replaceAll("@", write(one)), dialect)), one)
    }), { numRuns: 1_500 })
  })

  it("when nothing of the statement is right", () => {
    const pieces = ["'", "\"", "`", "$$", "$a$", "--", "/*", "*/", "#", "\n", "\\", "[", "]", "(", ")", ";", "E", "U&", "select ", "from ", "insert into ", "with ", "; drop table users", "\u0000", "\u2028", "ｆ", "💥"]
    fc.assert(fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 12 }), (before) => {
      for (const dialect of [...dialects, undefined]) {
        const { kept, operation, summary, table } = shown(`${before.join("")} where a = 1`, dialect)
        for (const one of [kept, operation, summary, table]) assert.isString(one)
        assert.isAtMost(summary.length, 255)
        assert.isAtMost(table.length, 128)
      }
    }), { numRuns: 1_000 })
  })

  it("of an unterminated string", () => {
    for (const opening of ["'", "$x$", "E'", "/*", "U&'"]) {
      assert.deepStrictEqual([shown(`select a from t where b = ${opening}hunter2 and c`, "pg").kept.includes("hunter2"), shown(`select a from t where b = ${opening}hunter2`, "pg").summary], [false, "SELECT t"])
    }
    assert.strictEqual(shown("'; drop table users; --", "pg").summary, "_OTHER")
    assert.strictEqual(shown("select 1; drop table users", "pg").summary, "SELECT DROP TABLE users")
  })
})

describe("summaries", () => {
  const summaries: ReadonlyArray<readonly [sql: string, operation: string, table: string, summary: string]> = [
    ["select * from users where id = $1", "SELECT", "users", "SELECT users"],
    ["SELECT a.x FROM public.a AS a JOIN \"Bee\".\"b c\" b ON a.id = b.id, c WHERE x IN (select id from d)", "SELECT", "public.a", "SELECT public.a Bee.b c c SELECT d"],
    ["insert into archive select * from orders o left join items using (id)", "INSERT", "archive", "INSERT archive SELECT orders items"],
    ["update only t set a = extract(year from now()) from u where t.id = u.id", "UPDATE", "t", "UPDATE t u"],
    ["with x as (select * from a), y(q) as (insert into b values (1) returning *) select * from x join y on true join c on true", "SELECT", "c", "SELECT a INSERT b SELECT c"],
    ["with recursive t as (select 1 union all select n + 1 from t) select * from t", "SELECT", "", "SELECT SELECT SELECT"],
    ["merge into t using s on (t.id = s.id) when matched then update set a = 1 when not matched then insert (a) values (1)", "MERGE", "t", "MERGE t s"],
    ["insert into t values (1) on conflict (id) do update set a = 1", "INSERT", "t", "INSERT t"],
    ["select * from a for update of a", "SELECT", "a", "SELECT a"],
    ["select * from a where b is distinct from c", "SELECT", "a", "SELECT a"],
    ["select * from generate_series(1, 10) g, lateral (select * from b) x", "SELECT", "b", "SELECT SELECT b"],
    ["(select * from a) union all (select * from b)", "SELECT", "a", "SELECT a SELECT b"],
    ["create table if not exists foo.bar (id int references other(id) on delete cascade)", "CREATE", "foo.bar", "CREATE TABLE foo.bar"],
    ["create unique index concurrently idx on big (a)", "CREATE", "big", "CREATE INDEX big"],
    ["create table n as select * from m", "CREATE", "n", "CREATE TABLE n SELECT m"],
    ["explain (analyze) select * from e", "EXPLAIN", "e", "EXPLAIN SELECT e"],
    ["grant select on t to u", "GRANT", "", "GRANT"],
    ["select naïve.* from таблица as naïve", "SELECT", "таблица", "SELECT таблица"],
    ["begin", "BEGIN", "", "BEGIN"],
    ["frobnicate the table", "_OTHER", "", "_OTHER"],
    ["", "_OTHER", "", "_OTHER"],
    ["-- only a comment", "_OTHER", "", "_OTHER"]
  ]
  for (const [sql, operation, table, summary] of summaries) {
    it(`of ${sql.slice(0, 60)}`, () => {
      const { kept: _, ...said } = shown(sql, "pg")
      assert.deepStrictEqual(said, { operation, table, summary })
    })
  }

  it("follow the dialect's quotes", () => {
    assert.strictEqual(shown("select * from [dbo].[My Table]", "mssql").summary, "SELECT dbo.My Table")
    assert.strictEqual(shown("update `a`.`b` set c = \"x\"", "mysql").summary, "UPDATE a.b")
    assert.strictEqual(shown("select * from \"t\" where a = 'x' # it's\n and b", "mysql").kept, "select * from ? where a = ? \n and b")
  })

  it("are bounded, whatever programs make up", () => {
    const statements = new Statements("pg", { maxTables: 10, maxSummaries: 20 })
    const seen = Array.from({ length: 5_000 }, (_, i) => statements.info(`select * from t_${i} join u_${i % 7} using (id)`))
    assert.strictEqual(new Set(seen.map(({ table }) => table)).size, 11)
    assert.strictEqual(new Set(seen.map(({ summary }) => summary)).size, 21)
    assert.deepStrictEqual([seen.at(-1)!.table, seen.at(-1)!.summary], ["_OTHER", "SELECT _OTHER"])
    assert.strictEqual(new Set(Array.from({ length: 500 }, (_, i) => statements.info(`verb${i} x`).operation)).size, 1)
  })
})

describe("time", () => {
  it("is bounded for a megabyte of anything", () => {
    const length = 1_000_000
    const units = ["select from ", "( ", ") ", "with a as (", "a.", "from a,", "join ", "'", "''", "\"", "`", "[", "$", "$a$", "$1", "/*", "*/", "--", "#", "1", "1e", ".", ";", "\\'", "E'", "é", "create ", "create index on ", "insert into "]
    const slow: Array<string> = []
    for (const unit of units) {
      const text = `select ${unit.repeat(length / unit.length)}`
      for (const dialect of ["pg", "mysql", undefined] as const) {
        const time = () => {
          const began = performance.now()
          shown(text, dialect)
          return performance.now() - began
        }
        // Quadratic time takes minutes here; a busy machine may have another try.
        if (time() > 500 && time() > 500) slow.push(`${unit} in ${dialect ?? "any"}`)
      }
    }
    assert.deepStrictEqual(slow, [])
  })

  it("and memory are bounded for texts that never come again", () => {
    const statements = new Statements("pg", budget)
    const began = performance.now()
    for (let i = 0; i < 20_000; i++) statements.info(`select * from t where id = ${i} and name = 'x${i}'`)
    const each = (performance.now() - began) / 20_000
    assert.isBelow(each, 0.5)
    const kept = statements as unknown as { readonly young: Map<string, unknown>; readonly old: Map<string, unknown> }
    assert.isAtMost(kept.young.size + kept.old.size, 2_000)
  })
})
