import { type HistoryError, type SpanData, type StoredSpan, TraceQuestions, type TraceHistory, type TraceSummary } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { valueOf } from "../internal/attributeText.ts"
import { Parameters, type Row, type Source } from "./ask.ts"
import { carries, failed, moment, passing } from "./spanSql.ts"

const nanosOf = (column: string): string => `toString(toUnixTimestamp64Nano(${column}))`

// -------------------------------------------------------------------------------------------------------------------- one trace

export const getTrace = ({ ask, t }: Source): TraceHistory["Service"]["getTrace"] => (traceId) =>
  Effect.gen(function*() {
    const id = yield* TraceQuestions.traceId(traceId)
    const parameters = new Parameters()
    const trace = parameters.text(id)
    // Only the days the trace lies in are opened. Its times are kept in whole seconds.
    const times = `FROM ${t.traceTimes} WHERE TraceId = ${trace}`
    const rows = yield* ask(
      `SELECT SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName, ${nanosOf("Timestamp")}, toString(Duration), StatusCode, StatusMessage,
        SpanAttributes, SpanAttributeTypes, arrayMap(x -> ${nanosOf("x")}, Events.Timestamp), Events.Name, Events.Attributes, EventAttributeTypes,
        Links.TraceId, Links.SpanId, Links.Attributes, LinkAttributeTypes, Weight, DroppedAttributes, DroppedEvents, DroppedLinks
      FROM ${t.traces} WHERE TraceId = ${trace}
        AND Timestamp >= (SELECT toDateTime64(min(Start), 9) ${times}) AND Timestamp < (SELECT toDateTime64(max(End), 9) + toIntervalSecond(1) ${times})
      ORDER BY Timestamp`,
      parameters
    )
    return rows.length === 0 ? undefined : { traceId: id, spans: rows.map((row) => spanOf(id, row)) }
  })

type Texts = Readonly<Record<string, string>>

const spanOf = (traceId: string, row: Row): StoredSpan => {
  const [
    spanId, parent, traceState, name, kind, serviceName, start, duration, status, message, attributes, types, eventTimes, eventNames, eventAttributes, eventTypes,
    linkTraces, linkSpans, linkAttributes, linkTypes, weight, droppedAttributes, droppedEvents, droppedLinks
  ] = row
  const startTime = BigInt(start as string)
  const isError = failedWords.has(status as string)
  return {
    traceId,
    spanId: spanId as string,
    parentSpanId: parent === "" ? undefined : parent as string,
    name: name as string,
    kind: kindOf(kind as string),
    serviceName: serviceName as string,
    startTime,
    endTime: startTime + BigInt(duration as string),
    status: isError ? "error" : status === "Ok" || status === "STATUS_CODE_OK" ? "ok" : "unset",
    statusMessage: isError && message !== "" ? message as string : undefined,
    attributes: new Map(valuesOf(attributes as Texts, types as Texts)),
    events: (eventNames as ReadonlyArray<string>).map((event, i) => ({
      name: event,
      time: BigInt((eventTimes as ReadonlyArray<string>)[i]!),
      attributes: recordOf((eventAttributes as ReadonlyArray<Texts>)[i]!, (eventTypes as ReadonlyArray<Texts>)[i])
    })),
    links: (linkSpans as ReadonlyArray<string>).map((link, i) => ({
      traceId: (linkTraces as ReadonlyArray<string>)[i]!,
      spanId: link,
      attributes: recordOf((linkAttributes as ReadonlyArray<Texts>)[i]!, (linkTypes as ReadonlyArray<Texts>)[i])
    })),
    droppedAttributes: Number(droppedAttributes),
    droppedEvents: Number(droppedEvents),
    droppedLinks: Number(droppedLinks),
    weight: Number(weight),
    traceState: traceState as string
  }
}

const failedWords: ReadonlySet<string> = new Set(["Error", "STATUS_CODE_ERROR"])

const valuesOf = (texts: Texts, types: Texts | undefined): ReadonlyArray<readonly [string, unknown]> =>
  Object.entries(texts).map(([key, text]) => [key, valueOf(text, types !== undefined && Object.hasOwn(types, key) ? types[key] : undefined)])

const recordOf = (texts: Texts, types: Texts | undefined): Readonly<Record<string, unknown>> => Object.fromEntries(valuesOf(texts, types))

