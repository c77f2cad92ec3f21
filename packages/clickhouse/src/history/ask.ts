import { HistoryError } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { Connection } from "../internal/Connection.ts"
import { type ClickHouseFailure, isMissing, isReadonly } from "../internal/errors.ts"
import type { Sql } from "../internal/names.ts"

/** One line of an answer, column by column. 64-bit numbers come as text. */
export type Row = ReadonlyArray<unknown>

export type Ask = (sql: string, parameters: Parameters) => Effect.Effect<ReadonlyArray<Row>, HistoryError>

/** What the questions are put to. */
export interface Source {
  readonly ask: Ask
  readonly t: Sql
  /** The tables that hold the rows, where the names are `Distributed` ones, and on which cluster a statement runs. */
  readonly local: Pick<Sql, "traces" | "traceTimes">
  readonly on: string
  /** Runs a statement that changes something. */
  readonly change: Ask
}

/** Values of a statement, each under a name of its own: nothing of them is ever part of the text. */
export class Parameters {
  readonly values: Record<string, unknown> = Object.create(null)
  private count = 0

  add(value: unknown, type: string): string {
    const name = `p${this.count++}`
    this.values[name] = value
    return `{${name}:${type}}`
  }

  text(value: string): string {
    return this.add(value.replaceAll("\0", "\ufffd").toWellFormed(), "String")
  }

  texts(values: ReadonlyArray<string>): string {
    return this.add(values.map((value) => value.replaceAll("\0", "\ufffd").toWellFormed()), "Array(String)")
  }

  nanos(value: bigint): string {
    return this.add(String(value), "Int64")
  }
}

/** Bytes one answer may have. */
const largest = 256 * 1024 * 1024

/**
 * Bound parameters only; the server ends a question when its time is over and takes it for nothing but reading. What it says comes
 * back as a `HistoryError`.
 */
export const asking = (connection: Connection, options: { readonly timeout: number; readonly reads: boolean }): Ask => {
  const settings = {
    max_execution_time: Math.max(1, Math.ceil(options.timeout / 1_000)),
    wait_end_of_query: 1,
    // As GET requests have it: the limits beside it may still be set.
    ...(options.reads ? { readonly: 2 } : {})
  }
  // A user whose profile is read-only may set nothing, and needs no telling.
  let bare = false
  return (sql, { values: parameters }) =>
    Effect.suspend(() => {
      const statement = { sql: options.reads ? `${sql} FORMAT JSONCompactEachRow` : sql, parameters, limit: largest }
      const asked = bare ? connection.ask(statement) : connection.ask({ ...statement, settings }).pipe(
        Effect.catchIf(isReadonly, () =>
          Effect.tap(connection.ask(statement), () =>
            Effect.sync(() => {
              bare = true
            })))
      )
      return asked
    }).pipe(
      Effect.timeoutOrElse({
        duration: options.timeout + 1_000,
        orElse: () => unavailable("the database did not answer in time: narrow the range, or try again")
      }),
      Effect.catchTag("ClickHouseFailure", (failure: ClickHouseFailure) =>
        unavailable(
          failure.answer._tag === "Answered" && failure.answer.code === 159
            ? "the question took too long: narrow the range"
            : isMissing(failure)
            ? "the store is not set up yet"
            : failure.message
        )),
      Effect.flatMap((text) =>
        Effect.try({
          try: () => text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Row),
          catch: () => new HistoryError({ reason: "unavailable", message: "the answer was cut off, or is not ClickHouse's" })
        }))
    )
}

const unavailable = (message: string) => Effect.fail(new HistoryError({ reason: "unavailable", message }))
