import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Database } from "../support/database.ts"
import { compareSql } from "./compareSql.ts"

layer(Database.layer, { excludeTestServices: true, timeout: "60 seconds" })("SQL over the views, at length", (it) => {
  it.effect("1,000 generated statements return what the document's own tables would", () =>
    Effect.gen(function*() {
      const { empty, rows } = yield* compareSql(2, 1_000)
      yield* Effect.logInfo(`1,000 statements, ${rows} rows equal, ${empty} without rows`)
      assert.isAbove(rows, 10_000)
      assert.isBelow(empty, 500)
    }), 240_000)
})
