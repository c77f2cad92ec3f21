import { type AlertEvent, Exporter } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { clean, encodeEntries } from "./internal/json.ts"
import { fence, type Lane } from "./internal/Lane.ts"
import { sqlNames } from "./internal/names.ts"
import { float8s, int8s, texts, uuids } from "./internal/parameters.ts"
import { dayOf } from "./internal/partitions.ts"
import type { Names } from "./PostgresConfig.ts"

export interface AlertsOptions {
  readonly names: Names
  readonly lane: Lane
  readonly retentionDays: () => number
}

/** Stores when alerts began and ended: a row each, one statement per batch, with the number that makes it count once. */
export const make = (options: AlertsOptions): Exporter.Exporter<AlertEvent> => {
  const t = sqlNames(options.names)
  const sql = `${fence(t)}
, stored as (
  insert into ${t.alert_event} (ts, seq, lane, time_ms, event_id, state, fingerprint, alertname, severity, value, started_ms, summary, description, labels)
  select to_timestamp(u.ts), $2::int8, lane.id, u.time_ms, u.event_id, u.state, u.fingerprint, u.alertname, u.severity, nullif(u.value, 'NaN'), u.started_ms,
    u.summary, u.description, u.labels::jsonb
  from lane, unnest($4::float8[], $5::int8[], $6::uuid[], $7::text[], $8::text[], $9::text[], $10::text[], $11::float8[], $12::int8[], $13::text[], $14::text[],
    $15::text[]) as u(ts, time_ms, event_id, state, fingerprint, alertname, severity, value, started_ms, summary, description, labels)
)
select id from lane`
  return {
    export: (batch, attempt) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.as(
          options.lane.send(attempt, () =>
            Effect.sync(() => {
              const oldest = now - Math.max(0, options.retentionDays() - 1) * day
              const ts = Float64Array.from(batch, ({ time }) => Math.min(Math.max(time, oldest), now + day) / 1e3)
              return {
                sql,
                parameters: parameters(ts, batch),
                partitions: () => new Map([["alert_event", new Set(Array.from(ts, (seconds) => dayOf(seconds * 1_000)))]] as const)
              }
            })),
          Exporter.complete
        )),
    giveUp: options.lane.giveUp
  }
}

const day = 86_400_000
const maxText = 4_096

const parameters = (ts: Float64Array, batch: ReadonlyArray<AlertEvent>): ReadonlyArray<unknown> => {
  const column = (of: (event: AlertEvent) => string) => texts(batch.map((event) => clean(of(event), 255)))
  const millis = (of: (event: AlertEvent) => number) => int8s(BigInt64Array.from(batch, (event) => BigInt(Math.round(of(event)))))
  return [
    float8s(ts),
    millis((event) => event.time),
    uuids(batch.map((event) => event.eventId)),
    column((event) => event.state),
    column((event) => event.fingerprint),
    column((event) => event.alertname),
    column((event) => event.severity),
    float8s(Float64Array.from(batch, (event) => event.value ?? NaN)),
    millis((event) => event.startedAt),
    texts(batch.map((event) => clean(event.summary, maxText))),
    texts(batch.map((event) => event.description === undefined ? null : clean(event.description, maxText))),
    texts(batch.map((event) => encodeEntries(Object.entries(event.labels))))
  ]
}
