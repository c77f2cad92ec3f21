import type { Sql } from "../internal/names.ts"

/**
 * The values of metrics with the process each comes from: `metrics_by_process` and `histograms_by_process`, for dashboards that choose and
 * compare services, instances, clusters and environments. Rows written by hand are nobody's.
 */
export const name = "processes"

export const statements = (t: Sql): ReadonlyArray<string> => [
  // As they were ("queries"), with the lane at the end.
  `create or replace view ${t.every_metric} as
    ${frames(t, 0, t.metric_frame, ["c8", "c4", "c2"])}
    union all ${frames(t, 1, t.metric_frame, ["g"])}
    union all ${frames(t, 2, t.histogram_frame, ["sums"])}
    union all ${frames(t, 3, t.summary_frame, ["sums"])}
    union all
    select hashtextextended(p.series || ' ' || g.lane || ' ' || p.part, (extract(epoch from u.ended) * 1000)::int8) as id,
      f.name, f.type, u.value, s.labels, u.ended as timestamp, p.ts as day, g.lane
    from ${t.metric_pack} p
    join ${t.metric_segment} g on g.ts = p.ts and g.id = p.segment
    join ${t.series} s on s.id = p.series
    join ${t.family} f on f.id = s.family
    cross join lateral unnest(
      ${values(t)}, (${t.ends}(g.ts, g.firsts, g.counts, g.offsets, g.steps, g.spans))[p.first + 1 : p.first + p.n]) as u(value, ended)
    where p.col = 0 and u.value <> 'NaN'
    union all
    select r.id * 8388608 as id, f.name, f.type, r.value, s.labels, r.ts as timestamp, r.ts as day, null::int4 as lane
    from ${t.metric_row} r join ${t.series} s on s.id = r.series join ${t.family} f on f.id = s.family`,
  `create or replace view ${t.every_histogram} as
    select f.id * 8388608 + 2 * 2097152 + p.pos - 1 as id, m.name, s.labels, f.ts as timestamp, f.span_ms / 1000.0::float8 as interval,
      (select coalesce(sum(b), 0)::int8 from unnest(b.buckets) as b) as count,
      a.sums[p.pos] as sum, nullif(a.mins[p.pos], 'NaN') as min, nullif(a.maxs[p.pos], 'NaN') as max, m.bounds, b.buckets,
      r.service as service_name, r.instance, r.env, f.ts as day, f.lane
    from ${t.histogram_frame} f
    cross join lateral (
      select f.b8 || '{}' as b8, f.b4 || '{}' as b4, f.b2 || '{}' as b2, f.sums || '{}' as sums, f.mins || '{}' as mins, f.maxs || '{}' as maxs offset 0) a
    join ${t.lane} l on l.id = f.lane
    join ${t.resource} r on r.id = l.resource
    join ${t.lane_place} p on p.lane = f.lane and p.kind = 2
    join ${t.series} s on s.id = p.series
    join ${t.family} m on m.id = s.family
    cross join lateral (
      select case
        when f.b8 is not null then a.b8[p.start + 1 : p.start + cardinality(m.bounds) + 1]::int8[]
        when f.b4 is not null then a.b4[p.start + 1 : p.start + cardinality(m.bounds) + 1]::int8[]
        else a.b2[p.start + 1 : p.start + cardinality(m.bounds) + 1]::int8[] end as buckets) b
    where a.sums[p.pos] is not null
    union all
    select hashtextextended(p.series || ' ' || g.lane || ' ' || p.part, (extract(epoch from a.ends[h.i + 1]) * 1000)::int8), m.name, s.labels, a.ends[h.i + 1],
      a.lengths[h.i + 1] / 1000.0::float8, (select coalesce(sum(b), 0)::int8 from unnest(h.buckets) as b), h.sum, h.min, h.max, m.bounds, h.buckets,
      r.service, r.instance, r.env, p.ts, g.lane
    from ${t.metric_pack} p
    join ${t.metric_segment} g on g.ts = p.ts and g.id = p.segment
    join ${t.lane} l on l.id = g.lane
    join ${t.resource} r on r.id = l.resource
    join ${t.series} s on s.id = p.series
    join ${t.family} m on m.id = s.family
    cross join lateral (
      select ${t.ends}(g.ts, g.firsts, g.counts, g.offsets, g.steps, g.spans) as ends, ${t.lengths}(g.firsts, g.counts, g.offsets, g.steps, g.spans) as lengths offset 0) a
    cross join lateral ${t.histogram}(p.ts, p.segment, p.series, p.part, cardinality(m.bounds) + 1) h
    where p.col = 0 and m.type = 'histogram'
    union all
    select r.id * 8388608, m.name, s.labels, r.ts, 0, 1, r.value, r.value, r.value, m.bounds,
      array(select (b = (select count(*) from unnest(m.bounds) as bound where r.value > bound))::int4::int8 from generate_series(0, cardinality(m.bounds)) as b),
      '', '', '', r.ts, null::int4
    from ${t.metric_row} r join ${t.series} s on s.id = r.series join ${t.family} m on m.id = s.family
    where m.type = 'histogram'`,

  `create function ${t.metrics_by_process}(metric text, since timestamptz, until timestamptz)
    returns table (${owner}, labels jsonb, "timestamp" timestamptz, value float8)
    language sql stable parallel safe set search_path = pg_catalog as $$
    select ${columns}, m.labels, m.timestamp, m.value
    from ${t.every_metric} m left join ${t.lane} l on l.id = m.lane left join ${t.resource} r on r.id = l.resource
    where ${within("metrics_by_process")} $$`,
  `create function ${t.histograms_by_process}(metric text, since timestamptz, until timestamptz)
    returns table (${owner}, labels jsonb, "timestamp" timestamptz, count int8, sum float8, bounds float8[], buckets int8[])
    language sql stable parallel safe set search_path = pg_catalog as $$
    select ${columns}, m.labels, m.timestamp, m.count, m.sum, m.bounds, m.buckets
    from ${t.every_histogram} m left join ${t.lane} l on l.id = m.lane left join ${t.resource} r on r.id = l.resource
    where ${within("histograms_by_process")} $$`
]

