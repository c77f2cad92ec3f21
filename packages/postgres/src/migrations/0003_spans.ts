import type { Sql } from "../internal/names.ts"
import { writtenByHand } from "./spansByHand.ts"

/**
 * Cold spans, packed by operation, and what a span has since version 1: weight, trace state, and what its limits left out.
 *
 * A chunk is a few thousand rows of `obs_trace_part`, repacked. `obs_trace_pack` says what they were: entry `i` of a row is
 * part `first + i - 1` of the chunk, with the ids of its spans in their order. `obs_span_pack` has the spans themselves, sorted
 * by operation: entry `i` is the span at place `places[i]` of part `parts[i]`; its parent is at place `parents[i]` of the same
 * part, or entry `-parents[i]` of `strangers`, or none (0). `starts` count from the part's start, and they and the durations
 * are multiples of `unit`. Of two columns for one quantity (`s4`, `s8`) one is not null: the narrowest that holds all values.
 *
 * A text column of many values is a list of JSON texts, one a line; an empty line is no value. The first character says how:
 * `l` is followed by the lines, `d` by one character per value, a newline and the distinct lines (character 33 is the first).
 *
 * Attributes are `fixed` (members that all spans of the row share), then a text column `cols[i]` for each key `names[i]`; the
 * column of the name `''` holds whole members, of keys that few spans have.
 */
export const name = "spans"

