import type { HistoryError, TraceSummary } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Sql } from "../internal/names.ts"
import { int4s, int8s } from "../internal/parameters.ts"
import type { Change, Live } from "../Live.ts"
import type { Ask } from "./ask.ts"

/** Changes answered by one look, and how long they are gathered. */
const atOnce = 1_000
const rest = "250 millis"

/** The traces of every batch of spans that is stored while the stream runs. */
export const liveTraces = (
  ask: Ask,
  t: Sql,
  live: Live["Service"],
  summaries: (traceIds: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<TraceSummary>, HistoryError>
): Stream.Stream<TraceSummary, HistoryError> =>
  live.changes.pipe(
    Stream.filter(({ signal }) => signal === "spans"),
    Stream.groupedWithin(atOnce, rest),
    Stream.mapEffect((changes) => look(ask, t, changes)),
    Stream.mapEffect((ids) => (ids.length === 0 ? Effect.succeed([]) : summaries(ids))),
    Stream.flattenIterable
  )

const look = (ask: Ask, t: Sql, changes: ReadonlyArray<Change>): Effect.Effect<ReadonlyArray<string>, HistoryError> =>
  Effect.map(
    ask(
      // Rows are packed when they are minutes old: what is new is hot.
      `select distinct replace(p.trace_id::text, '-', '') as id
        from ${t.trace_part} p join unnest($1::int4[], $2::int8[]) as c(lane, number) on c.lane = p.lane and c.number = p.seq
        where p.ts >= now() - interval '1 hour'`,
      [int4s(Int32Array.from(changes, ({ lane }) => lane)), int8s(BigInt64Array.from(changes, ({ number }) => BigInt(number)))]
    ),
    (rows) => rows.map((row) => String(row["id"]))
  )
