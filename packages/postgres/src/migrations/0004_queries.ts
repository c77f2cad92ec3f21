import type { Sql } from "../internal/names.ts"

/**
 * The views over metrics, wherever they are: in frames, packed, or written by hand. A frame's array is taken out of its row once
 * and then read at the places of the series that are asked for, so that a condition on name or labels also spares the reading.
 *
 * `day` is the partition key as it stands: a condition on it leaves packed days out, one on `timestamp` does so for frames only.
 */
export const name = "queries"

export const statements = (t: Sql): ReadonlyArray<string> => [
  // Rows that were not recorded but inserted: one per value, at any time.
  `create table ${t.metric_row} (
    ts timestamptz not null, id int8 not null default nextval(${t.rowId}), series int4 not null references ${t.series}, value float8 not null)`,
  `create index on ${t.metric_row} (series, ts)`,
  `create index on ${t.metric_row} (ts)`,

  `create view ${t.lane_place} as
    select g.lane, g.kind, u.series, (g.pos + u.i)::int4 as pos, u.start
    from ${t.lane_series} g cross join lateral unnest(g.series, g.starts) with ordinality as u(series, start, i)`,
  `create function ${t.ends}(ts timestamptz, firsts int4[], counts int4[], offsets int4[], steps int4[], spans int8[]) returns timestamptz[]
    language sql immutable parallel safe set search_path = pg_catalog as $$
    select array_agg(a.at order by a.i) from ${t.axis}(ts, firsts, counts, offsets, steps, spans) as a $$`,
  `create function ${t.lengths}(firsts int4[], counts int4[], offsets int4[], steps int4[], spans int8[]) returns int8[]
    language sql immutable parallel safe set search_path = pg_catalog as $$
    select array_agg(a.span_ms order by a.i) from ${t.axis}('epoch', firsts, counts, offsets, steps, spans) as a $$`,

  // The id of a frame's row: the frame's, then the kind (2 bits), then the position (21 bits). A packed row's is a hash.
  `create view ${t.every_metric} as
    ${frames(t, 0, t.metric_frame, ["c8", "c4", "c2"])}
    union all ${frames(t, 1, t.metric_frame, ["g"])}
    union all ${frames(t, 2, t.histogram_frame, ["sums"])}
    union all ${frames(t, 3, t.summary_frame, ["sums"])}
    union all
    select hashtextextended(p.series || ' ' || g.lane || ' ' || p.part, (extract(epoch from u.ended) * 1000)::int8) as id,
      f.name, f.type, u.value, s.labels, u.ended as timestamp, p.ts as day
    from ${t.metric_pack} p
    join ${t.metric_segment} g on g.ts = p.ts and g.id = p.segment
    join ${t.series} s on s.id = p.series
    join ${t.family} f on f.id = s.family
    cross join lateral unnest(
      ${values(t)}, (${t.ends}(g.ts, g.firsts, g.counts, g.offsets, g.steps, g.spans))[p.first + 1 : p.first + p.n]) as u(value, ended)
    where p.col = 0 and u.value <> 'NaN'
    union all
    select r.id * 8388608 as id, f.name, f.type, r.value, s.labels, r.ts as timestamp, r.ts as day
    from ${t.metric_row} r join ${t.series} s on s.id = r.series join ${t.family} f on f.id = s.family`,
  `create or replace view ${t.view.metrics} as select ${columns} from ${t.every_metric}`,
  `create function ${t.metrics_range}(metric text, since timestamptz, until timestamptz, labels jsonb default '{}') returns setof ${t.view.metrics}
    language sql stable parallel safe set search_path = pg_catalog as $$
    select ${columns} from ${t.every_metric} m
    where m.name = metric and m.labels @> metrics_range.labels and m.timestamp >= since and m.timestamp < until
      and m.day >= since - interval '1 day' and m.day < until $$`,

  ...histograms(t),
  ...written(t)
]

const columns = "id, name, type, value, labels, timestamp"

