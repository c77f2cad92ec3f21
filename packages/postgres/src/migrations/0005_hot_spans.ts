import type { Sql } from "../internal/names.ts"

/**
 * A leaner form for the rows of `obs_trace_part` (a trace's spans of one batch). Rows of the first form stay as they are and are
 * read beside the new ones; a row has the new form when `numbers` is not null.
 *
 * `numbers` holds five columns of `span_count` entries, one after the other: the parent's place in the row (0 none, `-k` the
 * entry `k` of `strangers`), the operation, the shape, the start (nanoseconds after the row's) and the duration. `starts` and
 * `durations` are there only when one of the row does not fit 32 bits. `statuses` without a value are all 0. `texts` has a line
 * per span: the JSON texts of its attributes with tabs between them, to be put into its shape's template; the line of a span
 * without a shape (0) is the whole object.
 *
 * A template has what many spans of an operation share: the keys, and values that are always the same. `seen_at` is renewed
 * once a day by whoever writes with it; a template that nobody can still need goes (`spans/SpanWorker.ts`). Packed rows need none.
 */
export const name = "hot spans"

export const statements = (t: Sql): ReadonlyArray<string> => [
  `create table ${t.shape} (
    id int4 generated always as identity primary key, hash uuid not null unique, template text not null, seen_at timestamptz not null default now())`,
  `alter table ${t.trace_part}
    add column numbers int4[], add column strangers int8[], add column texts text,
    alter column parent_ids drop not null, alter column operations drop not null, alter column starts drop not null,
    alter column durations drop not null, alter column statuses drop not null, alter column attributes drop not null`,

  `create function ${t.hot_attributes}(shapes int4[], texts text) returns jsonb[] language plpgsql stable strict parallel safe cost 1000 as $$
    begin return (
      select array_agg((case when h.id is null then u.line else format(h.template, variadic string_to_array(u.line, E'\\t')) end)::jsonb order by u.i)
      from unnest(shapes, (string_to_array(texts, E'\\n'))[1 : cardinality(shapes)]) with ordinality as u(shape, line, i)
      left join ${t.shape} h on h.id = u.shape);
    end $$`,

  // The columns are those it had, and what lets a search pass over rows of the new form.
  `create or replace view ${t.hot_span} as
    select p.ctid as at, p.ts, p.ts as day, p.id as part_id, s.i::int4 as place, p.trace_id, p.lane, s.span_id,
      case when p.numbers is null then s.parent_id when s.parent > 0 then p.span_ids[s.parent] when s.parent < 0 then p.strangers[-s.parent] else 0 end as parent_id,
      s.operation, p.start_ns + s.start as start_ns, s.duration, coalesce(s.status, 0::int2) as status, s.message, a.attributes[s.i] as attributes,
      e.events[s.i] as events, e.links[s.i] as links, coalesce(s.weight, 1) as weight, coalesce(s.state, '') as state,
      coalesce(s.lost_attributes, 0) as lost_attributes, coalesce(s.lost_events, 0) as lost_events, coalesce(s.lost_links, 0) as lost_links,
      case when p.numbers is null then s.parent_id <> 0 and s.parent_id <> all (p.span_ids) else s.parent < 0 end as stranger,
      p.texts, p.numbers[2 * p.span_count + 1 : 3 * p.span_count] as shapes
    from ${t.trace_part} p
    -- Nobody pays for what is not asked for: a column of these that is not used is not made.
    cross join lateral (select ${attributesOf(t)} as attributes offset 0) a
    cross join lateral (select p.events || '{}'::jsonb[] as events, p.links || '{}'::jsonb[] as links offset 0) e
    cross join lateral unnest(p.span_ids, p.parent_ids, p.numbers[1 : p.span_count], ${operationsOf}, ${startsOf}, ${durationsOf},
      p.statuses, p.messages, p.weights, p.states, p.lost_attributes, p.lost_events, p.lost_links)
      with ordinality as s(span_id, parent_id, parent, operation, start, duration, status, message,
        weight, state, lost_attributes, lost_events, lost_links, i)`,

  traceById(t),
  writeEvent(t)
]

// Of a row `p`, of either form.
export const operationsOf = "coalesce(p.operations, p.numbers[p.span_count + 1 : 2 * p.span_count])"
export const startsOf = "coalesce(p.starts, p.numbers[3 * p.span_count + 1 : 4 * p.span_count]::int8[])"
export const durationsOf = "coalesce(p.durations, p.numbers[4 * p.span_count + 1 : 5 * p.span_count]::int8[])"
export const attributesOf = (t: Sql): string =>
  `case when p.numbers is null then p.attributes || '{}'::jsonb[] else ${t.hot_attributes}(p.numbers[2 * p.span_count + 1 : 3 * p.span_count], p.texts) end`
export const parentsOf = `coalesce(p.parent_ids, (
  select array_agg(case when u.parent > 0 then p.span_ids[u.parent] when u.parent < 0 then p.strangers[-u.parent] else 0 end order by u.i)
  from unnest(p.numbers[1 : p.span_count]) with ordinality as u(parent, i)))`

