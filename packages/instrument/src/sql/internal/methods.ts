import type * as Effect from "effect/Effect"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import type { Statement } from "effect/sql/Statement"

export type Rows = (<A extends object>(row: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

type Run = (connection: Connection, sql: string, params: ReadonlyArray<unknown>, transformRows: Rows) => Effect.Effect<any, SqlError>

/** One way of running a statement. */
export interface Method {
  readonly withoutTransform: boolean
  readonly run: Run
  /** For a text that will not be sent again. */
  readonly runOnce: Run
  /** The same of a statement that runs itself. */
  readonly whole: (statement: Statement<any>) => Effect.Effect<any, SqlError>
}

const unprepared: Run = (connection, sql, params, transformRows) => connection.executeUnprepared(sql, params, transformRows)
const valuesUnprepared: Run = (connection, sql, params) => connection.executeValuesUnprepared(sql, params)
const raw: Run = (connection, sql, params) => connection.executeRaw(sql, params)

/** As `effect/sql/Statement` has them. */
export const methods = {
  execute: {
    withoutTransform: false,
    run: (connection, sql, params, transformRows) => connection.execute(sql, params, transformRows),
    runOnce: unprepared,
    whole: (statement) => statement
  },
  withoutTransform: {
    withoutTransform: true,
    run: (connection, sql, params) => connection.execute(sql, params, undefined),
    runOnce: (connection, sql, params) => connection.executeUnprepared(sql, params, undefined),
    whole: (statement) => statement.withoutTransform
  },
  raw: { withoutTransform: true, run: raw, runOnce: raw, whole: (statement) => statement.raw },
  values: {
    withoutTransform: false,
    run: (connection, sql, params) => connection.executeValues(sql, params),
    runOnce: valuesUnprepared,
    whole: (statement) => statement.values
  },
  valuesUnprepared: { withoutTransform: false, run: valuesUnprepared, runOnce: valuesUnprepared, whole: (statement) => statement.valuesUnprepared },
  unprepared: { withoutTransform: false, run: unprepared, runOnce: unprepared, whole: (statement) => statement.unprepared }
} satisfies Record<string, Method>
