import type { Sql } from "../internal/names.ts"

/**
 * Packed metrics. Frames of a finished hour, and later the hours of a finished day, become one row per series and column; the
 * times of the samples stand once per lane in `obs_metric_segment`. Roll-ups have the same rows over a fixed step.
 *
 * Columns (`col`) of a series:
 *
 *   counter           0 increase
 *   gauge             0 value (in roll-ups: last); in roll-ups also 1 least, 2 greatest, 3 samples, 4 their sum
 *   histogram         0 sum, 1 least, 2 greatest, 16 + i bucket i (not cumulative); a bucket without a row held nothing all the time
 *   summary           0 sum, 3 count, 16 + i quantile i
 *
 * Only 0 is always there. A segment covers `(ts, ts + hours]`; sample `i` of a row stands at `first + i` on the segment's axis.
 * Place `i` of a roll-up row covers `(ts + (first + i) * step, ts + (first + i + 1) * step]`.
 */
export const name = "packing"

const packed = `first int4 not null, n int4 not null, bits int2 not null, delta bool not null, absent bool not null,
  words int8[], raw float8[]`

export const statements = (t: Sql): ReadonlyArray<string> => [
  `alter table ${t.resource} add column cluster text not null default ''`,

  // `format` tells the form of a segment's rows: a new one leaves the old ones as they are.
  `create table ${t.metric_segment} (
    ts timestamptz not null, id int8 not null default nextval(${t.rowId}), lane int4 not null, hours int2 not null, format int2 not null,
    firsts int4[] not null, counts int4[] not null, offsets int4[] not null, steps int4[] not null, spans int8[] not null,
    primary key (ts, id)) partition by range (ts)`,
  // `part` tells columns of one series apart that a lane lists twice. Hours stand apart from days, so that their room comes back.
  `create table ${t.metric_pack} (
    ts timestamptz not null, segment int8 not null, base int8 not null, slope int8 not null, unit int8 not null, divisor float8 not null,
    series int4 not null, col int2 not null, part int2 not null, hours int2 not null, ${packed},
    primary key (series, ts, segment, col, part, hours)) partition by list (hours)`,
  `create table ${t.metric_pack_hour} partition of ${t.metric_pack} for values in (1) partition by range (ts)`,
  `create table ${t.metric_pack_day} partition of ${t.metric_pack} for values in (24) partition by range (ts)`,
  `create index on ${t.metric_pack} (segment)`,
  ...[t.rollup_minute, t.rollup_hour, t.rollup_day].map((table) =>
    `create table ${table} (
      ts timestamptz not null, base int8 not null, slope int8 not null, unit int8 not null, divisor float8 not null,
      resource int4 not null, series int4 not null, col int2 not null, ${packed},
      primary key (series, ts, resource, col)) partition by range (ts)`
  ),
  `create table ${t.exemplar} (
    ts timestamptz not null, lane int4 not null, series int4 not null, bucket int2 not null, value float8 not null,
    trace_id uuid not null, span_id int8 not null) partition by range (ts)`,
  `create index on ${t.exemplar} (series, ts)`,

  // The values of a packed row; NaN where there was none.
  `create function ${t.values}(base int8, slope int8, unit int8, divisor float8, n int4, bits int2, delta bool, absent bool, words int8[], raw float8[])
    returns float8[] language sql immutable parallel safe as $$
    select case
      when raw is not null then raw
      when bits = 0 then (select array_agg((base + slope * i)::float8 / divisor order by i) from generate_series(0, n - 1) as i)
      when not delta then (
        select array_agg(case when absent and c.code = (1::int8 << bits) - 1 then 'NaN' else (base + unit * c.code)::float8 / divisor end order by w.i, k)
        from unnest(words) with ordinality as w(word, i)
        cross join generate_series(0, 63 / bits - 1) as k
        cross join lateral (select (w.word >> (k * bits)) & ((1::int8 << bits) - 1) as code) c
        where (w.i - 1) * (63 / bits) + k < n)
      else (
        select array_agg(case when s.code is null then 'NaN' else (base + slope * (s.k - 1) + unit * s.s)::float8 / divisor end order by s.i)
        from (
          select c.i, c.code, count(c.code) over u as k, sum(c.code) over u as s
          from (
            select (w.i - 1) * (63 / bits) + k as i,
              nullif(((w.word >> (k * bits)) & ((1::int8 << bits) - 1))::int4, case when absent then ((1::int8 << bits) - 1)::int4 end) as code
            from unnest(words) with ordinality as w(word, i)
            cross join generate_series(0, 63 / bits - 1) as k
          ) c
          where c.i < n
          window u as (order by c.i rows unbounded preceding)
        ) s)
    end $$`,
  // The samples of a segment: index, time, and the interval each covers in milliseconds.
  `create function ${t.axis}(ts timestamptz, firsts int4[], counts int4[], offsets int4[], steps int4[], spans int8[])
    returns table (i int4, at timestamptz, span_ms int8) language sql immutable parallel safe as $$
    select r.first + k, ts + (r.off + k::int8 * r.step) * interval '1 millisecond', r.span
    from unnest(firsts, counts, offsets, steps, spans) as r(first, count, off, step, span)
    cross join generate_series(0, r.count - 1) as k $$`
]
