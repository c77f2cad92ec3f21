import { type ErrorCause, type ErrorGroup, type ErrorHistory, ErrorQuestions, type LogData, type StoredError } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import { type Sql, sqlNames } from "../internal/names.ts"
import { int4, int8, text, timestamptz } from "../internal/parameters.ts"
import type { Row } from "../internal/session.ts"
import { asking, type HistoryOptions } from "./ask.ts"
import { Parameters } from "./parameters.ts"
import { isOf } from "./resources.ts"

/** Answers from `obs_error_event`. */
export const errors = (options: HistoryOptions): ErrorHistory["Service"] => {
  const t = sqlNames(options.names)
  const ask = asking(options)
  return {
    getError: (id) =>
      Effect.flatMap(ErrorQuestions.errorId(id), (errorId) =>
        Effect.map(ask(`select ${columns} ${from(t)} where e.error_id = $1::uuid order by e.ts limit 1`, [text(errorId)]), ([row]) =>
          row === undefined ? undefined : errorOf(row))),
    searchErrors: (query) =>
      Effect.flatMap(ErrorQuestions.question(query), (filter) => {
        const { limit } = filter
        const { parameters, where } = conditions(filter)
        return Effect.map(
          ask(
            `select ${columns} ${from(t)} where ${where} order by e.time_ns desc, e.error_id desc limit $${parameters.length + 1}::int4`,
            [...parameters, int4(limit + 1)]
          ),
          (rows) => {
            const found = rows.slice(0, limit).map(errorOf)
            return { errors: found, cursor: rows.length > limit ? ErrorQuestions.cursorOf(found.at(-1)!) : undefined }
          }
        )
      }),
    errorGroups: (query) =>
      Effect.flatMap(ErrorQuestions.question(query), (filter) => {
        const { parameters, where } = conditions({ ...filter, before: undefined })
        const last = (column: string) => `(array_agg(${column} order by e.time_ns desc, e.error_id desc))[1]`
        return Effect.map(
          ask(
            `select e.fingerprint, r.service, ${last("e.type")} as type, ${last("e.message")} as message, ${last("e.kind")} as kind, ${last("e.class")} as class,
                ${last("e.level")} as level, replace(${last("e.error_id")}::text, '-', '') as error_id,
                min(e.time_ns) as first_ns, max(e.time_ns) as last_ns, sum(1 + e.repeats)::int8 as count
              ${from(t)} where ${where} group by e.fingerprint, r.service order by last_ns desc, e.fingerprint limit $${parameters.length + 1}::int4`,
            [...parameters, int4(filter.limit)]
          ),
          (rows) => rows.map(groupOf)
        )
      })
  }
}

const from = (t: Sql): string => `from ${t.error_event} e join ${t.lane} l on l.id = e.lane join ${t.resource} r on r.id = l.resource`

const columns = `replace(e.error_id::text, '-', '') as error_id, e.time_ns, e.fingerprint, e.kind, e.class, e.level, e.type, e.message, e.repeats, e.handled,
  e.trace_id, e.span_id, e.request_id, e.user_id, e.tenant_id, e.module, e.document::text as document, r.service`

