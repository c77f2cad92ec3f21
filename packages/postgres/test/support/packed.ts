import * as Effect from "effect/Effect"
import * as Session from "../../src/internal/session.ts"
import { pass } from "../../src/internal/packing/worker.ts"
import type { Names } from "../../src/PostgresConfig.ts"
import { ask } from "./database.ts"

/** One pass of the worker, as if it were `now`. */
export const packAt = (target: Session.Target, names: Names, now: number) =>
  Effect.acquireUseRelease(Session.open(target, 60_000), (session) => pass(session, names, { now }), (session) => session.close)

/** Every number of every frame that is not packed yet: series, column, time, interval, value as text. */
const hot = (s: string) => `
  select u.series, c.col, f.ts, f.span_ms, c.value
  from ${s}.obs_metric_frame f join ${s}.obs_lane_series g on g.lane = f.lane and g.kind < 2
  cross join lateral unnest(g.series, (case g.kind when 0 then coalesce(f.c8, f.c4::float8[], f.c2::float8[]) else f.g end)[g.pos + 1 : g.pos + cardinality(g.series)]) as u(series, value)
  cross join lateral (values (0, u.value)) as c(col, value)
  union all
  select u.series, c.col, f.ts, f.span_ms, c.value
  from ${s}.obs_histogram_frame f join ${s}.obs_lane_series g on g.lane = f.lane and g.kind = 2
  cross join lateral unnest(g.series, g.starts,
    f.sums[g.pos + 1 : g.pos + cardinality(g.series)], f.mins[g.pos + 1 : g.pos + cardinality(g.series)], f.maxs[g.pos + 1 : g.pos + cardinality(g.series)])
    as u(series, start, sum, min, max)
  join ${s}.obs_series x on x.id = u.series join ${s}.obs_family m on m.id = x.family
  cross join lateral (
    select * from (values (0, u.sum), (1, u.min), (2, u.max)) as v(col, value)
    union all
    select 15 + b.i, b.value from unnest((coalesce(f.b8, f.b4::float8[], f.b2::float8[]))[u.start + 1 : u.start + cardinality(m.bounds) + 1]) with ordinality as b(value, i)
    where b.value <> 0
  ) as c
  where u.sum is not null
  union all
  select u.series, c.col, f.ts, f.span_ms, c.value
  from ${s}.obs_summary_frame f join ${s}.obs_lane_series g on g.lane = f.lane and g.kind = 3
  cross join lateral unnest(g.series, g.starts, f.sums[g.pos + 1 : g.pos + cardinality(g.series)], f.counts[g.pos + 1 : g.pos + cardinality(g.series)]) as u(series, start, sum, count)
  join ${s}.obs_series x on x.id = u.series join ${s}.obs_family m on m.id = x.family
  cross join lateral (
    select * from (values (0, u.sum), (3, u.count)) as v(col, value)
    union all
    select 15 + b.i, b.value from unnest(f.quantiles[u.start + 1 : u.start + cardinality(m.quantiles)]) with ordinality as b(value, i)
  ) as c
  where u.sum is not null`

const cold = (s: string) => `
  select p.series, p.col::int4, a.at, a.span_ms, v.value
  from ${s}.obs_metric_pack p join ${s}.obs_metric_segment g on g.ts = p.ts and g.id = p.segment
  cross join lateral unnest(${s}.obs_values(p.base, p.slope, p.unit, p.divisor, p.n, p.bits, p.delta, p.absent, p.words, p.raw)) with ordinality as v(value, i)
  join lateral ${s}.obs_axis(g.ts, g.firsts, g.counts, g.offsets, g.steps, g.spans) as a on a.i = p.first + v.i - 1
  where not (p.col >= 16 and v.value = 0 and exists (
    select from ${s}.obs_series x join ${s}.obs_family m on m.id = x.family where x.id = p.series and m.type = 'histogram'))`

/** Every sample of a schema, wherever it is: (series, col, ts, span_ms, value). */
export const samples = (schema: string): string => `(${hot(schema)} union all ${cold(schema)}) as x(series, col, ts, span_ms, value)`

/** All samples as text lines in one order: the same before and after packing. */
export const everything = (target: Session.Target, names: Names) =>
  Effect.map(
    ask(
      target,
      `select array_agg(format('%s %s %s %s %s', series, col, extract(epoch from ts), span_ms, value) order by series, col, ts, span_ms, value) as lines
        from ${samples(names.schema)} where value <> 'NaN'`
    ),
    (rows) => (rows[0]!["lines"] ?? []) as ReadonlyArray<string>
  )

export const countOf = (target: Session.Target, names: Names, ...tables: ReadonlyArray<string>) =>
  Effect.forEach(tables, (table) => Effect.map(ask(target, `select count(*)::int4 as n from ${names.schema}.obs_${table}`), (rows) => rows[0]!["n"] as number))

/** A roll-up's values as `series col start value`, with `start` in seconds since the epoch. */
export const rollups = (target: Session.Target, names: Names, table: "rollup_minute" | "rollup_hour" | "rollup_day", step: number) =>
  Effect.map(
    ask(
      target,
      `select p.series, p.col::int4 as col, extract(epoch from p.ts)::float8 + (p.first + v.i - 1) * ${step} as start, v.value
        from ${names.schema}.obs_${table} p
        cross join lateral unnest(${names.schema}.obs_values(p.base, p.slope, p.unit, p.divisor, p.n, p.bits, p.delta, p.absent, p.words, p.raw)) with ordinality as v(value, i)
        where v.value <> 'NaN'`
    ),
    (rows) => new Map(rows.map((row) => [`${row["series"]} ${row["col"]} ${row["start"]}`, row["value"] as number]))
  )