export const statements = (t: Sql): ReadonlyArray<string> => [
  `alter table ${t.trace_part}
    add column weights float8[], add column states text[],
    add column lost_attributes int4[], add column lost_events int4[], add column lost_links int4[]`,

  // `format` tells how a chunk is laid out: a new one leaves the old ones as they are.
  `create table ${t.trace_pack} (
    ts timestamptz not null, chunk int8 not null, first int4 not null, format int2 not null,
    base_id int8 not null, base_ns int8 not null,
    ids int8[] not null, trace_ids uuid[] not null, starts int8[] not null, lengths int8[] not null,
    lanes int4[] not null, operations int4[] not null, roots bool[] not null, ends int4[] not null, errors int4[] not null,
    times int8[], span_ids int8[] not null) partition by range (ts)`,
  `create table ${t.span_pack} (
    ts timestamptz not null, chunk int8 not null, operation int4, n int4 not null,
    least_ns int8 not null, most_ns int8 not null, longest int8 not null, errors int4 not null,
    parts int2[] not null, places int2[] not null, parents int2[] not null, strangers int8[], operations int4[],
    unit int8 not null, s4 int4[], s8 int8[], d4 int4[], d8 int8[], statuses int2[],
    weights float8[], lost_attributes int4[], lost_events int4[], lost_links int4[],
    fixed text not null, names text[] not null, cols text[] not null, messages text, events text, links text, states text,
    keys int4[]) partition by range (ts)`,
  ...(["trace_pack", "span_pack"] as const).map((table) =>
    `alter table ${t[table]} ${inline[table].map((column) => `alter column ${column} set storage main`).join(", ")}`
  ),

  // Which attributes have an index, and from which chunk on.
  `create table ${t.searchable} (key text primary key, since int8 not null)`,

  // The same on every server, so that an index over it holds.
  `create function ${t.hashes}(ids uuid[]) returns int4[] language sql immutable strict parallel safe cost 10000 as $$
    select array_agg(uuid_hash(id)) from unnest(ids) as id $$`,
  `create index on ${t.trace_pack} using gin (${t.hashes}(trace_ids)) with (fastupdate = off)`,
  `create index on ${t.trace_pack} (chunk)`,
  `create index on ${t.span_pack} (chunk)`,
  `create index on ${t.span_pack} using gin (keys) with (fastupdate = off)`,

  // The values of a text column, NULL where there is none. The planner writes the shorter form out in place.
  `create function ${t.letters}(packed text) returns text[] language plpgsql immutable strict parallel safe cost 10000 as $$
    declare
      lines text[] := string_to_array(substr(packed, 2), E'\\n', '');
      words text[] := lines[2:];
    begin return (
      select array_agg(words[ascii(u.letter) - 32] order by u.i) from unnest(string_to_array(lines[1], null)) with ordinality as u(letter, i));
    end $$`,
  `create function ${t.column}(packed text) returns text[] language sql immutable parallel safe cost 10000 as $$
    select case when left(packed, 1) = 'l' then string_to_array(substr(packed, 2), E'\\n', '') else ${t.letters}(packed) end $$`,
  // The functions below are written so that the planner does not look into them: it would unpack a row once per span. What they
  // cost and how many rows they give is told instead.
  `create function ${t.attributes}(n int4, fixed text, names text[], cols text[]) returns jsonb[]
    language plpgsql immutable parallel safe cost 100000 as $$
    begin return (
      select array_agg(('{' || concat_ws(',', nullif(fixed, ''), x.body) || '}')::jsonb order by g.i)
      from generate_series(1, n) as g(i)
      left join (
        select v.i, string_agg(case when k.name = '' then v.value else k.name || ':' || v.value end, ',') as body
        from unnest(names, cols) as k(name, packed)
        cross join lateral unnest(${t.column}(k.packed)) with ordinality as v(value, i)
        where v.value is not null group by v.i) x on x.i = g.i);
    end $$`,
  `create function ${t.parts}(first int4, base_id int8, base_ns int8, ids int8[], trace_ids uuid[], starts int8[], lengths int8[], lanes int4[],
    operations int4[], roots bool[], ends int4[], errors int4[], times int8[], all_ids int8[])
    returns table (part int4, id int8, trace_id uuid, ts timestamptz, start_ns int8, end_ns int8, lane int4, root_operation int4, root bool,
      span_count int4, error_count int4, span_ids int8[])
    language plpgsql immutable parallel safe rows 256 cost 10000 as $$
    begin return query
      select (first + u.i - 1)::int4, base_id + u.id, u.trace, to_timestamp(coalesce(u.time, (base_ns + u.start) / 1000) / 1e6::float8),
        base_ns + u.start, base_ns + u.start + u.length, u.lane, u.operation, u.root,
        u.until - lag(u.until, 1, 0) over w, u.error, flat.every_id[lag(u.until, 1, 0) over w + 1 : u.until]
      from (select all_ids as every_id offset 0) flat
      cross join unnest(ids, trace_ids, starts, lengths, lanes, operations, roots, ends, errors, times)
        with ordinality as u(id, trace, start, length, lane, operation, root, until, error, time, i)
      window w as (order by u.i);
    end $$`,
  `create function ${t.unpack}(unit int8, parts int2[], places int2[], parents int2[], operations int4[], starts int8[], durations int8[],
    statuses int2[], weights float8[], lost_attributes int4[], lost_events int4[], lost_links int4[])
    returns table (i int4, part int4, place int4, parent int4, operation int4, start int8, duration int8, status int2, weight float8,
      attributes_lost int4, events_lost int4, links_lost int4)
    language plpgsql immutable parallel safe rows 256 cost 10000 as $$
    begin return query
      select u.i::int4, u.part::int4, u.place::int4, u.parent::int4, u.operation, u.start * unit, u.duration * unit, coalesce(u.status, 0::int2),
        coalesce(u.weight, 1), coalesce(u.a, 0), coalesce(u.e, 0), coalesce(u.l, 0)
      from unnest(parts, places, parents, operations, starts, durations, statuses, weights, lost_attributes, lost_events, lost_links)
        with ordinality as u(part, place, parent, operation, start, duration, status, weight, a, e, l, i);
    end $$`,
  // One value of a text column, without unpacking the others.
  `create function ${t.entry}(packed text, i int4) returns text language sql immutable strict parallel safe as $$
    select nullif(case left(packed, 1)
      when 'l' then split_part(substr(packed, 2), E'\\n', i)
      else split_part(packed, E'\\n', ascii(substr(packed, i + 1, 1)) - 31) end, '') $$`,

  ...views(t),
  traceById(t),
  ...writtenByHand(t)
]

