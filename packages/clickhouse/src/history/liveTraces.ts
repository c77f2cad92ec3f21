import type { HistoryError, TraceSummary } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Parameters, type Source } from "./ask.ts"
import { summaries } from "./traces.ts"

const rest = "500 millis"
/** Traces told of in one look. */
const atOnce = 1_000
/** Rows get their time a little before they can be seen: each look goes back so far, in milliseconds. */
const overlap = 5_000
/** Spans of a trace that began longer ago are found by a search. */
const recent = "toIntervalDay(1)"

interface Seen {
  /** When rows were stored last that were looked at, by the server's clock. */
  readonly until: number
  /** Rows per trace that were told of, by the time the newest was stored. */
  readonly told: ReadonlyMap<string, { readonly rows: number; readonly at: number }>
}

/** The traces of every batch of spans that is stored while the stream runs: the table is looked at twice a second. */
export const liveTraces = (source: Source): Stream.Stream<TraceSummary, HistoryError> => {
  const look = (seen: Seen | undefined): Effect.Effect<{ readonly seen: Seen; readonly fresh: ReadonlyArray<string> }, HistoryError> => {
    const parameters = new Parameters()
    const since = seen === undefined ? `now64(3) - toIntervalMillisecond(${overlap})` : `fromUnixTimestamp64Milli(${parameters.add(String(seen.until - overlap), "Int64")})`
    return Effect.map(
      source.ask(
        `SELECT TraceId, toFloat64(count()), toFloat64(toUnixTimestamp64Milli(max(InsertedAt))), toFloat64(toUnixTimestamp64Milli(now64(3))) FROM ${source.t.traces}
          WHERE InsertedAt > ${since} AND Timestamp > now() - ${recent} GROUP BY TraceId ORDER BY max(InsertedAt) DESC LIMIT ${atOnce}
        UNION ALL SELECT '', toFloat64(0), toFloat64(0), toFloat64(toUnixTimestamp64Milli(now64(3)))`,
        parameters
      ),
      (rows) => {
        const now = Math.max(...rows.map((row) => Number(row[3])))
        const found = rows.filter((row) => row[0] !== "").map((row) => ({ id: row[0] as string, rows: Number(row[1]), at: Number(row[2]) }))
        const fresh = seen === undefined ? [] : found.filter(({ at, id, rows }) => {
          const told = seen.told.get(id)
          return told === undefined || at > told.at || rows > told.rows
        })
        return { seen: { until: now, told: new Map(found.map(({ at, id, rows }) => [id, { rows, at }])) }, fresh: fresh.map(({ id }) => id) }
      }
    )
  }
  return Stream.unwrap(Effect.map(look(undefined), ({ seen: begun }) => {
    let seen = begun
    return Stream.fromIterableEffectRepeat(Effect.delay(
      Effect.flatMap(Effect.suspend(() => look(seen)), (found) => {
        seen = found.seen
        return summaries(source, found.fresh)
      }),
      rest
    ))
  }))
}
