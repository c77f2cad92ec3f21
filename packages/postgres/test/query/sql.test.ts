import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Database } from "../support/database.ts"
import { compareSql } from "./compareSql.ts"

layer(Database.layer, { excludeTestServices: true, timeout: "60 seconds" })("SQL over the views", (it) => {
  it.effect("60 generated statements return what the document's own tables would", () =>
    Effect.map(compareSql(1, 60), ({ empty, rows }) => {
      assert.isAbove(rows, 1_000)
      assert.isBelow(empty, 40)
    }))
})
