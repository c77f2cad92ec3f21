import { type Dependency, type Differences, type HistoryError, type Latency, type OperationSummary, TraceFigures, type TraceQuestions } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { Sql } from "../internal/names.ts"
import { float8, int4, int8, texts } from "../internal/parameters.ts"
import type { Row } from "../internal/session.ts"
import * as Encoding from "../PostgresEncoding.ts"
import type { Ask } from "./ask.ts"
import { Parameters } from "./parameters.ts"
import { marking, passing, type Searchable } from "./spanSql.ts"

/** Questions about many spans: the server counts per duration bucket, the arithmetic is `TraceFigures`. */

const bucket = (parameters: Parameters, duration: string): string =>
  `case when ${duration} <= 1 then 0 else ceil(ln(${duration}::float8) * ${parameters.add(float8(TraceFigures.bucketScale), "float8")})::int4 end`

const sums = (duration: string): string =>
  `sum(weight)::float8 as count, coalesce(sum(weight) filter (where status = 2), 0)::float8 as errors,
    sum(weight * greatest(${duration}, 0)::float8)::float8 as total`

const countedOf = (row: Row): TraceFigures.Counted => ({
  bucket: Number(row["bucket"]),
  count: Number(row["count"]),
  errorCount: Number(row["errors"]),
  totalDuration: Number(row["total"])
})

/** Several groups with their buckets: one row per group, an array per column. */
const byGroup = (keys: string, counted: string, order: string, limit: string): string =>
  `select ${keys}, array_agg(bucket) as bucket, array_agg(count) as count, array_agg(errors) as errors, array_agg(total) as total
  from (${counted}) c group by ${keys} order by sum(${order}) desc limit ${limit}`

const groupOf = (row: Row): ReadonlyArray<TraceFigures.Counted> => {
  const [count, errors, total] = ["count", "errors", "total"].map((name) => row[name] as ReadonlyArray<number>)
  return (row["bucket"] as ReadonlyArray<number>).map((one, i) => ({ bucket: one, count: count![i]!, errorCount: errors![i]!, totalDuration: total![i]! }))
}

export const operations = (ask: Ask, t: Sql, filter: TraceQuestions.Filter, limit: number): Effect.Effect<ReadonlyArray<OperationSummary>, HistoryError> => {
  const parameters = new Parameters()
  const spans = passing(t, parameters, filter, new Map(), "x.operation, x.duration, x.weight, x.status")
  const sql = byGroup(
    "service, name, kind",
    `select o.service, o.name, o.kind, ${bucket(parameters, "s.duration")} as bucket, ${sums("s.duration")}
      from ${spans} s join ${t.operation} o on o.id = s.operation group by 1, 2, 3, 4`,
    "total",
    parameters.add(int4(limit), "int4")
  )
  return Effect.map(ask(sql, parameters.values), (rows) =>
    rows.map((row) => ({
      serviceName: String(row["service"]),
      name: String(row["name"]),
      kind: Encoding.spanKinds[row["kind"] as number] ?? "internal",
      ...TraceFigures.figures(groupOf(row))
    })))
}

/** A span whose parent is in no span of its own part was called from elsewhere; where, says the part that has the parent. */
export const dependencies = (ask: Ask, t: Sql, filter: TraceQuestions.Filter, limit: number): Effect.Effect<ReadonlyArray<Dependency>, HistoryError> => {
  const parameters = new Parameters()
  const called = passing(
    t,
    parameters,
    filter,
    new Map(),
    "x.trace_id, x.parent_id, x.operation, x.duration, x.weight, x.status",
    { hot: "x.stranger", cold: "x.stranger" }
  )
  // A caller may have begun long before.
  const from = parameters.nanos(filter.from - 86_400_000_000_000n)
  const to = parameters.nanos(filter.to)
  const sql = byGroup(
    "caller, callee",
    `select caller.service as caller, callee.service as callee, ${bucket(parameters, "c.duration")} as bucket, ${sums("c.duration")}
      from called c
      join (
        select trace_id, root_operation, span_ids from ${t.trace_part}
          where ts >= to_timestamp(${from} / 1e9::float8) and ts <= to_timestamp(${to} / 1e9::float8) and trace_id in (select trace_id from called)
        union all
        select trace_id, root_operation, span_ids from ${t.cold_part}
          where day >= to_timestamp(${from} / 1e9::float8) - interval '1 day' and day <= to_timestamp(${to} / 1e9::float8)
            and trace_id in (select trace_id from called)) p
        on p.trace_id = c.trace_id and c.parent_id = any (p.span_ids)
      join ${t.operation} callee on callee.id = c.operation
      join ${t.operation} caller on caller.id = p.root_operation and caller.service <> callee.service
      group by 1, 2, 3`,
    "count",
    parameters.add(int4(limit), "int4")
  )
  return Effect.map(ask(`with called as materialized ${called} ${sql}`, parameters.values), (rows) =>
    rows.map((row) => ({ caller: String(row["caller"]), callee: String(row["callee"]), ...TraceFigures.figures(groupOf(row)) })))
}

export const latency = (ask: Ask, t: Sql, question: TraceQuestions.LatencyQuestion, searchable: Searchable): Effect.Effect<Latency, HistoryError> => {
  const parameters = new Parameters()
  const spans = passing(t, parameters, question.filter, searchable, "x.start_ns, x.duration, x.weight, x.status")
  const sql = `select ((start_ns - ${parameters.nanos(question.filter.from)}) / ${parameters.nanos(question.step)})::int4 as step,
      ${bucket(parameters, "duration")} as bucket, ${sums("duration")}
    from ${spans} s group by 1, 2`
  return Effect.map(ask(sql, parameters.values), (rows) =>
    TraceFigures.latencyOf(question, rows.map((row) => ({ ...countedOf(row), step: row["step"] as number }))))
}

