import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Row } from "../../src/internal/session.ts"
import type { Database } from "../support/database.ts"
import { Random } from "../support/random.ts"
import { makeTwins } from "./literal.ts"
import { makeStatement } from "./statements.ts"

/** Generated statements over the views and over the document's own tables give the same rows. */
export const compareSql = (seed: number, statements: number): Effect.Effect<{ readonly rows: number; readonly empty: number }, never, Database | Scope.Scope> =>
  Effect.gen(function*() {
    const random = new Random(seed)
    const { ask, literal, metricRows, names, spans } = yield* makeTwins(random)
    const whole = yield* ask(`select (select count(*) from ${names.schema}.observability_metrics)::int as metrics, (select count(*) from ${names.schema}.observability_spans)::int as spans`)
    assert.deepStrictEqual(whole, [{ metrics: metricRows, spans }])
    const ids = yield* ask(`select count(distinct id)::int as n from ${names.schema}.observability_metrics`)
    assert.strictEqual(ids[0]!["n"], metricRows)
    let rows = 0
    let empty = 0
    for (let n = 0; n < statements; n++) {
      const statement = makeStatement(random)
      const [expected, given] = yield* Effect.all([
        ask(statement((table) => `${literal}.observability_${table}`)),
        ask(statement((table) => `${names.schema}.observability_${table}`))
      ])
      assert.deepStrictEqual(multiset(given), multiset(expected), `statement ${n}: ${statement((table) => table)}`)
      rows += expected.length
      if (expected.length === 0) empty++
    }
    return { rows, empty }
  })

/** Sums of floating point numbers depend on the order in their last digits. */
const multiset = (rows: ReadonlyArray<Row>): ReadonlyArray<string> =>
  rows.map((row) => JSON.stringify(row, (_, value) => typeof value === "number" ? Number(value.toPrecision(11)) : typeof value === "bigint" ? String(value) : value)).sort()
