import type { Sql } from "../internal/names.ts"

/**
 * Errors, a row each: they are few. What is searched and grouped by has columns, the rest is one document: causes with their stacks, names
 * of the spans around, attributes and breadcrumbs. `repeats` is how many more of the fingerprint a row stands for.
 */
export const name = "errors"

export const statements = (t: Sql): ReadonlyArray<string> => [
  `create table ${t.error_event} (
    ts timestamptz not null, seq int8 not null, lane int4 not null, time_ns int8 not null, error_id uuid not null,
    fingerprint text not null, kind text not null, class text not null, level text not null, type text not null, message text not null,
    repeats int4 not null, handled bool not null, trace_id text, span_id text,
    request_id text, user_id text, tenant_id text, module text, document jsonb not null) partition by range (ts)`,
  `create index on ${t.error_event} (fingerprint, ts)`,
  `create index on ${t.error_event} (error_id)`,
  `create index on ${t.error_event} (trace_id) where trace_id is not null`,
  `create view ${t.errors} as
    select e.error_id, e.ts as timestamp, e.fingerprint, e.kind, e.class, e.level, e.type, e.message, 1 + e.repeats as count, e.handled, e.trace_id, e.span_id,
      e.request_id, e.user_id, e.tenant_id, e.module, e.document -> 'attributes' as attributes, e.document ->> 'stack' as stack, e.document -> 'causes' as causes,
      r.service as service_name, r.instance, r.env
    from ${t.error_event} e join ${t.lane} l on l.id = e.lane join ${t.resource} r on r.id = l.resource`
]