const owner = "service text, version text, instance text, cluster text, env text"
const columns = "coalesce(r.service, ''), coalesce(r.version, ''), coalesce(r.instance, ''), coalesce(r.cluster, ''), coalesce(r.env, '')"

const within = (f: string): string =>
  `m.name = ${f}.metric and m.timestamp >= ${f}.since and m.timestamp < ${f}.until and m.day >= ${f}.since - interval '1 day' and m.day < ${f}.until`

const values = (t: Sql): string => `${t.values}(p.base, p.slope, p.unit, p.divisor, p.n, p.bits, p.delta, p.absent, p.words, p.raw)`

/** One row per series and frame; positions past the end of a frame, and gauges without a value, have none. */
const frames = (t: Sql, kind: number, table: string, arrays: ReadonlyArray<string>): string =>
  `select x.id * 8388608 + ${kind} * 2097152 + x.pos - 1 as id, x.name, x.type, x.value, x.labels, x.ts as timestamp, x.ts as day, x.lane
    from (
      select f.id, f.ts, f.lane, p.pos, m.name, m.type, s.labels, coalesce(${arrays.map((name) => `a.${name}[p.pos]::float8`).join(", ")}) as value
      from ${table} f
      cross join lateral (select ${arrays.map((name) => `f.${name} || '{}' as ${name}`).join(", ")} offset 0) a
      join ${t.lane_place} p on p.lane = f.lane and p.kind = ${kind}
      join ${t.series} s on s.id = p.series
      join ${t.family} m on m.id = s.family) x
    where x.value <> 'NaN'`
