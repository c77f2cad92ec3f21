import type { Sql } from "../internal/names.ts"

/**
 * The first layout. One row per flush carries arrays; identity is in dictionaries; the document's names are views.
 *
 * `kind` of a series: 0 counter, 1 gauge or up-down counter, 2 histogram, 3 summary. An array's entry `i` belongs to the series
 * at position `i` of its lane's list of that kind (`lane_series`).
 */
export const name = "store"

export const statements = (t: Sql): ReadonlyArray<string> => [
  `create sequence ${t.schema}."obs_row_id"`,

  // Dictionaries. `hash` identifies a row by content, so that every process finds the same one.
  `create table ${t.resource} (
    id int4 generated always as identity primary key, hash uuid not null unique,
    service text not null, version text not null, instance text not null, env text not null,
    created_at timestamptz not null default now())`,
  `create table ${t.family} (
    id int4 generated always as identity primary key, hash uuid not null unique,
    name text not null, type text not null, unit text not null, bounds float8[] not null, quantiles float8[] not null)`,
  `create index on ${t.family} (name)`,
  `create table ${t.series} (
    id int4 generated always as identity primary key, hash uuid not null unique,
    family int4 not null references ${t.family}, labels jsonb not null)`,
  `create index on ${t.series} (family)`,
  `create index on ${t.series} using gin (labels jsonb_path_ops)`,
  `create table ${t.operation} (
    id int4 generated always as identity primary key, hash uuid not null unique,
    service text not null, name text not null, kind int2 not null)`,
  `create index on ${t.operation} (service)`,

  // One lane per producer and signal; `seq` is its last settled batch.
  `create table ${t.lane} (
    id int4 generated always as identity primary key,
    producer uuid not null, signal text not null, epoch int4 not null, seq int8 not null default 0,
    resource int4 not null references ${t.resource},
    created_at timestamptz not null default now(), seen_at timestamptz not null default now(),
    unique (producer, signal)) with (fillfactor = 50)`,
  `create table ${t.lane_series} (
    lane int4 not null references ${t.lane} on delete cascade, kind int2 not null, pos int4 not null,
    series int4[] not null, starts int4[],
    primary key (lane, kind, pos))`,
  `create index on ${t.lane_series} using gin (series)`,

  // Frames. Of c2, c4 and c8 (b4 and b8) one is not null: the narrowest that holds the values exactly.
  `create table ${t.metric_frame} (
    ts timestamptz not null, id int8 not null default nextval(${t.rowId}), seq int8 not null, span_ms int8 not null,
    lane int4 not null, sources int4 not null, item int2 not null,
    c2 int2[], c4 int4[], c8 float8[], g float8[],
    primary key (ts, lane, seq, item)) partition by range (ts)`,
  `create table ${t.histogram_frame} (
    ts timestamptz not null, id int8 not null default nextval(${t.rowId}), seq int8 not null, span_ms int8 not null,
    lane int4 not null, sources int4 not null, item int2 not null,
    b2 int2[], b4 int4[], b8 float8[], sums float8[] not null, mins float8[] not null, maxs float8[] not null,
    primary key (ts, lane, seq, item)) partition by range (ts)`,
  `create table ${t.summary_frame} (
    ts timestamptz not null, id int8 not null default nextval(${t.rowId}), seq int8 not null, span_ms int8 not null,
    lane int4 not null, sources int4 not null, item int2 not null,
    counts float8[] not null, sums float8[] not null, quantiles float8[] not null,
    primary key (ts, lane, seq, item)) partition by range (ts)`,

  // Spans: one row per trace and flush. `starts` count from `start_ns`; a parent of 0 is none.
  `create table ${t.trace_part} (
    ts timestamptz not null, id int8 not null default nextval(${t.rowId}), seq int8 not null,
    start_ns int8 not null, end_ns int8 not null, trace_id uuid not null,
    lane int4 not null, root_operation int4 not null, span_count int4 not null, error_count int4 not null, root bool not null,
    span_ids int8[] not null, parent_ids int8[] not null, operations int4[] not null,
    starts int8[] not null, durations int8[] not null, statuses int2[] not null,
    messages text[], attributes jsonb[] not null, events jsonb[], links jsonb[]) partition by range (ts)`,
  // On the text the view shows, so that both the view and the history find a trace by it.
  `create index on ${t.trace_part} (replace(trace_id::text, '-', ''))`,
  `create index on ${t.trace_part} using brin (ts) with (pages_per_range = 16)`,

  `create table ${t.view.metadata} (
    name varchar(255) primary key, type varchar(50) not null, help text, unit varchar(50),
    label_names jsonb, buckets jsonb, objectives jsonb, alert_threshold float,
    created_at timestamptz default now())`,

  // The id of a view's row: the stored row's id, then the kind (2 bits), then the position (21 bits).
  `create view ${t.view.metrics} as
    ${scalarBranch(t, 0, t.metric_frame, "coalesce(f.c8, f.c4::float8[], f.c2::float8[])")}
    union all ${scalarBranch(t, 1, t.metric_frame, "f.g")}
    union all ${scalarBranch(t, 2, t.histogram_frame, "f.sums")}
    union all ${scalarBranch(t, 3, t.summary_frame, "f.sums")}`,
  `create view ${t.view.histograms} as
    select f.id * 8388608 + 2 * 2097152 + seg.pos + u.i - 1 as id, fam.name, s.labels, f.ts as timestamp,
      f.span_ms / 1000.0::float8 as interval,
      (select coalesce(sum(b), 0)::int8 from unnest(u.buckets) as b) as count,
      u.sum, nullif(u.min, 'NaN') as min, nullif(u.max, 'NaN') as max, fam.bounds, u.buckets::int8[] as buckets,
      r.service as service_name, r.instance, r.env
    from ${t.histogram_frame} f
    join ${t.lane} l on l.id = f.lane
    join ${t.resource} r on r.id = l.resource
    join ${t.lane_series} seg on seg.lane = f.lane and seg.kind = 2
    cross join lateral (
      select k.series, k.i, k.sum, k.min, k.max, k.start
      from unnest(
        seg.series, seg.starts,
        f.sums[seg.pos + 1 : seg.pos + cardinality(seg.series)],
        f.mins[seg.pos + 1 : seg.pos + cardinality(seg.series)],
        f.maxs[seg.pos + 1 : seg.pos + cardinality(seg.series)]
      ) with ordinality as k(series, start, sum, min, max, i)
      where k.sum is not null) k
    join ${t.series} s on s.id = k.series
    join ${t.family} fam on fam.id = s.family
    cross join lateral (
      select k.i, k.sum, k.min, k.max,
        (coalesce(f.b8, f.b4::float8[], f.b2::float8[]))[k.start + 1 : k.start + cardinality(fam.bounds) + 1] as buckets) u`,
  `create view ${t.view.spans} as
    select p.id * 1024 + s.i - 1 as id,
      replace(p.trace_id::text, '-', '') as trace_id,
      lpad(to_hex(s.span_id), 16, '0') as span_id,
      case when s.parent_id <> 0 then lpad(to_hex(s.parent_id), 16, '0') end as parent_span_id,
      o.name, (array['INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'])[o.kind + 1] as kind, o.service as service_name,
      (p.start_ns + s.start)::float8 / 1e9::float8 as start_time,
      (p.start_ns + s.start + s.duration)::float8 / 1e9::float8 as end_time,
      s.duration::float8 / 1e9::float8 as duration,
      case when s.status = 2 then 'ERROR' else 'OK' end as status, s.message as status_message, s.attributes, p.ts as timestamp
    from ${t.trace_part} p
    cross join lateral unnest(p.span_ids, p.parent_ids, p.operations, p.starts, p.durations, p.statuses, p.messages, p.attributes)
      with ordinality as s(span_id, parent_id, operation, start, duration, status, message, attributes, i)
    join ${t.operation} o on o.id = s.operation`,
  `create view ${t.view.events} as
    select p.id * 16777216 + (s.i - 1) * 16384 + e.j - 1 as id,
      replace(p.trace_id::text, '-', '') as trace_id, lpad(to_hex(s.span_id), 16, '0') as span_id,
      e.event ->> 'n' as name, (p.start_ns + s.start + (e.event ->> 't')::int8)::float8 / 1e9::float8 as timestamp,
      e.event -> 'a' as attributes, p.ts as created_at
    from ${t.trace_part} p
    cross join lateral unnest(p.span_ids, p.starts, p.events) with ordinality as s(span_id, start, events, i)
    cross join lateral jsonb_array_elements(s.events) with ordinality as e(event, j)
    where p.events is not null`
]

/** One row per series and frame; positions past the end of a frame, and gauges without a value, have none. */
const scalarBranch = (t: Sql, kind: number, table: string, values: string): string =>
  `select f.id * 8388608 + ${kind} * 2097152 + seg.pos + u.i - 1 as id, fam.name, fam.type, u.value, s.labels, f.ts as timestamp
    from ${table} f
    join ${t.lane_series} seg on seg.lane = f.lane and seg.kind = ${kind}
    cross join lateral unnest(seg.series, (${values})[seg.pos + 1 : seg.pos + cardinality(seg.series)])
      with ordinality as u(series, value, i)
    join ${t.series} s on s.id = u.series
    join ${t.family} fam on fam.id = s.family
    where u.value <> 'NaN'`
