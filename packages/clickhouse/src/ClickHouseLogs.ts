import { Exporter } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Encoding from "./ClickHouseEncoding.ts"
import type { Inserter } from "./internal/Inserter.ts"
import type { LogRecord } from "./internal/logRecord.ts"
import { RowWriter } from "./internal/RowWriter.ts"
import { logs } from "./internal/tables.ts"

/** Stores what can be made into a log record: a row each, one insert per batch. */
export const make = <A>(inserter: Inserter, resource: Uint8Array, recordOf: (item: A) => LogRecord): Exporter.Exporter<A> => {
  const writer = new RowWriter()
  return {
    export: (batch, attempt) =>
      inserter.attempt(attempt, (insert) =>
        Effect.suspend(() => Effect.as(insert(logs, Encoding.logs(writer, batch.map(recordOf), resource).body, "logs"), Exporter.complete))),
    giveUp: inserter.giveUp
  }
}
