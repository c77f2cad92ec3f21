import { type HistoryError, type StoredTrace, type TraceHistory, TraceQuestions, type TraceSummary } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type Sql, sqlNames } from "../internal/names.ts"
import { int4, text } from "../internal/parameters.ts"
import type { Row } from "../internal/session.ts"
import type { Live } from "../Live.ts"
import { type Deleter, deleteTraces } from "../spans/deletion.ts"
import { type Ask, asking, type HistoryOptions } from "./ask.ts"
import { liveTraces } from "./liveTraces.ts"
import { recentTraces } from "./recentTraces.ts"
import { Parameters } from "./parameters.ts"
import { passing, type Searchable } from "./spanSql.ts"
import { spanOf, traceById } from "./traceById.ts"
import { summariesOf } from "./traceSummaries.ts"
import { dependencies, differences, latency, operations } from "./traceFigures.ts"

export interface TraceHistoryOptions extends HistoryOptions {
  /** A connection for writing, for `deleteTraces`. */
  readonly writer: Deleter
  /** What tells of new rows, for `liveTraces`. */
  readonly live: Live["Service"]
}

export const traces = (options: TraceHistoryOptions): TraceHistory["Service"] => {
  const t = sqlNames(options.names)
  const ask = asking(options)
  // A key that all there is has an index for is so "since ever": looking for older rows would cost more than the answer.
  const searchable = Effect.map(
    ask(`select key, case when since > (select min(chunk) from ${t.span_pack}) then since else 0 end as since from ${t.searchable}`, []),
    (rows): Searchable => new Map(rows.map((row) => [String(row["key"]), row["since"] as bigint]))
  )
  const searchTraces: TraceHistory["Service"]["searchTraces"] = (query = {}) =>
    Effect.gen(function*() {
      const question = yield* TraceQuestions.search(query)
      return yield* search(ask, t, question, yield* searchable)
    })
  return {
    getTrace: (traceId) =>
      Effect.gen(function*() {
        const id = yield* TraceQuestions.traceId(traceId)
        const rows = yield* ask(traceById(t), [text(id)])
        if (rows.length === 0) return undefined
        return {
          traceId: id,
          spans: rows.map(spanOf(id)).sort((a, b) => (a.startTime < b.startTime ? -1 : a.startTime > b.startTime ? 1 : 0))
        } satisfies StoredTrace
      }),
    getRecentTraces: (query = {}) =>
      Effect.gen(function*() {
        const { serviceName, status } = query
        if (status !== undefined && status !== "OK" && status !== "ERROR") {
          return yield* TraceQuestions.invalid("status", "must be \"OK\" or \"ERROR\"")
        }
        return yield* recentTraces(ask, t, { limit: TraceQuestions.clamped(query.limit, 1, 1_000, 20), serviceName, status })
      }),
    searchTraces,
    streamTraces: TraceQuestions.stream(searchTraces),
    liveTraces: liveTraces(ask, t, options.live, (ids) => Effect.map(summariesOf(ask, t, ids), (found) => [...found.values()])),
    operations: (query = {}) =>
      Effect.flatMap(TraceQuestions.filter(query, { open: false }), (filter) =>
        operations(ask, t, filter, TraceQuestions.clamped(query.limit, 1, 1_000, 100))),
    dependencies: (query = {}) =>
      Effect.flatMap(TraceQuestions.filter(query, { open: false }), (filter) =>
        dependencies(ask, t, filter, TraceQuestions.clamped(query.limit, 1, 1_000, 100))),
    latency: (query = {}) =>
      Effect.gen(function*() {
        const question = yield* TraceQuestions.latency(query)
        return yield* latency(ask, t, question, yield* searchable)
      }),
    whatDiffers: (query) =>
      Effect.gen(function*() {
        const question = yield* TraceQuestions.differs(query)
        return yield* differences(ask, t, question, yield* searchable)
      }),
    deleteTraces: (what) => Effect.flatMap(TraceQuestions.deletion(what), (deletion) => deleteTraces(options.writer, options.names, deletion))
  }
}

// --------------------------------------------------------------------------------------------------------------------- search

/** How far before the end of the range to look, in seconds, when only the newest are wanted; then everywhere. */
const steps = [600n, 6n * 3_600n, 2n * 86_400n] as const

const search = (
  ask: Ask,
  t: Sql,
  question: TraceQuestions.Search,
  searchable: Searchable
): Effect.Effect<{ readonly traces: ReadonlyArray<TraceSummary>; readonly cursor: string | undefined }, HistoryError> =>
  Effect.gen(function*() {
    const { after, filter, limit, order } = question
    const now = BigInt(yield* Clock.currentTimeMillis) * 1_000_000n
    // The traces after the cursor have no newer span than it; without one, nothing is newer than now (or clocks are wrong).
    const end = after?.key ?? (filter.to < now ? filter.to : now)
    // What an index finds it finds everywhere at once.
    const indexed = filter.attributes.some(([key]) => searchable.has(key))
    const begins = order === "newest" && !indexed ? [...steps.map((seconds) => end - seconds * 1_000_000_000n).filter((from) => from > filter.from), filter.from] : [filter.from]
    let found: ReadonlyArray<Row> = []
    for (const from of begins) {
      const parameters = new Parameters()
      const sql = searchSql(t, parameters, { ...question, filter: { ...filter, from } }, searchable)
      found = yield* ask(sql, parameters.values)
      if (found.length > limit) break
    }
    const page = found.slice(0, limit)
    if (page.length === 0) return { traces: [], cursor: undefined }
    const ids = page.map((row) => String(row["id"]))
    const summaries = yield* summariesOf(ask, t, ids)
    const last = page.at(-1)!
    return {
      // A trace deleted or expired in between is left out.
      traces: ids.flatMap((id) => summaries.get(id) ?? []),
      cursor: found.length > limit ? TraceQuestions.cursor(order, last["key"] as bigint, String(last["id"])) : undefined
    }
  })

const searchSql = (t: Sql, parameters: Parameters, { after, filter, limit, order }: TraceQuestions.Search, searchable: Searchable): string => {
  const [key, direction] = order === "newest"
    ? ["max(start_ns)", "desc"]
    : order === "oldest"
    ? ["min(start_ns)", "asc"]
    : ["max(duration)", "desc"]
  const spans = passing(t, parameters, filter, searchable, order === "slowest" ? "x.trace_id, x.duration" : "x.trace_id, x.start_ns")
  const next = after === undefined ? "true" : (() => {
    const at = parameters.nanos(after.key)
    return `(key ${direction === "desc" ? "<" : ">"} ${at} or (key = ${at} and trace_id > ${parameters.add(text(after.traceId), "text")}::uuid))`
  })()
  return `select replace(trace_id::text, '-', '') as id, key
    from (select trace_id, ${key} as key from ${spans} s group by trace_id) k
    where ${next} order by key ${direction}, trace_id limit ${parameters.add(int4(limit + 1), "int4")}`
}