// ---------------------------------------------------------------------------------------------------------------- differences

/** Spans whose attributes are looked at; when there are more, whole stored rows are taken at random. */
const lookedAt = 20_000
/** So few selected spans in a sample are too few to rank by; then more rows are taken, up to this many spans. */
const fewSelected = 100
const mostLookedAt = 60_000
/** Values returned to be ranked. */
const mostValues = 2_000
/** Rows are taken by this many lots. */
const lots = 1_024

export const differences = (ask: Ask, t: Sql, question: TraceQuestions.DiffersQuestion, searchable: Searchable): Effect.Effect<Differences, HistoryError> =>
  Effect.gen(function*() {
    const population = new Parameters()
    const counted = (yield* ask(
      `select count(*) filter (where chosen) as selected, count(*) filter (where not chosen) as rest,
        coalesce(sum(weight) filter (where chosen), 0)::float8 as selected_weight, coalesce(sum(weight) filter (where not chosen), 0)::float8 as rest_weight
      from ${marked(t, population, question, searchable, lots, "x.weight")} s`,
      population.values
    ))[0]!
    const whole = { selected: Number(counted["selected"]), rest: Number(counted["rest"]) }
    const weights = { selected: Number(counted["selected_weight"]), rest: Number(counted["rest_weight"]) }
    const spans = whole.selected + whole.rest
    const lotsFor = (most: number) => Math.min(lots, Math.max(1, Math.round((lots * most) / Math.max(1, spans))))
    let taken = lotsFor(lookedAt)
    if ((whole.selected * taken) / lots < fewSelected) taken = lotsFor(Math.min(mostLookedAt, (spans * fewSelected) / Math.max(1, whole.selected)))
    if (whole.selected === 0 || whole.rest === 0) return { selected: weights.selected, rest: weights.rest, complete: true, differences: [] }

    const parameters = new Parameters()
    const spansSql = marked(t, parameters, question, searchable, taken, "x.weight, x.attributes, x.operation")
    const rows = yield* ask(
      `with span as materialized (select * from ${spansSql} s),
      carried as (
        select a.key,
          -- A double that the server writes out in full is written as programs write it.
          case when jsonb_typeof(a.value) = 'number' and length(a.value #>> '{}') between 18 and 308 then (a.value #>> '{}')::float8::text
            else a.value #>> '{}' end as value, s.chosen, s.weight from span s cross join lateral jsonb_each(s.attributes) as a(key, value)
          where jsonb_typeof(a.value) in ('string', 'number', 'boolean')
        union all
        select f.key, f.value, s.chosen, s.weight from span s join ${t.operation} o on o.id = s.operation
          cross join lateral (values ('service.name', o.service), ('span.name', o.name)) as f(key, value)),
      counted as (
        select key, value, count(*) filter (where chosen)::int8 as selected, count(*) filter (where not chosen)::int8 as rest,
          coalesce(sum(weight) filter (where chosen), 0)::float8 as selected_weight, coalesce(sum(weight) filter (where not chosen), 0)::float8 as rest_weight
        from carried where key <> all (${parameters.add(texts([...question.ignore]), "text[]")}) group by key, value),
      population as (select count(*) filter (where chosen)::int8 as selected, count(*) filter (where not chosen)::int8 as rest,
          coalesce(sum(weight) filter (where chosen), 0)::float8 as selected_weight, coalesce(sum(weight) filter (where not chosen), 0)::float8 as rest_weight
        from span)
      select p.selected as all_selected, p.rest as all_rest, p.selected_weight as all_selected_weight, p.rest_weight as all_rest_weight, c.*
      from population p left join counted c on c.selected >= ${TraceFigures.leastCarried} and c.selected * p.rest > c.rest * p.selected
      order by c.selected - c.rest * (p.selected::float8 / greatest(p.rest, 1)) desc limit ${mostValues}`,
      parameters.values
    )
    const first = rows[0]!
    const ranked = TraceFigures.rank(
      {
        selected: Number(first["all_selected"]), rest: Number(first["all_rest"]),
        selectedWeight: Number(first["all_selected_weight"]), restWeight: Number(first["all_rest_weight"])
      },
      rows.filter((row) => row["key"] !== null).map((row) => ({
        key: String(row["key"]), value: String(row["value"]), selected: Number(row["selected"]), rest: Number(row["rest"]),
        selectedWeight: Number(row["selected_weight"]), restWeight: Number(row["rest_weight"])
      })),
      question.limit
    )
    return { selected: weights.selected, rest: weights.rest, complete: taken === lots, differences: ranked }
  })

/** The spans compared, each marked `chosen` or not, of a part of the stored rows. */
const marked = (t: Sql, parameters: Parameters, question: TraceQuestions.DiffersQuestion, searchable: Searchable, taken: number, columns: string): string => {
  const chosen = marking(t, parameters, question.selection)
  const lot = parameters.add(int8(BigInt(taken)), "int8")
  return passing(t, parameters, question.among, searchable, `${columns}, (${chosen}) is true as chosen`, taken === lots ? {} : {
    hot: `uuid_hash(x.trace_id) & ${lots - 1} < ${lot}`,
    cold: `hashint8(x.least_ns # x.longest) & ${lots - 1} < ${lot}`
  })
}
