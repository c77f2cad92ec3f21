import { assert, describe, it } from "@effect/vitest"
import * as SqlError from "effect/sql/SqlError"
import { isDatabaseError, withoutQuotedValues } from "../../src/tracing/internal/databaseErrors.ts"
import { describe as describeError } from "../../src/tracing/internal/failure.ts"
import { Values } from "../../src/tracing/internal/values.ts"
import * as SpanLimits from "../../src/tracing/SpanLimits.ts"

describe("what a database says", () => {
  it("keeps its names and loses its values", () => {
    const said: ReadonlyArray<readonly [message: string, shown: string]> = [
      ["invalid input syntax for type integer: \"hunter2\"", "invalid input syntax for type integer: ?"],
      ["invalid input syntax for type date: \"a\"b secret\"", "invalid input syntax for type date: ?"],
      ["null value in column \"name\" of relation \"users\" violates not-null constraint", "null value in column \"name\" of relation \"users\" violates not-null constraint"],
      ["duplicate key value violates unique constraint \"users_name_key\"", "duplicate key value violates unique constraint \"users_name_key\""],
      ["column \"a secret with blanks\" does not exist", "column ? does not exist"],
      ["Duplicate entry 'ann@example.org' for key 'users.mail'", "Duplicate entry ?"],
      ["unterminated quoted string at or near \"'hunter2\"", "unterminated quoted string at or near ?"],
      ["division by zero", "division by zero"]
    ]
    for (const [message, shown] of said) assert.strictEqual(withoutQuotedValues(message), shown)
    const began = performance.now()
    withoutQuotedValues("column \"a\" ".repeat(50_000))
    withoutQuotedValues("'\"".repeat(500_000))
    assert.isBelow(performance.now() - began, 1_000)
  })

  it("is known from Effect's errors and those of drivers, and not from others", () => {
    const reason = new SqlError.UnknownError({ cause: Object.assign(new Error("x \"hunter2\""), { code: "22P02", severity: "ERROR" }), message: "x \"hunter2\"" })
    const error = new SqlError.SqlError({ reason })
    for (const one of [error, reason, reason.cause as object, Object.assign(new Error(), { sqlState: "1" })]) assert.isTrue(isDatabaseError(one))
    for (const one of [new Error("x"), Object.assign(new Error(), { code: "ECONNREFUSED" }), Object.assign(new Error(), { code: "EPERM" })]) assert.isFalse(isDatabaseError(one))
    const values = new Values(SpanLimits.defaults, undefined)
    assert.notInclude(JSON.stringify(describeError(error, values)), "hunter2")
    assert.strictEqual(describeError(new Error("it's \"kept\""), values).message, "it's \"kept\"")
  })
})