/** Bound parameters only. The day bounds keep partitions out that hold nothing of the range. */
const conditions = (filter: ErrorQuestions.ErrorFilter): { readonly where: string; readonly parameters: ReadonlyArray<unknown> } => {
  const written = new Parameters()
  const parameters = written.values
  const bound = (value: unknown): string => {
    parameters.push(value)
    return `$${parameters.length}`
  }
  const all = [
    `e.time_ns >= ${bound(int8(filter.from))}::int8`,
    `e.time_ns < ${bound(int8(filter.to))}::int8`
  ]
  // A row of a wrong clock lies on another day than its time says: only recent or whole ranges may leave days out, by one to spare.
  const day = 86_400_000
  const fromDay = Number(filter.from / 1_000_000n) - day
  if (fromDay > 0) all.push(`e.ts >= ${bound(timestamptz(new Date(fromDay)))}::timestamptz`)
  const equal: ReadonlyArray<readonly [string, string | undefined]> = [
    ["r.service", filter.serviceName], ["e.fingerprint", filter.fingerprint], ["e.type", filter.errorType], ["e.class", filter.errorClass],
    ["e.kind", filter.kind], ["e.level", filter.level], ["e.trace_id", filter.traceId], ["e.request_id", filter.requestId]
  ]
  for (const [column, value] of equal) if (value !== undefined) all.push(`${column} = ${bound(text(value.replaceAll("\0", "\ufffd").toWellFormed()))}::text`)
  if (filter.text !== undefined) {
    const sought = bound(text(filter.text.replaceAll("\0", "\ufffd").toWellFormed()))
    all.push(`(strpos(lower(e.message collate "C"), ${sought}::text) > 0 or strpos(lower(e.type collate "C"), ${sought}::text) > 0)`)
  }
  all.push(...isOf(written, filter.resource))
  if (filter.before !== undefined) {
    all.push(`(e.time_ns, e.error_id) < (${bound(int8(filter.before.time))}::int8, ${bound(text(filter.before.errorId))}::uuid)`)
  }
  return { where: all.join(" and "), parameters }
}

interface Document {
  readonly stack?: string
  readonly causes: ReadonlyArray<Partial<ErrorCause>>
  readonly spans: ReadonlyArray<string>
  readonly sampled: boolean
  readonly alert?: boolean
  readonly attributes: Readonly<Record<string, unknown>>
  readonly breadcrumbs: ReadonlyArray<Omit<Partial<LogData>, "time" | "attributes"> & { readonly time: string; readonly attributes: Readonly<Record<string, unknown>> }>
}

const errorOf = (row: Row): StoredError => {
  const document = JSON.parse(String(row["document"])) as Document
  const optional = (column: string): string | undefined => (row[column] as string | null) ?? undefined
  const repeats = row["repeats"] as number
  return {
    errorId: String(row["error_id"]),
    time: row["time_ns"] as bigint,
    kind: row["kind"] as StoredError["kind"],
    errorClass: row["class"] as StoredError["errorClass"],
    level: row["level"] as StoredError["level"],
    errorType: String(row["type"]),
    message: String(row["message"]),
    stack: document.stack,
    causes: document.causes.map(({ message = "", parent, stack, type = "" }) => ({ type, message, stack, parent })),
    fingerprint: String(row["fingerprint"]),
    spanNames: document.spans,
    traceId: optional("trace_id"),
    spanId: optional("span_id"),
    sampled: document.sampled,
    requestId: optional("request_id"),
    userId: optional("user_id"),
    tenantId: optional("tenant_id"),
    module: optional("module"),
    attributes: new Map(Object.entries(document.attributes)),
    handled: row["handled"] === true,
    breadcrumbs: document.breadcrumbs.map(lineOf),
    serviceName: String(row["service"]),
    ...(repeats === 0 ? {} : { repeats }),
    ...(document.alert === true ? { alert: true } : {})
  }
}

const lineOf = ({ attributes, time, ...line }: Document["breadcrumbs"][number]): LogData => ({
  time: BigInt(time),
  level: line.level ?? "info",
  message: line.message ?? "",
  attributes: new Map(Object.entries(attributes ?? {})),
  traceId: line.traceId,
  spanId: line.spanId,
  traceFlags: line.traceFlags ?? 0,
  requestId: line.requestId,
  userId: line.userId,
  tenantId: line.tenantId,
  module: line.module,
  errorId: line.errorId,
  logSpans: line.logSpans ?? [],
  cause: line.cause
})

const groupOf = (row: Row): ErrorGroup => ({
  fingerprint: String(row["fingerprint"]),
  errorType: String(row["type"]),
  message: String(row["message"]),
  kind: row["kind"] as ErrorGroup["kind"],
  errorClass: row["class"] as ErrorGroup["errorClass"],
  level: row["level"] as ErrorGroup["level"],
  serviceName: String(row["service"]),
  firstSeen: Number((row["first_ns"] as bigint) / 1_000_000n),
  lastSeen: Number((row["last_ns"] as bigint) / 1_000_000n),
  count: Number(row["count"]),
  lastErrorId: String(row["error_id"])
})
