import { type HistoryError, MetricRange, type MetricType, rangeLimits } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import { clean, encodeRecord } from "../internal/json.ts"
import type { Sql } from "../internal/names.ts"
import { text, timestamptz } from "../internal/parameters.ts"
import { type Ask, invalid } from "./ask.ts"

/** Where a writer keeps a series: its place in the lane's list, and the first of its numbers in the flattened column. */
export interface Place {
  readonly lane: number
  /** The instance that writes through the lane. */
  readonly resource: number
  /** From 0. */
  readonly position: number
  /** From 0; histograms and summaries only. */
  readonly start: number
}

export interface SelectedSeries {
  readonly id: number
  readonly labels: Readonly<Record<string, string>>
  readonly type: MetricType
  readonly bounds: ReadonlyArray<number>
  readonly places: ReadonlyArray<Place>
}

/**
 * The series of a metric that carry `labels`, with their places in the lanes that wrote since `from`. `type` is the
 * metric's: what the metadata say, or its newest family; series of other types, left from an earlier definition, stay out.
 */
export const select = (
  ask: Ask,
  t: Sql,
  query: { readonly metric: string; readonly tests: ReadonlyArray<MetricRange.LabelTest>; readonly from: number }
): Effect.Effect<{ readonly type: MetricType | undefined; readonly series: ReadonlyArray<SelectedSeries> }, HistoryError> =>
  Effect.gen(function*() {
    const tests = query.tests.map(cleaned)
    const exact = tests.flatMap((test) => (test.op === "eq" && test.value !== "" ? [[test.label, test.value] as const] : []))
    const rows = yield* ask(sql(t), [
      text(clean(query.metric, 255)),
      text(encodeRecord(Object.fromEntries(exact))),
      timestamptz(query.from)
    ])
    if (rows.length > rangeLimits.series) {
      return yield* invalid("labels", `leave more than ${rangeLimits.series} series: add a label`)
    }
    const type = rows[0]?.["type"] as MetricType | undefined
    const series = rows.flatMap((row): ReadonlyArray<SelectedSeries> => {
      const labels = row["labels"] as Readonly<Record<string, string>> | null
      if (labels === null || !MetricRange.passes(labels, tests)) return []
      const lanes = row["lanes"] as ReadonlyArray<number> | null
      const resources = row["resources"] as ReadonlyArray<number>
      const positions = row["positions"] as ReadonlyArray<number>
      const starts = row["starts"] as ReadonlyArray<number | null>
      return [{
        id: row["id"] as number,
        labels,
        type: row["type"] as MetricType,
        bounds: row["bounds"] as ReadonlyArray<number>,
        places: (lanes ?? []).map((lane, i) => ({ lane, resource: resources[i]!, position: positions[i]!, start: starts[i] ?? 0 }))
      }]
    })
    return { type, series }
  })

/** As texts are stored. */
const cleaned = (test: MetricRange.LabelTest): MetricRange.LabelTest =>
  test.op === "in"
    ? { ...test, label: clean(test.label), values: test.values.map((value) => clean(value)) }
    : { ...test, label: clean(test.label), value: clean(test.value) }

/** `$1` name, `$2` labels, `$3` the begin of the range. One row per series, or one without a series that tells the type. */
const sql = (t: Sql): string =>
  `with family as materialized (
    select f.id, f.type, f.bounds from ${t.family} f where f.name = $1::text
  ),
  type as materialized (
    select f.type from family f left join ${t.view.metadata} m on m.name = $1::text
    order by (f.type = m.type) is true desc, f.id desc limit 1
  ),
  chosen as materialized (
    select s.id, s.labels, f.bounds from ${t.series} s join family f on f.id = s.family join type on type.type = f.type
    where s.labels @> $2::text::jsonb limit ${rangeLimits.series + 1}
  ),
  -- Comparing a long list with every segment costs their product: of many series all segments are looked through instead.
  kind as materialized (
    select case type.type when 'counter' then 0 when 'histogram' then 2 when 'summary' then 3 else 1 end as kind, (select count(*) from chosen) <= 100 as few from type
  ),
  place as materialized (
    select u.series, array_agg(seg.lane) as lanes, array_agg(l.resource) as resources, array_agg((seg.pos + u.i - 1)::int4) as positions, array_agg(u.start) as starts
    from (
      select g.* from ${t.lane_series} g, kind where g.kind = kind.kind and g.series && (select array_agg(id) from chosen having count(*) <= 100)
      union all
      select g.* from ${t.lane_series} g, kind where g.kind = kind.kind and not kind.few) seg
    join ${t.lane} l on l.id = seg.lane and l.seen_at >= $3::timestamptz
    cross join lateral unnest(seg.series, seg.starts) with ordinality as u(series, start, i)
    join chosen c on c.id = u.series
    group by u.series
  )
  select c.id, c.labels, type.type, c.bounds, p.lanes, p.resources, p.positions, p.starts
  from type left join chosen c on true left join place p on p.series = c.id`
