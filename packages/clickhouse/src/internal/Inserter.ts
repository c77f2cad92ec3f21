import { Exporter } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import { isDoubtful, isMissing, isRepeat, toExportError } from "./errors.ts"
import type { Store } from "./Store.ts"
import type { Table } from "./tables.ts"

/** Inserts rows; `part` tells apart what one batch sends. */
export type Insert = (table: Table, body: Uint8Array, part: string) => Effect.Effect<void, Exporter.ExportError>

/** Sends the batches of one signal of one process, each insert with a token that is the same for every attempt. */
export interface Inserter {
  readonly attempt: <A>(attempt: Exporter.Attempt, use: (insert: Insert) => Effect.Effect<A, Exporter.ExportError>) => Effect.Effect<A, Exporter.ExportError>
  readonly giveUp: (attempt: Exporter.Attempt) => Effect.Effect<void, Exporter.ExportError>
}

/**
 * A repeat with a token that the table knows is taken for stored (`insert_deduplication_token`). Rows are stored when the answer comes,
 * whatever the server's defaults for asynchronous inserts are; rows of many days are one insert all the same.
 */
const settings = { async_insert: 0, insert_deduplicate: 1, deduplicate_blocks_in_dependent_materialized_views: 1, max_partitions_per_insert_block: 0 }

export const make = (store: Store, producer: string, signal: string): Inserter => {
  // Batches of which something may be stored, or is.
  const doubtful = new Set<number>()
  return {
    attempt: ({ number }, use) =>
      Effect.suspend(() => {
        // Until the answer is there: an attempt that is abandoned never says.
        const before = doubtful.has(number)
        doubtful.add(number)
        let certain = true
        const insert: Insert = (table, body, part) =>
          Effect.suspend(() => {
            const { header, sql } = store.insertInto(table)
            certain = false
            return store.connection.ask({
              sql,
              body: [header, body],
              settings: {
                ...settings,
                ...(store.config.layout.distributed ? { distributed_foreground_insert: 1 } : {}),
                insert_deduplication_token: `${producer}/${signal}/${number}/${part}`
              }
            })
          }).pipe(
            Effect.catch((failure) => (isRepeat(failure.answer) ? Effect.void : Effect.fail(failure))),
            Effect.mapError((failure) => {
              certain = !isDoubtful(failure) && !stored
              if (isMissing(failure)) store.recheck()
              return toExportError(failure)
            }),
            Effect.andThen(Effect.sync(() => {
              stored = true
            }))
          )
        let stored = false
        return Effect.andThen(store.gate, use(insert)).pipe(
          Effect.tap(() => Effect.sync(() => doubtful.delete(number))),
          Effect.tapError((error) =>
            Effect.sync(() => {
              // What is refused for good is not given up: its books are closed by the refusal.
              if (!error.reason.isRetryable || (!before && certain)) doubtful.delete(number)
            })
          )
        )
      }),
    giveUp: ({ number }) =>
      Effect.suspend(() => (doubtful.delete(number) ? Effect.fail(Exporter.unavailable("an attempt of it was never answered")) : Effect.void))
  }
}
