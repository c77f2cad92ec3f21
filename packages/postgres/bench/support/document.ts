import type { MetricFrame } from "@effect-observability/core"
import { PgTypes } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import { type Server } from "./server.ts"
import { labelsOf } from "./synthetic.ts"

const rowsPerStatement = 100

/** One row per series, in statements of 100 rows that are not prepared: chapter 9 as it is written. */
export const insertRows = (server: Server, schema: string, frame: MetricFrame): Promise<void> => {
  const rows = [frame.counters, frame.gauges].flatMap(({ series, values }) => series.map((one, i) => ({ one, value: values[i]! })))
  const statements: Array<Effect.Effect<unknown, unknown>> = []
  for (let from = 0; from < rows.length; from += rowsPerStatement) {
    const part = rows.slice(from, from + rowsPerStatement)
    const places = part.map((_, i) => `($${5 * i + 1}, $${5 * i + 2}, $${5 * i + 3}, $${5 * i + 4}, $${5 * i + 5})`).join(", ")
    statements.push(server.connection.query(
      `INSERT INTO ${schema}.observability_metrics (name, type, value, labels, timestamp) VALUES ${places}`,
      part.flatMap(({ one, value }) => [
        PgTypes.varchar(one.definition.name),
        PgTypes.varchar(one.definition.type),
        PgTypes.float8(value),
        PgTypes.jsonb(labelsOf(one)),
        PgTypes.timestamptz(frame.endTime)
      ]),
      false
    ))
  }
  return server.run(Effect.forEach(statements, (statement) => statement, { discard: true }))
}