const values = (t: Sql): string => `${t.values}(p.base, p.slope, p.unit, p.divisor, p.n, p.bits, p.delta, p.absent, p.words, p.raw)`

/** One row per series and frame; positions past the end of a frame, and gauges without a value, have none. */
const frames = (t: Sql, kind: number, table: string, arrays: ReadonlyArray<string>): string =>
  `select x.id * 8388608 + ${kind} * 2097152 + x.pos - 1 as id, x.name, x.type, x.value, x.labels, x.ts as timestamp, x.ts as day
    from (
      select f.id, f.ts, p.pos, m.name, m.type, s.labels, coalesce(${arrays.map((name) => `a.${name}[p.pos]::float8`).join(", ")}) as value
      from ${table} f
      cross join lateral (select ${arrays.map((name) => `f.${name} || '{}' as ${name}`).join(", ")} offset 0) a
      join ${t.lane_place} p on p.lane = f.lane and p.kind = ${kind}
      join ${t.series} s on s.id = p.series
      join ${t.family} m on m.id = s.family) x
    where x.value <> 'NaN'`

// ----------------------------------------------------------------------------------------------------------------- histograms

const histograms = (t: Sql): ReadonlyArray<string> => [
  // A packed histogram, one row per sample. A bucket without a row held nothing.
  `create function ${t.histogram}(day timestamptz, owner int8, of_series int4, of_part int2, width int4)
    returns table (i int4, sum float8, min float8, max float8, buckets int8[])
    language plpgsql stable parallel safe rows 1000 set search_path = pg_catalog as $$
    declare
      r record; base int4 := 0; sums float8[]; mins float8[] := '{}'; maxs float8[] := '{}'; min_first int4 := 0; max_first int4 := 0; flat int8[];
    begin
      for r in
        select p.col, p.first, p.n, ${values(t)} as v from ${t.metric_pack} p
        where p.ts = day and p.segment = owner and p.series = of_series and p.part = of_part order by p.col
      loop
        case
          when r.col = 0 then
            base := r.first; sums := r.v; flat := array_fill(0::int8, array[r.n * width]);
          when r.col = 1 then
            mins := r.v; min_first := r.first;
          when r.col = 2 then
            maxs := r.v; max_first := r.first;
          else
            for k in 1 .. r.n loop
              if r.v[k] <> 'NaN' and r.v[k] <> 0 then flat[(r.first + k - 1 - base) * width + r.col - 15] := r.v[k]; end if;
            end loop;
        end case;
      end loop;
      for k in 1 .. coalesce(cardinality(sums), 0) loop
        if sums[k] = 'NaN' then continue; end if;
        i := base + k - 1; sum := sums[k];
        min := nullif(mins[i - min_first + 1], 'NaN'); max := nullif(maxs[i - max_first + 1], 'NaN');
        buckets := flat[(k - 1) * width + 1 : k * width];
        return next;
      end loop;
    end $$`,
  `create view ${t.every_histogram} as
    select f.id * 8388608 + 2 * 2097152 + p.pos - 1 as id, m.name, s.labels, f.ts as timestamp, f.span_ms / 1000.0::float8 as interval,
      (select coalesce(sum(b), 0)::int8 from unnest(b.buckets) as b) as count,
      a.sums[p.pos] as sum, nullif(a.mins[p.pos], 'NaN') as min, nullif(a.maxs[p.pos], 'NaN') as max, m.bounds, b.buckets,
      r.service as service_name, r.instance, r.env, f.ts as day
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
      r.service, r.instance, r.env, p.ts
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
      '', '', '', r.ts
    from ${t.metric_row} r join ${t.series} s on s.id = r.series join ${t.family} m on m.id = s.family
    where m.type = 'histogram'`,
  `create or replace view ${t.view.histograms} as select ${histogramColumns} from ${t.every_histogram}`,
  `create function ${t.histograms_range}(metric text, since timestamptz, until timestamptz, labels jsonb default '{}') returns setof ${t.view.histograms}
    language sql stable parallel safe set search_path = pg_catalog as $$
    select ${histogramColumns} from ${t.every_histogram} m
    where m.name = metric and m.labels @> histograms_range.labels and m.timestamp >= since and m.timestamp < until
      and m.day >= since - interval '1 day' and m.day < until $$`
]

