import type { TraceQuestions } from "@effect-observability/core"
import type { Parameters } from "./ask.ts"
import { isOf } from "./resources.ts"

const kinds = { internal: "Internal", server: "Server", client: "Client", producer: "Producer", consumer: "Consumer" } as const

/** Older collectors wrote the protocol's own words. */
export const failed = "StatusCode IN ('Error', 'STATUS_CODE_ERROR')"

/** What holds all time; a bound beyond it is no condition. */
const earliest = 0n
const latest = 9_223_372_036_000_000_000n

export const moment = (parameters: Parameters, nanos: bigint): string =>
  `fromUnixTimestamp64Nano(${parameters.nanos(nanos < earliest ? earliest : nanos > latest ? latest : nanos)})`

/** The conditions of a filter, for a row of the table of traces. */
export const passing = (parameters: Parameters, filter: TraceQuestions.Filter): string => {
  const out: Array<string> = []
  if (filter.from > earliest) out.push(`Timestamp >= ${moment(parameters, filter.from)}`)
  if (filter.to < latest) out.push(`Timestamp < ${moment(parameters, filter.to)}`)
  out.push(...isOf(parameters, filter.resource))
  if (filter.serviceName !== undefined) out.push(`ServiceName = ${parameters.text(filter.serviceName)}`)
  if (filter.operation !== undefined) out.push(`SpanName = ${parameters.text(filter.operation)}`)
  if (filter.kind !== undefined) out.push(`SpanKind IN (${parameters.text(kinds[filter.kind])}, ${parameters.text(`SPAN_KIND_${filter.kind.toUpperCase()}`)})`)
  if (filter.failed !== undefined) out.push(filter.failed ? failed : `NOT (${failed})`)
  if (filter.minDuration !== undefined) out.push(`Duration >= ${parameters.add(String(filter.minDuration), "UInt64")}`)
  if (filter.maxDuration !== undefined) out.push(`Duration <= ${parameters.add(String(filter.maxDuration), "UInt64")}`)
  for (const [key, value] of filter.attributes) out.push(carries(parameters, key, value))
  if (filter.text !== undefined) {
    const text = parameters.text(filter.text)
    const holds = (what: string) => `position(lower(${what}), ${text}) > 0`
    out.push(
      `(${holds("SpanName")} OR ${holds("StatusMessage")} OR arrayExists(x -> ${holds("x")}, mapKeys(SpanAttributes)) ` +
        `OR arrayExists(x -> ${holds("x")}, mapValues(SpanAttributes)))`
    )
  }
  return out.length === 0 ? "1" : out.join(" AND ")
}

/** The span carries the attribute; of a number, however it is written. */
export const carries = (parameters: Parameters, key: string, value: string): string => {
  const name = parameters.text(key)
  const number = /^-?[0-9]/.test(value) ? Number(value) : NaN
  const same = `SpanAttributes[${name}] = ${parameters.text(value)}`
  const either = Number.isFinite(number)
    ? `(${same} OR (SpanAttributeTypes[${name}] = 'number' AND toFloat64OrNull(SpanAttributes[${name}]) = ${parameters.add(String(number), "Float64")}))`
    : same
  return `mapContains(SpanAttributes, ${name}) AND ${either}`
}
