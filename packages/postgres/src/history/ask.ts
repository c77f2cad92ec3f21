import { HistoryError } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { describe, isMissingSchema, sqlState } from "../internal/errors.ts"
import type { Readers, Row } from "../internal/session.ts"
import type { Names } from "../PostgresConfig.ts"

export interface HistoryOptions {
  readonly names: Names
  readonly readers: Readers
  /** Milliseconds until a question is given up. */
  readonly timeout: number
}

export const invalid = (field: string, problem: string) => Effect.fail(new HistoryError({ reason: "invalid", message: `${field} ${problem}` }))

export type Ask = (sql: string, parameters: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<Row>, HistoryError>

/** Bound parameters only, on the readers' own connections; what the database says comes back as a `HistoryError`. */
export const asking = (options: HistoryOptions): Ask => (sql, parameters) =>
  options.readers.query(sql, parameters).pipe(
    Effect.timeoutOrElse({
      duration: options.timeout,
      orElse: () => unavailable("the database did not answer in time: narrow the range, or try again")
    }),
    Effect.catchTag("SqlError", (error: SqlError) =>
      unavailable(
        sqlState(error) === "57014"
          ? "the question took too long: narrow the range"
          : isMissingSchema(error)
          ? "the store is not set up yet"
          : describe(error)
      ))
  )

const unavailable = (message: string) => Effect.fail(new HistoryError({ reason: "unavailable", message }))
