import { type ErrorData, Exporter, type LogData } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { clean, encodeEntries } from "./internal/json.ts"
import { fence, type Lane } from "./internal/Lane.ts"
import { sqlNames } from "./internal/names.ts"
import { float8s, int2s, int4s, int8s, texts, uuids } from "./internal/parameters.ts"
import { dayOf } from "./internal/partitions.ts"
import type { Names } from "./PostgresConfig.ts"

export interface ErrorsOptions {
  readonly names: Names
  readonly lane: Lane
  readonly retentionDays: () => number
}

/** Stores errors: a row each, one statement per batch, with the number that makes it count once. */
export const make = (options: ErrorsOptions): Exporter.Exporter<ErrorData> => {
  const t = sqlNames(options.names)
  const sql = `${fence(t)}
, stored as (
  insert into ${t.error_event} (ts, seq, lane, time_ns, error_id, fingerprint, kind, class, level, type, message, repeats, handled, trace_id, span_id,
    request_id, user_id, tenant_id, module, document)
  select to_timestamp(u.ts), $2::int8, lane.id, u.time_ns, u.error_id, u.fingerprint, u.kind, u.class, u.level, u.type, u.message, u.repeats, u.handled = 1,
    u.trace_id, u.span_id, u.request_id, u.user_id, u.tenant_id, u.module, u.document::jsonb
  from lane, unnest($4::float8[], $5::int8[], $6::uuid[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::int4[], $14::int2[],
    $15::text[], $16::text[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[])
    as u(ts, time_ns, error_id, fingerprint, kind, class, level, type, message, repeats, handled, trace_id, span_id, request_id, user_id, tenant_id, module, document)
)
select id from lane`
  return {
    export: (batch, attempt) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.as(
          options.lane.send(attempt, () =>
            Effect.sync(() => {
              const ts = Float64Array.from(batch, (error) => clamp(Number(error.time / 1_000n) / 1e6, now / 1e3, options.retentionDays()))
              return {
                sql,
                parameters: parameters(ts, batch),
                partitions: () => new Map([["error_event", new Set(Array.from(ts, (seconds) => dayOf(seconds * 1_000)))]] as const)
              }
            })),
          Exporter.complete
        )),
    giveUp: options.lane.giveUp
  }
}

const day = 86_400

/** The time that decides a row's partition, in seconds: of a day that is kept, whatever a wrong clock says. The exact one is beside it. */
const clamp = (seconds: number, now: number, retentionDays: number): number =>
  Math.min(Math.max(seconds, now - Math.max(0, retentionDays - 1) * day), now + day)

const maxName = 255
const maxMessage = 16_384

const parameters = (ts: Float64Array, batch: ReadonlyArray<ErrorData>): ReadonlyArray<unknown> => {
  const column = (of: (error: ErrorData) => string) => texts(batch.map((error) => clean(of(error), maxName)))
  const optional = (of: (error: ErrorData) => string | undefined) =>
    texts(batch.map((error) => {
      const value = of(error)
      return value === undefined ? null : clean(value, maxName)
    }))
  return [
    float8s(ts),
    int8s(BigInt64Array.from(batch, (error) => error.time)),
    uuids(batch.map((error) => error.errorId)),
    column((error) => error.fingerprint),
    column((error) => error.kind),
    column((error) => error.errorClass),
    column((error) => error.level),
    column((error) => error.errorType),
    texts(batch.map((error) => clean(error.message, maxMessage))),
    int4s(Int32Array.from(batch, (error) => error.repeats ?? 0)),
    int2s(Int16Array.from(batch, (error) => (error.handled ? 1 : 0))),
    optional((error) => error.traceId),
    optional((error) => error.spanId),
    optional((error) => error.requestId),
    optional((error) => error.userId),
    optional((error) => error.tenantId),
    optional((error) => error.module),
    texts(batch.map(document))
  ]
}

/** What is not searched by. */
const document = (error: ErrorData): string =>
  encodeEntries([
    ["stack", error.stack],
    ["causes", error.causes.map(({ message, parent, stack, type }) => ({ type, message, stack, parent }))],
    ["spans", error.spanNames],
    ["sampled", error.sampled],
    ["alert", error.alert],
    ["attributes", Object.fromEntries(error.attributes)],
    ["breadcrumbs", error.breadcrumbs.map(crumb)]
  ])

const crumb = (line: LogData) => ({
  ...line,
  time: String(line.time),
  attributes: Object.fromEntries(line.attributes)
})
