import { type Dependency, type Differences, type OperationSummary, TraceFigures, TraceQuestions, type TraceHistory } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import { Parameters, type Row, type Source } from "./ask.ts"
import { failed, moment, passing } from "./spanSql.ts"
import { kindOf } from "./traces.ts"

// Questions about many spans: the server counts per duration bucket, the arithmetic is `TraceFigures`.

const bucket = (parameters: Parameters, duration = "Duration"): string =>
  `if(${duration} <= 1, 0, toInt32(ceil(log(toFloat64(${duration})) * ${parameters.add(String(TraceFigures.bucketScale), "Float64")})))`

const sums = (of = ""): string =>
  `sum(${of}Weight) AS weight, sumIf(${of}Weight, ${of}${failed}) AS errors, sum(${of}Weight * toFloat64(${of}Duration)) AS total`

/** Several groups with their buckets: one row per group, an array per column. */
const byGroup = (keys: string, counted: string, order: string, limit: string): string =>
  `SELECT ${keys}, groupArray(bucket), groupArray(weight), groupArray(errors), groupArray(total) FROM (${counted}) GROUP BY ${keys} ORDER BY sum(${order}) DESC LIMIT ${limit}`

const groupOf = ([buckets, weights, errors, totals]: Row): ReadonlyArray<TraceFigures.Counted> =>
  (buckets as ReadonlyArray<number>).map((one, i) => ({
    bucket: one,
    count: (weights as ReadonlyArray<number>)[i]!,
    errorCount: (errors as ReadonlyArray<number>)[i]!,
    totalDuration: (totals as ReadonlyArray<number>)[i]!
  }))

export const operations = ({ ask, t }: Source): TraceHistory["Service"]["operations"] => (query = {}) =>
  Effect.gen(function*() {
    const filter = yield* TraceQuestions.filter(query, { open: false })
    const parameters = new Parameters()
    const counted = `SELECT ServiceName, SpanName, SpanKind, ${bucket(parameters)} AS bucket, ${sums()} FROM ${t.traces} WHERE ${passing(parameters, filter)}
      GROUP BY ServiceName, SpanName, SpanKind, bucket`
    const limit = parameters.add(TraceQuestions.clamped(query.limit, 1, 1_000, 100), "UInt32")
    const rows = yield* ask(byGroup("ServiceName, SpanName, SpanKind", counted, "total", limit), parameters)
    return rows.map(([service, name, kind, ...group]): OperationSummary => ({
      serviceName: service as string,
      name: name as string,
      kind: kindOf(kind as string),
      ...TraceFigures.figures(groupOf(group))
    }))
  })

/** How long before a call its caller may have begun. Nanoseconds. */
const day = 86_400_000_000_000n

export const dependencies = ({ ask, t }: Source): TraceHistory["Service"]["dependencies"] => (query = {}) =>
  Effect.gen(function*() {
    const filter = yield* TraceQuestions.filter(query, { open: false })
    const parameters = new Parameters()
    const calls = `SELECT TraceId, ParentSpanId, ServiceName, Duration, StatusCode, Weight FROM ${t.traces} WHERE ${passing(parameters, filter)} AND ParentSpanId != ''`
    const callers = `SELECT TraceId, SpanId, ServiceName FROM ${t.traces}
      WHERE Timestamp >= ${moment(parameters, filter.from - day)} AND Timestamp < ${moment(parameters, filter.to + day)}
        AND TraceId IN (SELECT TraceId FROM ${t.traces} WHERE ${passing(parameters, filter)} AND ParentSpanId != '')`
    const counted = `SELECT p.ServiceName AS caller, c.ServiceName AS callee, ${bucket(parameters, "c.Duration")} AS bucket, ${sums("c.")}
      FROM (${calls}) AS c INNER JOIN (${callers}) AS p ON p.TraceId = c.TraceId AND p.SpanId = c.ParentSpanId WHERE p.ServiceName != c.ServiceName
      GROUP BY caller, callee, bucket`
    const limit = parameters.add(TraceQuestions.clamped(query.limit, 1, 1_000, 100), "UInt32")
    const rows = yield* ask(byGroup("caller, callee", counted, "weight", limit), parameters)
    return rows.map(([caller, callee, ...group]): Dependency => ({
      caller: caller as string,
      callee: callee as string,
      ...TraceFigures.figures(groupOf(group))
    }))
  })