/**
 * The spans of a trace. Packed rows are not unpacked: only what belongs to the trace is taken out of them. Planned once per
 * session: planning over all days takes longer than the answer.
 */
const traceById = (t: Sql): string =>
  `create function ${t.trace_by_id}(wanted text) returns table (name text, service text, kind int2, span_id int8, parent_id int8, start_ns int8,
      duration int8, status int2, message text, attributes text, events jsonb, links jsonb, weight float8, state text,
      lost_attributes int4, lost_events int4, lost_links int4)
    language plpgsql stable parallel safe set plan_cache_mode = force_generic_plan as $$
    #variable_conflict use_column
    begin return query
      with found as materialized (
        select p.ts, p.chunk, (p.first + k - 1)::int2 as part, p.base_ns + p.starts[k] as start_ns,
          p.span_ids[coalesce(p.ends[k - 1], 0) + 1 : p.ends[k]] as span_ids
        from ${t.trace_pack} p cross join lateral unnest(array_positions(p.trace_ids, wanted::uuid)) as k
        where ${t.hashes}(p.trace_ids) @> array[uuid_hash(wanted::uuid)]
      )
      select o.name, o.service, o.kind, x.span_id, x.parent_id, x.start_ns, x.duration, x.status, x.message, x.attributes, x.events, x.links,
        x.weight, x.state, x.lost_attributes, x.lost_events, x.lost_links
      from (
        select h.span_id, h.parent_id, h.operation, h.start_ns, h.duration, h.status, h.message, h.attributes::text as attributes, h.events, h.links,
          h.weight, h.state, h.lost_attributes, h.lost_events, h.lost_links
        from ${t.hot_span} h where replace(h.trace_id::text, '-', '') = wanted
        union all
        select f.span_ids[s.places[i]],
          case when s.parents[i] > 0 then f.span_ids[s.parents[i]] when s.parents[i] < 0 then s.strangers[-s.parents[i]] else 0 end,
          coalesce(s.operations[i], s.operation), f.start_ns + coalesce(s.s8[i], s.s4[i]) * s.unit, coalesce(s.d8[i], s.d4[i]) * s.unit,
          coalesce(s.statuses[i], 0::int2), ${t.entry}(s.messages, i)::jsonb #>> '{}',
          '{' || concat_ws(',', nullif(s.fixed, ''), (
            select string_agg(case when c.name = '' then v.value else c.name || ':' || v.value end, ',')
            from unnest(s.names, s.cols) as c(name, packed) cross join lateral (select ${t.entry}(c.packed, i) as value offset 0) v
            where v.value is not null)) || '}',
          ${t.entry}(s.events, i)::jsonb, ${t.entry}(s.links, i)::jsonb, coalesce(s.weights[i], 1), coalesce(${t.entry}(s.states, i)::jsonb #>> '{}', ''),
          coalesce(s.lost_attributes[i], 0), coalesce(s.lost_events[i], 0), coalesce(s.lost_links[i], 0)
        from found f
        join ${t.span_pack} s on s.chunk = f.chunk and s.ts = f.ts and s.parts @> array[f.part]
        cross join lateral unnest(array_positions(s.parts, f.part)) as i
      ) x join ${t.operation} o on o.id = x.operation;
    end $$`

/** Columns that are compressed where they are and leave the row only when it does not fit a page. */
const inline = {
  trace_pack: ["ids", "lanes", "operations", "roots", "ends", "errors", "times"],
  span_pack: ["parts", "places", "parents", "strangers", "operations", "statuses", "weights", "names", "fixed", "messages", "states", "keys"]
} as const