/**
 * The spans of a trace, one place after the other: joined in one statement, the directory's row and those of its chunk are
 * planned as a join of everything with everything once there are many.
 */
const traceById = (t: Sql): string =>
  `create or replace function ${t.trace_by_id}(wanted text) returns table (name text, service text, kind int2, span_id int8, parent_id int8, start_ns int8,
      duration int8, status int2, message text, attributes text, events jsonb, links jsonb, weight float8, state text,
      lost_attributes int4, lost_events int4, lost_links int4)
    language plpgsql stable parallel safe set plan_cache_mode = force_generic_plan as $$
    #variable_conflict use_column
    declare f record;
    begin
      return query
        select o.name, o.service, o.kind, h.span_id, h.parent_id, h.start_ns, h.duration, h.status, h.message, h.attributes::text, h.events, h.links,
          h.weight, h.state, h.lost_attributes, h.lost_events, h.lost_links
        from ${t.hot_span} h join ${t.operation} o on o.id = h.operation where replace(h.trace_id::text, '-', '') = wanted;
      for f in
        select p.ts, p.chunk, (p.first + k - 1)::int2 as part, p.base_ns + p.starts[k] as start_ns,
          p.span_ids[coalesce(p.ends[k - 1], 0) + 1 : p.ends[k]] as span_ids
        from ${t.trace_pack} p cross join lateral unnest(array_positions(p.trace_ids, wanted::uuid)) as k
        where ${t.hashes}(p.trace_ids) @> array[uuid_hash(wanted::uuid)]
      loop
        return query
          select o.name, o.service, o.kind, f.span_ids[s.places[i]],
            case when s.parents[i] > 0 then f.span_ids[s.parents[i]] when s.parents[i] < 0 then s.strangers[-s.parents[i]] else 0 end,
            f.start_ns + coalesce(s.s8[i], s.s4[i]) * s.unit, coalesce(s.d8[i], s.d4[i]) * s.unit,
            coalesce(s.statuses[i], 0::int2), ${t.entry}(s.messages, i)::jsonb #>> '{}',
            '{' || concat_ws(',', nullif(s.fixed, ''), (
              select string_agg(case when c.name = '' then v.value else c.name || ':' || v.value end, ',')
              from unnest(s.names, s.cols) as c(name, packed) cross join lateral (select ${t.entry}(c.packed, i) as value offset 0) v
              where v.value is not null)) || '}',
            ${t.entry}(s.events, i)::jsonb, ${t.entry}(s.links, i)::jsonb, coalesce(s.weights[i], 1), coalesce(${t.entry}(s.states, i)::jsonb #>> '{}', ''),
            coalesce(s.lost_attributes[i], 0), coalesce(s.lost_events[i], 0), coalesce(s.lost_links[i], 0)
          from ${t.span_pack} s
          cross join lateral unnest(array_positions(s.parts, f.part)) as i
          join ${t.operation} o on o.id = coalesce(s.operations[i], s.operation)
          where s.ts = f.ts and s.chunk = f.chunk and s.parts @> array[f.part];
      end loop;
    end $$`

/** As in migration 3, for rows of both forms. */
const writeEvent = (t: Sql): string =>
  `create or replace function ${t.write_event}() returns trigger language plpgsql set search_path = pg_catalog as $$
    declare
      trace text := replace(${t.trace_id_of}(new.trace_id)::text, '-', '');
      span int8 := ${t.span_id_of}('span_id', new.span_id);
      found record; happened jsonb; place int4;
    begin
      if coalesce(new.name, '') = '' then raise exception 'name is missing' using errcode = '22023'; end if;
      if new.timestamp is null or not abs(new.timestamp) <= 9e9 then
        raise exception 'timestamp must be seconds since the epoch' using errcode = '22023';
      end if;
      if jsonb_typeof(coalesce(new.attributes, '{}')) <> 'object' then
        raise exception 'attributes must be an object' using errcode = '22023';
      end if;
      select p.ts, p.id, p.start_ns, ${startsOf} as starts, p.span_ids, p.events into found
        from ${t.trace_part} p where replace(p.trace_id::text, '-', '') = trace and p.span_ids @> array[span] limit 1 for update;
      if found.id is null then
        raise exception 'there is no span % of trace % that takes events: insert the span first', new.span_id, new.trace_id using errcode = '23503';
      end if;
      place := array_position(found.span_ids, span);
      happened := jsonb_build_object('n', new.name, 't', (round(new.timestamp * 1e6)::int8 * 1000 - found.start_ns - found.starts[place])::text,
        'a', coalesce(new.attributes, '{}'));
      found.events := coalesce(found.events, array_fill(null::jsonb, array[cardinality(found.span_ids)]));
      found.events[place] := coalesce(found.events[place], '[]') || jsonb_build_array(happened);
      update ${t.trace_part} p set events = found.events where p.ts = found.ts and p.id = found.id;
      new.id := found.id * 16777216 + (place - 1) * 16384 + jsonb_array_length(found.events[place]) - 1;
      new.created_at := found.ts;
      return new;
    end $$`