const histogramColumns = "id, name, labels, timestamp, interval, count, sum, min, max, bounds, buckets, service_name, instance, env"

// ------------------------------------------------------------------------------------------------------------ rows by hand

/** `insert into observability_metrics …`: one value, as the document's table would take it. */
const written = (t: Sql): ReadonlyArray<string> => [
  `create function ${t.write_metric}() returns trigger language plpgsql set search_path = pg_catalog as $$
    declare
      of_family int4; of_series int4; found_bounds float8[];
    begin
      if coalesce(new.name, '') = '' or length(new.name) > 255 then
        raise exception 'name must be a text of 1 to 255 characters' using errcode = '22023';
      end if;
      new.type := coalesce(
        case lower(replace(new.type, '_', '')) when 'updowncounter' then 'upDownCounter' else lower(new.type) end,
        (select type from ${t.view.metadata} where name = new.name));
      if new.type is null or new.type not in ('counter', 'upDownCounter', 'gauge', 'histogram', 'summary') then
        raise exception 'type is %: use counter, upDownCounter, gauge, histogram or summary', coalesce(quote_literal(new.type), 'missing') using errcode = '22023';
      end if;
      if new.value is null or new.value = 'NaN' or abs(new.value) = 'Infinity' then
        raise exception 'value must be a finite number' using errcode = '22023';
      end if;
      if new.type = 'counter' and new.value < 0 then
        raise exception 'value is %: the value of a counter is its increase, which is never negative', new.value using errcode = '22023';
      end if;
      new.timestamp := coalesce(new.timestamp, now());
      if not isfinite(new.timestamp) then
        raise exception 'timestamp must be finite' using errcode = '22023';
      end if;
      if new.labels is null or new.labels = 'null' then
        new.labels := '{}';
      elsif jsonb_typeof(new.labels) <> 'object' or exists (select from jsonb_each(new.labels) as l where jsonb_typeof(l.value) in ('object', 'array')) then
        raise exception 'labels must be an object of names and texts' using errcode = '22023';
      else
        new.labels := (select coalesce(jsonb_object_agg(l.key, l.value), '{}') from jsonb_each_text(new.labels) as l where l.value <> '');
      end if;

      select id into of_family from ${t.family} where name = new.name and type = new.type order by id desc limit 1;
      if of_family is null then
        if new.type = 'histogram' then
          select array(select b::float8 from jsonb_array_elements_text(m.buckets) as b order by 1) into found_bounds
            from ${t.view.metadata} m where m.name = new.name and jsonb_typeof(m.buckets) = 'array';
        end if;
        insert into ${t.family} (hash, name, type, unit, bounds, quantiles)
          values (${hash("'family by hand ' || new.type || ' ' || new.name")}, new.name, new.type, '', coalesce(found_bounds, '{}'), '{}')
          on conflict (hash) do nothing;
        select id into strict of_family from ${t.family} where hash = ${hash("'family by hand ' || new.type || ' ' || new.name")};
      end if;
      select id into of_series from ${t.series} where family = of_family and labels @> new.labels and labels = new.labels limit 1;
      if of_series is null then
        insert into ${t.series} (hash, family, labels)
          values (${hash("'series by hand ' || of_family || ' ' || new.labels")}, of_family, new.labels) on conflict (hash) do nothing;
        select id into strict of_series from ${t.series} where hash = ${hash("'series by hand ' || of_family || ' ' || new.labels")};
      end if;
      insert into ${t.metric_row} (ts, series, value) values (new.timestamp, of_series, new.value) returning id * 8388608 into new.id;
      return new;
    end $$`,
  `create trigger obs_write instead of insert on ${t.view.metrics} for each row execute function ${t.write_metric}()`
]

const hash = (text: string): string => `encode(substr(sha256(convert_to(${text}, 'UTF8')), 1, 16), 'hex')::uuid`
