import { Exporter, type MetricFrame } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Encoding from "./ClickHouseEncoding.ts"
import type { Inserter } from "./internal/Inserter.ts"
import { metrics, type MetricTable } from "./internal/tables.ts"

/**
 * Stores frames: a row per series, one insert per table and batch. A repeated attempt makes the same inserts; those that were stored
 * are recognised by their token.
 */
export const make = (inserter: Inserter, resource: Uint8Array, labels: Readonly<Record<string, string>> = {}): Exporter.Exporter<MetricFrame> => {
  const encoder = new Encoding.FrameEncoder(resource, labels)
  return {
    export: (batch, attempt) =>
      inserter.attempt(attempt, (insert) => Effect.gen(function*() {
        let refusal: Exporter.ExportError | undefined
        for (const [part, rows] of encoder.encode(batch).entries()) {
          const table = rows.table as MetricTable
          yield* insert(metrics[table], rows.body, `${table}.${part}`).pipe(
            Effect.catchIf((error) => !error.reason.isRetryable, (error) => {
              refusal ??= error
              return Effect.void
            })
          )
        }
        // What the other tables took must not come again in smaller batches.
        if (refusal !== undefined && refusal.reason._tag === "Refused") {
          return yield* Effect.fail(Exporter.refused(refusal.reason.message, refusal.reason.reason, false))
        }
        return Exporter.complete
      })),
    giveUp: inserter.giveUp
  }
}
