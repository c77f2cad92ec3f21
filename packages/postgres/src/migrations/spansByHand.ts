import type { Sql } from "../internal/names.ts"

/**
 * `insert into observability_spans …` and `… observability_span_events …`, as the document's tables would take them (part of
 * migration 0003). A span becomes a row of `obs_trace_part` of its own. `id` is the store's to give.
 */
export const writtenByHand = (t: Sql): ReadonlyArray<string> => [
  // 32 hex digits, or a uuid with its dashes.
  `create function ${t.trace_id_of}(given text) returns uuid language plpgsql immutable parallel safe set search_path = pg_catalog as $$
    begin
      if lower(replace(given, '-', '')) ~ '^[0-9a-f]{32}$' then return lower(replace(given, '-', ''))::uuid; end if;
      raise exception 'trace_id is %: use 32 hex digits, or a uuid', coalesce(quote_literal(left(given, 40)), 'missing') using errcode = '22023';
    end $$`,
  `create function ${t.span_id_of}(column_name text, given text) returns int8 language plpgsql immutable parallel safe set search_path = pg_catalog as $$
    begin
      if given ~ '^[0-9a-fA-F]{16}$' and given !~ '^0+$' then return ('x' || given)::bit(64)::int8; end if;
      raise exception '% is %: use 16 hex digits, not all of them 0', column_name, coalesce(quote_literal(left(given, 40)), 'missing') using errcode = '22023';
    end $$`,
  // The day's partition, made when it is missing; that needs the right to create.
  `create function ${t.make_room}(at timestamptz) returns void language plpgsql set search_path = pg_catalog as $$
    declare
      day timestamp := date_trunc('day', at at time zone 'UTC');
      partition text := 'obs_trace_part_p' || to_char(day, 'YYYYMMDD');
    begin
      if at < '1970-01-01' or at > now() + interval '1 day' then
        raise exception 'timestamp is %: use a time since 1970 and not in the future', at using errcode = '22023';
      end if;
      if to_regclass(format('${t.schema}.%I', partition)) is not null then return; end if;
      perform pg_advisory_xact_lock(hashtextextended('effect-observability spans by hand ' || ${literal(t.schema)}, 0));
      if to_regclass(format('${t.schema}.%I', partition)) is not null then return; end if;
      execute format('create table ${t.schema}.%I (like ${t.trace_part} including defaults including storage including compression)', partition);
      execute format('alter table ${t.trace_part} attach partition ${t.schema}.%I for values from (%L) to (%L)', partition,
        to_char(day, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(day + interval '1 day', 'YYYY-MM-DD') || ' 00:00:00+00');
    end $$`,
  // One lane for all of it: the views do not show it, but every row has one.
  `create function ${t.hand_lane}() returns int4 language plpgsql set search_path = pg_catalog as $$
    declare
      found_lane int4; found_resource int4;
    begin
      select id into found_lane from ${t.lane} where producer = ${nobody} and signal = 'spans';
      if found_lane is not null then return found_lane; end if;
      insert into ${t.resource} (hash, service, version, instance, env) values (${nobody}, '', '', 'by hand', '') on conflict (hash) do nothing;
      select id into strict found_resource from ${t.resource} where hash = ${nobody};
      insert into ${t.lane} (producer, signal, epoch, resource) values (${nobody}, 'spans', 0, found_resource) on conflict (producer, signal) do nothing;
      select id into strict found_lane from ${t.lane} where producer = ${nobody} and signal = 'spans';
      return found_lane;
    end $$`,
  `create function ${t.write_span}() returns trigger language plpgsql set search_path = pg_catalog as $$
    declare
      trace uuid := ${t.trace_id_of}(new.trace_id);
      span int8 := ${t.span_id_of}('span_id', new.span_id);
      parent int8 := 0;
      kind_code int4 := array_position(array['INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'], upper(new.kind)) - 1;
      status_code int2 := case upper(new.status) when 'OK' then 1 when 'ERROR' then 2 when 'UNSET' then 0 end;
      of_operation int4; operation_hash uuid; start_ns int8; duration_ns int8;
    begin
      if coalesce(new.parent_span_id, '') <> '' then parent := ${t.span_id_of}('parent_span_id', new.parent_span_id); end if;
      if coalesce(new.name, '') = '' then raise exception 'name is missing' using errcode = '22023'; end if;
      if coalesce(new.service_name, '') = '' then raise exception 'service_name is missing' using errcode = '22023'; end if;
      if kind_code is null then
        raise exception 'kind is %: use INTERNAL, SERVER, CLIENT, PRODUCER or CONSUMER', coalesce(quote_literal(new.kind), 'missing') using errcode = '22023';
      end if;
      if status_code is null then
        raise exception 'status is %: use OK or ERROR', coalesce(quote_literal(new.status), 'missing') using errcode = '22023';
      end if;
      if new.start_time is null or not abs(new.start_time) <= 9e9 then
        raise exception 'start_time must be seconds since the epoch' using errcode = '22023';
      end if;
      new.end_time := coalesce(new.end_time, new.start_time + coalesce(new.duration, 0));
      if not abs(new.end_time) <= 9e9 or not abs(coalesce(new.duration, 0)) <= 9e9 then
        raise exception 'end_time and duration must be seconds' using errcode = '22023';
      end if;
      if jsonb_typeof(coalesce(new.attributes, '{}')) <> 'object' then
        raise exception 'attributes must be an object' using errcode = '22023';
      end if;
      start_ns := round(new.start_time * 1e6)::int8 * 1000;
      duration_ns := coalesce(round(new.duration * 1e9)::int8, round(new.end_time * 1e6)::int8 * 1000 - start_ns);
      new.timestamp := coalesce(new.timestamp, now());
      perform ${t.make_room}(new.timestamp);

      operation_hash := encode(substr(sha256(convert_to(
        '["operation",' || to_json(new.service_name::text) || ',' || to_json(new.name::text) || ',' || kind_code || ']', 'UTF8')), 1, 16), 'hex')::uuid;
      select id into of_operation from ${t.operation} where hash = operation_hash;
      if of_operation is null then
        insert into ${t.operation} (hash, service, name, kind) values (operation_hash, new.service_name, new.name, kind_code) on conflict (hash) do nothing;
        select id into strict of_operation from ${t.operation} where hash = operation_hash;
      end if;
      insert into ${t.trace_part} (ts, seq, start_ns, end_ns, trace_id, lane, root_operation, span_count, error_count, root, span_ids, parent_ids,
        operations, starts, durations, statuses, messages, attributes)
      values (new.timestamp, 0, start_ns, start_ns + duration_ns, trace, ${t.hand_lane}(), of_operation, 1, (status_code = 2)::int4, parent = 0, array[span],
        array[parent], array[of_operation], array[0::int8], array[duration_ns], array[status_code],
        case when new.status_message is not null then array[new.status_message] end, array[coalesce(new.attributes, '{}')])
      returning id * 1024 into new.id;
      return new;
    end $$`,
  `create trigger obs_write instead of insert on ${t.view.spans} for each row execute function ${t.write_span}()`,
  // An event belongs to a span that is there; spans that were packed take no more events.
  `create function ${t.write_event}() returns trigger language plpgsql set search_path = pg_catalog as $$
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
      select p.ts, p.id, p.start_ns, p.starts, p.span_ids, p.events into found
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
    end $$`,
  `create trigger obs_write instead of insert on ${t.view.events} for each row execute function ${t.write_event}()`
]

const nobody = "'00000000-0000-0000-0000-000000000000'::uuid"

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
