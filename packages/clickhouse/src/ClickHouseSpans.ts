import { Exporter, type SpanData } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Encoding from "./ClickHouseEncoding.ts"
import type { Inserter } from "./internal/Inserter.ts"
import { RowWriter } from "./internal/RowWriter.ts"
import { traces } from "./internal/tables.ts"

/** Stores spans: a row each, one insert per batch. */
export const make = (inserter: Inserter, resource: Uint8Array): Exporter.Exporter<SpanData> => {
  const writer = new RowWriter()
  return {
    export: (batch, attempt) =>
      inserter.attempt(attempt, (insert) =>
        Effect.suspend(() => Effect.as(insert(traces, Encoding.spans(writer, batch, resource).body, "traces"), Exporter.complete))),
    giveUp: inserter.giveUp
  }
}
