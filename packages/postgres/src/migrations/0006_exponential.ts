import type { Sql } from "../internal/names.ts"

/**
 * Histograms that ask for base-2 exponential buckets (OpenTelemetry metrics data model): bucket `i` of scale `s` counts values in
 * `(base^i, base^(i+1)]` with `base = 2^(2^-s)`, `zero` those that were 0, `negative` the magnitudes of negative ones.
 *
 * Hot: a row per series and flush that observed something; `positive` begins at bucket `low`, `negative` at `negative_low`.
 * Packed: a row per series and hour. Entry `i` ended `ends[i]` milliseconds after `ts`; its counts are the next `lengths[i]`
 * (positive) and then `negative_lengths[i]` (negative) of `counts`.
 */
export const name = "exponential histograms"

export const statements = (t: Sql): ReadonlyArray<string> => [
  `create table ${t.exponential} (
    ts timestamptz not null, lane int4 not null, series int4 not null, span_ms int8 not null, scale int2 not null, zero int8 not null,
    low int4 not null, positive int8[] not null, negative_low int4 not null, negative int8[] not null) partition by range (ts)`,
  `create index on ${t.exponential} (series, ts)`,
  `create table ${t.exponential_pack} (
    ts timestamptz not null, lane int4 not null, series int4 not null, format int2 not null, n int4 not null,
    ends int4[] not null, spans int8[] not null, scales int2[] not null, zeros int8[] not null, lows int4[] not null, lengths int2[] not null,
    negative_lows int4[] not null, negative_lengths int2[] not null, counts int8[] not null) partition by range (ts)`,
  `create index on ${t.exponential_pack} (series, ts)`,

  `create function ${t.exponential_entries}(ends int4[], spans int8[], scales int2[], zeros int8[], lows int4[], lengths int2[], negative_lows int4[],
      negative_lengths int2[], counts int8[])
    returns table (i int4, ended int4, span_ms int8, scale int2, zero int8, low int4, positive int8[], negative_low int4, negative int8[])
    language plpgsql immutable parallel safe rows 100 set search_path = pg_catalog as $$
    declare at int4 := 0;
    begin
      for k in 1 .. cardinality(ends) loop
        i := k; ended := ends[k]; span_ms := spans[k]; scale := scales[k]; zero := zeros[k]; low := lows[k]; negative_low := negative_lows[k];
        positive := counts[at + 1 : at + lengths[k]];
        negative := counts[at + lengths[k] + 1 : at + lengths[k] + negative_lengths[k]];
        at := at + lengths[k] + negative_lengths[k];
        return next;
      end loop;
    end $$`,
  // `day` is the partition key as it stands.
  `create view ${t.every_exponential} as
    select e.ts, e.ts as day, e.lane, e.series, e.span_ms, e.scale, e.zero, e.low, e.positive, e.negative_low, e.negative, false as packed
    from ${t.exponential} e
    union all
    select p.ts + u.ended * interval '1 millisecond', p.ts, p.lane, p.series, u.span_ms, u.scale, u.zero, u.low, u.positive, u.negative_low, u.negative, true
    from ${t.exponential_pack} p
    cross join lateral ${t.exponential_entries}(p.ends, p.spans, p.scales, p.zeros, p.lows, p.lengths, p.negative_lows, p.negative_lengths, p.counts) u`
]
