import type { Sql } from "../internal/names.ts"

/**
 * When alerts began and ended, a row each; who watches for alerts together with whom (`alert_member`, gone when it has not been heard of), and
 * what the one who leads has announced.
 */
export const name = "alerts"

export const statements = (t: Sql): ReadonlyArray<string> => [
  `create table ${t.alert_event} (
    ts timestamptz not null, seq int8 not null, lane int4 not null, time_ms int8 not null, event_id uuid not null, state text not null,
    fingerprint text not null, alertname text not null, severity text not null, value float8, started_ms int8 not null,
    summary text not null, description text, labels jsonb not null) partition by range (ts)`,
  `create index on ${t.alert_event} (alertname, ts)`,
  `create index on ${t.alert_event} (fingerprint, ts)`,
  `create view ${t.alerts} as
    select e.event_id, e.ts as timestamp, e.state, e.alertname, e.severity, e.labels, e.value, to_timestamp(e.started_ms / 1e3) as started_at,
      e.summary, e.description, e.fingerprint, r.service as service_name, r.instance, r.env
    from ${t.alert_event} e join ${t.lane} l on l.id = e.lane join ${t.resource} r on r.id = l.resource`,
  `create table ${t.alert_member} (
    team text not null, producer uuid not null, seen_at timestamptz not null, news text not null, primary key (team, producer))`,
  `create table ${t.alert_leader} (team text primary key, producer uuid not null, announced text not null, at timestamptz not null)`
]