export const latency = ({ ask, t }: Source): TraceHistory["Service"]["latency"] => (query = {}) =>
  Effect.gen(function*() {
    const question = yield* TraceQuestions.latency(query)
    const parameters = new Parameters()
    const rows = yield* ask(
      `SELECT toUInt32(intDiv(toUnixTimestamp64Nano(Timestamp) - ${parameters.nanos(question.filter.from)}, ${parameters.nanos(question.step)})) AS step,
        ${bucket(parameters)} AS bucket, ${sums()} FROM ${t.traces} WHERE ${passing(parameters, question.filter)} GROUP BY step, bucket`,
      parameters
    )
    return TraceFigures.latencyOf(question, rows.map(([step, one, weight, errors, total]) => ({
      step: Number(step),
      bucket: Number(one),
      count: Number(weight),
      errorCount: Number(errors),
      totalDuration: Number(total)
    })))
  })

// ------------------------------------------------------------------------------------------------------------------- differences

/** Spans whose attributes are looked at; of more, a random part. */
const lookedAt = 200_000
/** So few selected spans in a sample are too few to rank by. */
const fewSelected = 100
/** Values returned to be ranked. */
const mostValues = 2_000

export const whatDiffers = ({ ask, t }: Source): TraceHistory["Service"]["whatDiffers"] => (query) =>
  Effect.gen(function*() {
    const question = yield* TraceQuestions.differs(query)
    const spans = (parameters: Parameters, share: number) => {
      const chosen = passing(parameters, question.selection)
      const among = passing(parameters, question.among)
      const part = share === 1 ? "" : ` AND cityHash64(TraceId, SpanId) % ${parameters.add(share, "UInt32")} = 0`
      return { chosen: `(${chosen})`, from: `FROM ${t.traces} WHERE ${among}${part}` }
    }
    const population = (parameters: Parameters, share: number) => {
      const { chosen, from } = spans(parameters, share)
      return Effect.map(
        ask(
          `SELECT toFloat64(countIf(chosen)), toFloat64(countIf(NOT chosen)), sumIf(Weight, chosen), sumIf(Weight, NOT chosen) FROM (SELECT ${chosen} AS chosen, Weight ${from})`,
          parameters
        ),
        ([row]) => ({ selected: Number(row?.[0] ?? 0), rest: Number(row?.[1] ?? 0), selectedWeight: Number(row?.[2] ?? 0), restWeight: Number(row?.[3] ?? 0) })
      )
    }
    const whole = yield* population(new Parameters(), 1)
    const all = whole.selected + whole.rest
    const answer = (differences: Differences["differences"], complete: boolean): Differences => ({
      selected: whole.selectedWeight, rest: whole.restWeight, complete, differences
    })
    if (whole.selected === 0 || whole.rest === 0) return answer([], true)
    const share = Math.max(1, Math.min(Math.floor(all / lookedAt), Math.floor(whole.selected / fewSelected)))
    const seen = share === 1 ? whole : yield* population(new Parameters(), share)
    const parameters = new Parameters()
    const { chosen, from } = spans(parameters, share)
    const rows = yield* ask(
      `SELECT key, value, toFloat64(s), toFloat64(r), sw, rw FROM (
        SELECT feature.1 AS key, feature.2 AS value, countIf(chosen) AS s, countIf(NOT chosen) AS r, sumIf(Weight, chosen) AS sw, sumIf(Weight, NOT chosen) AS rw
        FROM (
          SELECT ${chosen} AS chosen, Weight, arrayJoin(arrayConcat(
            arrayFilter(x -> SpanAttributeTypes[x.1] != 'json' AND NOT has(${parameters.texts([...question.ignore])}, x.1),
              arrayMap((k, v) -> tuple(toString(k), v), mapKeys(SpanAttributes), mapValues(SpanAttributes))),
            arrayFilter(x -> NOT has(${parameters.texts([...question.ignore])}, x.1), [tuple('service.name', toString(ServiceName)), tuple('span.name', toString(SpanName))])
          )) AS feature ${from})
        GROUP BY key, value)
      WHERE s >= ${TraceFigures.leastCarried} AND s * ${parameters.add(seen.rest, "Float64")} > r * ${parameters.add(seen.selected, "Float64")}
      ORDER BY s - r * ${parameters.add(String(seen.selected / Math.max(1, seen.rest)), "Float64")} DESC LIMIT ${mostValues}`,
      parameters
    )
    return answer(
      TraceFigures.rank(
        seen,
        rows.map(([key, value, selected, rest, selectedWeight, restWeight]) => ({
          key: key as string, value: value as string,
          selected: Number(selected), rest: Number(rest), selectedWeight: Number(selectedWeight), restWeight: Number(restWeight)
        })),
        question.limit
      ),
      share === 1
    )
  })