/** Made anew by a later migration whenever they change. */
const views = (t: Sql): ReadonlyArray<string> => [
  // Rows of `obs_trace_part` as far as a summary needs them.
  `create view ${t.hot_part} as
    select ctid as at, ts, ts as day, id, trace_id, start_ns, end_ns, lane, root_operation, root, span_count, error_count from ${t.trace_part}`,
  // `fence` keeps the planner from unpacking a row once for each row of another table, without keeping conditions out.
  `create view ${t.cold_part} as
    select ts, day, id, trace_id, start_ns, end_ns, lane, root_operation, root, span_count, error_count, chunk, part, span_ids, packed_ids
    from (
      select u.ts, p.ts as day, u.id, u.trace_id, u.start_ns, u.end_ns, u.lane, u.root_operation, u.root, u.span_count, u.error_count,
        p.chunk, u.part, u.span_ids, p.trace_ids as packed_ids, generate_series(1, 1) as fence
      from ${t.trace_pack} p
      cross join lateral ${t.parts}(p.first, p.base_id, p.base_ns, p.ids, p.trace_ids, p.starts, p.lengths, p.lanes, p.operations, p.roots, p.ends,
        p.errors, p.times, p.span_ids) u) p`,

  // Spans with all they have, one a row. \parent_id` 0 is none.
  `create view ${t.hot_span} as
    select p.ctid as at, p.ts, p.ts as day, p.id as part_id, s.i::int4 as place, p.trace_id, p.lane, s.span_id, s.parent_id, s.operation,
      p.start_ns + s.start as start_ns, s.duration, s.status, s.message, s.attributes, s.events, s.links,
      coalesce(s.weight, 1) as weight, coalesce(s.state, '') as state,
      coalesce(s.lost_attributes, 0) as lost_attributes, coalesce(s.lost_events, 0) as lost_events, coalesce(s.lost_links, 0) as lost_links,
      s.parent_id <> 0 and s.parent_id <> all (p.span_ids) as stranger
    from ${t.trace_part} p
    cross join lateral unnest(p.span_ids, p.parent_ids, p.operations, p.starts, p.durations, p.statuses, p.messages, p.attributes, p.events,
      p.links, p.weights, p.states, p.lost_attributes, p.lost_events, p.lost_links)
      with ordinality as s(span_id, parent_id, operation, start, duration, status, message, attributes, events,
        links, weight, state, lost_attributes, lost_events, lost_links, i)`,
  // `part_day` is `day` again and `part_chunk` is `chunk`: a condition on both keeps the rest of the directory out too.
  `create view ${t.cold_span} as
    select p.ts, s.day, p.day as part_day, p.chunk as part_chunk, p.id as part_id, s.place, p.trace_id, p.lane, p.span_ids[s.place] as span_id,
      case when s.parent > 0 then p.span_ids[s.parent] else s.parent_id end as parent_id,
      s.operation, p.start_ns + s.start as start_ns, s.duration, s.status, s.message, s.attributes, s.events, s.links, s.weight, s.state,
      s.lost_attributes, s.lost_events, s.lost_links, s.stranger,
      s.chunk, s.part, s.packed_operation, s.packed_operations, s.least_ns, s.most_ns, s.longest, s.errors, s.keys
    from (
      select s.ts as day, s.chunk, u.part, u.place, u.parent, coalesce(u.operation, s.operation) as operation, u.start, u.duration, u.status,
        case when u.parent < 0 then s.strangers[-u.parent] else 0 end as parent_id, u.parent < 0 as stranger,
        a.messages[u.i]::jsonb #>> '{}' as message, a.attributes[u.i] as attributes, a.events[u.i]::jsonb as events, a.links[u.i]::jsonb as links,
        u.weight, coalesce(a.states[u.i]::jsonb #>> '{}', '') as state,
        u.attributes_lost as lost_attributes, u.events_lost as lost_events, u.links_lost as lost_links,
        s.operation as packed_operation, s.operations as packed_operations, s.least_ns, s.most_ns, s.longest, s.errors, s.keys,
        generate_series(1, 1) as fence
      from ${t.span_pack} s
      cross join lateral (
        select ${t.attributes}(s.n, s.fixed, s.names, s.cols) as attributes, ${t.column}(s.messages) as messages,
          ${t.column}(s.events) as events, ${t.column}(s.links) as links, ${t.column}(s.states) as states offset 0) a
      cross join lateral ${t.unpack}(s.unit, s.parts, s.places, s.parents, s.operations, coalesce(s.s8, s.s4::int8[]), coalesce(s.d8, s.d4::int8[]),
        s.statuses, s.weights, s.lost_attributes, s.lost_events, s.lost_links) u) s
    join ${t.cold_part} p on p.chunk = s.chunk and p.part = s.part and p.day = s.day`,

  // What users see, with the partition key of what is packed: `day` is the begin of a day there.
  `create view ${t.every_span} as
    select x.part_id * 1024 + x.place - 1 as id,
      replace(x.trace_id::text, '-', '') as trace_id,
      lpad(to_hex(x.span_id), 16, '0') as span_id,
      case when x.parent_id <> 0 then lpad(to_hex(x.parent_id), 16, '0') end as parent_span_id,
      o.name, (array['INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'])[o.kind + 1] as kind, o.service as service_name,
      x.start_ns::float8 / 1e9::float8 as start_time,
      (x.start_ns + x.duration)::float8 / 1e9::float8 as end_time,
      x.duration::float8 / 1e9::float8 as duration,
      case when x.status = 2 then 'ERROR' else 'OK' end as status, x.message as status_message, x.attributes, x.ts as timestamp, x.day, x.part_day
    from (
      select part_id, place, trace_id, span_id, parent_id, operation, start_ns, duration, status, message, attributes, ts, day, day as part_day
      from ${t.hot_span}
      union all
      select part_id, place, trace_id, span_id, parent_id, operation, start_ns, duration, status, message, attributes, ts, day, part_day
      from ${t.cold_span}) x
    join ${t.operation} o on o.id = x.operation`,
  `create view ${t.every_event} as
    select x.part_id * 16777216 + (x.place - 1) * 16384 + e.j - 1 as id,
      replace(x.trace_id::text, '-', '') as trace_id, lpad(to_hex(x.span_id), 16, '0') as span_id,
      e.event ->> 'n' as name, (x.start_ns + (e.event ->> 't')::int8)::float8 / 1e9::float8 as timestamp,
      e.event -> 'a' as attributes, x.ts as created_at, x.day, x.part_day
    from (
      select part_id, place, trace_id, span_id, start_ns, events, ts, day, day as part_day from ${t.hot_span} where events is not null
      union all
      select part_id, place, trace_id, span_id, start_ns, events, ts, day, part_day from ${t.cold_span} where events is not null) x
    cross join lateral jsonb_array_elements(x.events) with ordinality as e(event, j)`,
  `create or replace view ${t.view.spans} as select ${spanColumns} from ${t.every_span}`,
  `create or replace view ${t.view.events} as select ${eventColumns} from ${t.every_event}`,
  // The same rows within a time range, without a look at the packed days outside of it.
  `create function ${t.spans_range}(since timestamptz, until timestamptz) returns setof ${t.view.spans} language sql stable parallel safe as $$
    select ${spanColumns} from ${t.every_span}
    where timestamp >= since and timestamp < until and day >= date_trunc('day', since, 'UTC') and day < until
      and part_day >= date_trunc('day', since, 'UTC') and part_day < until $$`,
  `create function ${t.span_events_range}(since timestamptz, until timestamptz) returns setof ${t.view.events} language sql stable parallel safe as $$
    select ${eventColumns} from ${t.every_event}
    where created_at >= since and created_at < until and day >= date_trunc('day', since, 'UTC') and day < until
      and part_day >= date_trunc('day', since, 'UTC') and part_day < until $$`
]

const spanColumns = `id, trace_id, span_id, parent_span_id, name, kind, service_name, start_time, end_time, duration, status, status_message,
  attributes, timestamp`
const eventColumns = "id, trace_id, span_id, name, timestamp, attributes, created_at"