/** Whatever the writer's way to spell it. */
export const kindOf = (text: string): SpanData["kind"] => {
  const kind = text.replace(/^SPAN_KIND_/, "").toLowerCase()
  return kind === "server" || kind === "client" || kind === "producer" || kind === "consumer" ? kind : "internal"
}

// -------------------------------------------------------------------------------------------------------------------- summaries

/** Name and service are the root's, or of the earliest span. */
const summary = `TraceId, argMin(tuple(SpanName, ServiceName), tuple(ParentSpanId != '', Timestamp)), ${nanosOf("min(Timestamp)")}, ` +
  `toString(max(toUnixTimestamp64Nano(Timestamp) + toInt64(Duration))), toFloat64(count()), toFloat64(countIf(${failed}))`

export const summaries = ({ ask, t }: Source, ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<TraceSummary>, HistoryError> => {
  if (ids.length === 0) return Effect.succeed([])
  const parameters = new Parameters()
  const wanted = parameters.texts(ids)
  const times = `FROM ${t.traceTimes} WHERE has(${wanted}, TraceId)`
  return Effect.map(
    ask(
      `SELECT ${summary} FROM ${t.traces} WHERE has(${wanted}, TraceId)
        AND Timestamp >= (SELECT toDateTime64(min(Start), 9) ${times}) AND Timestamp < (SELECT toDateTime64(max(End), 9) + toIntervalSecond(1) ${times})
      GROUP BY TraceId`,
      parameters
    ),
    (rows) => {
      const found = new Map(rows.map((row) => [row[0] as string, summaryOf(row)]))
      return ids.flatMap((id) => found.get(id) ?? [])
    }
  )
}

const summaryOf = ([traceId, root, start, end, spans, errors]: Row): TraceSummary => {
  const [name, serviceName] = root as readonly [string, string]
  const startTime = BigInt(start as string)
  return {
    traceId: traceId as string,
    name,
    serviceName,
    startTime,
    duration: BigInt(end as string) - startTime,
    spanCount: Number(spans),
    errorCount: Number(errors),
    status: Number(errors) > 0 ? "ERROR" : "OK"
  }
}

// ---------------------------------------------------------------------------------------------------------------------- searches

export const searchTraces = (source: Source): TraceHistory["Service"]["searchTraces"] => (query = {}) =>
  Effect.gen(function*() {
    const { after, filter, limit, order } = yield* TraceQuestions.search(query)
    const parameters = new Parameters()
    const key = order === "slowest" ? "max(toInt64(Duration))" : order === "oldest" ? "min(toUnixTimestamp64Nano(Timestamp))" : "max(toUnixTimestamp64Nano(Timestamp))"
    const way = order === "oldest" ? "ASC" : "DESC"
    const where = passing(parameters, filter)
    let having = ""
    if (after !== undefined) {
      const before = parameters.nanos(after.key)
      having = ` HAVING k ${order === "oldest" ? ">" : "<"} ${before} OR (k = ${before} AND TraceId > ${parameters.text(after.traceId)})`
    }
    const rows = yield* source.ask(
      `SELECT TraceId, toString(k) FROM (SELECT TraceId, ${key} AS k FROM ${source.t.traces} WHERE ${where} GROUP BY TraceId${having}
        ORDER BY k ${way}, TraceId LIMIT ${parameters.add(limit + 1, "UInt32")})`,
      parameters
    )
    const page = rows.slice(0, limit)
    const last = page.at(-1)
    return {
      traces: yield* summaries(source, page.map((row) => row[0] as string)),
      cursor: last === undefined || rows.length <= limit ? undefined : TraceQuestions.cursor(order, BigInt(last[1] as string), last[0] as string)
    }
  })

/** How far back is looked for enough traces: an hour, a day, then everything. Milliseconds. */
const stretches: ReadonlyArray<number> = [3_600_000, 86_400_000, Infinity]
/** More than are asked for, since some of them may have begun before the stretch. */
const spare = 200

export const getRecentTraces = (source: Source): TraceHistory["Service"]["getRecentTraces"] => (query = {}) =>
  Effect.gen(function*() {
    const { serviceName, status } = query
    if (status !== undefined && status !== "OK" && status !== "ERROR") return yield* TraceQuestions.invalid("status", "must be \"OK\" or \"ERROR\"")
    const limit = TraceQuestions.clamped(query.limit, 1, 1_000, 20)
    const now = yield* Clock.currentTimeMillis
    for (const stretch of stretches) {
      const parameters = new Parameters()
      const from = stretch === Infinity ? 0n : BigInt(Math.floor(now - stretch)) * 1_000_000n
      const having = [
        ...(serviceName === undefined ? [] : [`countIf(ServiceName = ${parameters.text(String(serviceName))}) > 0`]),
        ...(status === undefined ? [] : [`countIf(${failed}) ${status === "ERROR" ? "> 0" : "= 0"}`])
      ]
      const rows = yield* source.ask(
        `SELECT TraceId FROM ${source.t.traces} WHERE Timestamp >= ${moment(parameters, from)} GROUP BY TraceId${having.length === 0 ? "" : ` HAVING ${having.join(" AND ")}`}
          ORDER BY min(Timestamp) DESC LIMIT ${parameters.add(limit + spare, "UInt32")}`,
        parameters
      )
      // Of a trace that began before the stretch only a part was seen: it belongs behind all that began in it.
      const found = (yield* summaries(source, rows.map((row) => row[0] as string)))
        .filter(({ startTime }) => startTime >= from)
        .toSorted((a, b) => (b.startTime > a.startTime ? 1 : b.startTime < a.startTime ? -1 : 0))
      if (found.length >= limit || stretch === Infinity) return found.slice(0, limit)
    }
    return []
  })

// --------------------------------------------------------------------------------------------------------------------- deletion

/** Ids in one statement: they travel in its address, which servers keep below a megabyte. */
const tracesAtOnce = 500

export const deleteTraces = ({ ask, change, local, on, t }: Source): TraceHistory["Service"]["deleteTraces"] => (what) =>
  Effect.gen(function*() {
    const deletion = yield* TraceQuestions.deletion(what)
    const condition = (parameters: Parameters): string => {
      switch (deletion._tag) {
        case "Trace":
          return `TraceId = ${parameters.text(deletion.traceId)}`
        case "Attribute":
          return carries(parameters, deletion.key, deletion.value)
        case "Service":
          return [
            `ServiceName = ${parameters.text(deletion.serviceName)}`,
            ...(deletion.instance === undefined ? [] : [`ResourceAttributes['service.instance.id'] = ${parameters.text(deletion.instance)}`]),
            ...(deletion.env === undefined ? [] : [`ResourceAttributes['deployment.environment.name'] = ${parameters.text(deletion.env)}`])
          ].join(" AND ")
      }
    }
    // An attribute condemns the whole trace, whichever of its spans carries it. The traces are named before any of them goes: a statement that
    // deletes works part by part, and what it has deleted in one would no longer condemn the rest in another.
    if (deletion._tag === "Attribute") {
      const deleted = { spans: 0, traces: 0 }
      for (let last = "";;) {
        const looking = new Parameters()
        const ids = (yield* ask(
          `SELECT DISTINCT TraceId FROM ${t.traces} WHERE ${condition(looking)} AND TraceId > ${looking.text(last)} ORDER BY TraceId LIMIT ${tracesAtOnce}`,
          looking
        )).map((row) => row[0] as string)
        if (ids.length === 0) return deleted
        last = ids.at(-1)!
        const counting = new Parameters()
        const [row] = yield* ask(`SELECT toFloat64(count()) FROM ${t.traces} WHERE TraceId IN ${counting.texts(ids)}`, counting)
        for (const table of [local.traces, local.traceTimes]) {
          const going = new Parameters()
          yield* change(`DELETE FROM ${table}${on} WHERE TraceId IN ${going.texts(ids)}`, going)
        }
        deleted.spans += Number(row?.[0] ?? 0)
        deleted.traces += ids.length
      }
    }
    const counting = new Parameters()
    const [row] = yield* ask(`SELECT toFloat64(count()), toFloat64(uniqExact(TraceId)) FROM ${t.traces} WHERE ${condition(counting)}`, counting)
    const deleted = { spans: Number(row?.[0] ?? 0), traces: Number(row?.[1] ?? 0) }
    if (deleted.spans === 0) return deleted
    const spans = new Parameters()
    yield* change(`DELETE FROM ${local.traces}${on} WHERE ${condition(spans)}`, spans)
    // Of a service only: its traces may go on elsewhere, and where they lie in time stays true enough.
    if (deletion._tag === "Trace") {
      const times = new Parameters()
      yield* change(`DELETE FROM ${local.traceTimes}${on} WHERE ${condition(times)}`, times)
    }
    return deleted
  })
