import type { TraceQuestions } from "@effect-observability/core"
import { clean } from "../internal/json.ts"
import type { Sql } from "../internal/names.ts"
import { int4s, int8, text } from "../internal/parameters.ts"
import { attributeHash } from "../spans/attributeHash.ts"

/** Collects the parameters of a statement while it is written. */
export class Parameters {
  readonly values: Array<unknown> = []

  /** The place of a value, with its type. */
  add(value: unknown, type: string): string {
    this.values.push(value)
    return `$${this.values.length}::${type}`
  }

  text(value: string): string {
    return this.add(text(clean(value)), "text")
  }

  nanos(value: bigint): string {
    return this.add(int8(value), "int8")
  }
}

/** Keys with an index, and the chunk from which on they have it. */
export type Searchable = ReadonlyMap<string, bigint>

/**
 * The spans that pass, hot and packed: `columns` of `x`, which has the columns of `obs_hot_span`. A span begins in its part, so
 * a part that began after the range has none; one that began more than a day before it is not looked for.
 */
export const passing = (
  t: Sql,
  parameters: Parameters,
  filter: TraceQuestions.Filter,
  searchable: Searchable,
  columns: string,
  /** More that must hold, of either kind. */
  more: { readonly hot?: string; readonly cold?: string } = {}
): string => {
  const all = conditions(t, parameters, filter)
  const hot = [...all.either, ...all.hot, ...(more.hot === undefined ? [] : [more.hot])]
  const cold = [...all.either, ...all.cold, ...indexed(parameters, filter, searchable), ...(more.cold === undefined ? [] : [more.cold])]
  return `(select ${columns} from ${t.hot_span} x where ${hot.join(" and ")}
    union all select ${columns} from ${t.cold_span} x where ${cold.join(" and ")})`
}

/** The filter as one condition on `x`, for marking spans instead of choosing them. */
export const marking = (t: Sql, parameters: Parameters, filter: TraceQuestions.Filter): string => conditions(t, parameters, filter).either.join(" and ")

interface Conditions {
  readonly either: ReadonlyArray<string>
  /** What lets the server skip partitions and rows. */
  readonly hot: ReadonlyArray<string>
  readonly cold: ReadonlyArray<string>
}

const conditions = (t: Sql, parameters: Parameters, filter: TraceQuestions.Filter): Conditions => {
  const either: Array<string> = ["true"]
  const hot: Array<string> = []
  const cold: Array<string> = []
  if (filter.from > farBack) {
    const from = parameters.nanos(filter.from)
    either.push(`x.start_ns >= ${from}`)
    hot.push(`x.ts >= to_timestamp(${from} / 1e9::float8) - interval '1 day'`)
    const day = `to_timestamp(${from} / 1e9::float8) - interval '2 days'`
    cold.push(`x.most_ns >= ${from} and x.day >= ${day} and x.part_day >= ${day}`)
  }
  if (filter.to < farAhead) {
    const to = parameters.nanos(filter.to)
    either.push(`x.start_ns < ${to}`)
    hot.push(`x.ts <= to_timestamp(${to} / 1e9::float8)`)
    const day = `to_timestamp(${to} / 1e9::float8)`
    cold.push(`x.least_ns < ${to} and x.day <= ${day} and x.part_day <= ${day}`)
  }
  const operation = [
    ...(filter.serviceName === undefined ? [] : [`service = ${parameters.text(filter.serviceName)}`]),
    ...(filter.operation === undefined ? [] : [`name = ${parameters.text(filter.operation)}`]),
    ...(filter.kind === undefined ? [] : [`kind = ${parameters.add(kinds[filter.kind], "int4")}`])
  ]
  if (operation.length > 0) {
    const ids = `array(select id from ${t.operation} where ${operation.join(" and ")})`
    either.push(`x.operation = any (${ids})`)
    cold.push(`(x.packed_operation = any (${ids}) or x.packed_operations && ${ids})`)
  }
  if (filter.failed !== undefined) {
    either.push(`(x.status = 2) = ${filter.failed}`)
    if (filter.failed) cold.push("x.errors > 0")
  }
  if (filter.minDuration !== undefined) {
    const least = parameters.nanos(filter.minDuration)
    either.push(`x.duration >= ${least}`)
    cold.push(`x.longest >= ${least}`)
  }
  if (filter.maxDuration !== undefined) either.push(`x.duration <= ${parameters.nanos(filter.maxDuration)}`)
  for (const [key, value] of filter.attributes) either.push(`x.attributes ->> ${parameters.text(key)} = ${parameters.text(value)}`)
  if (filter.text !== undefined) {
    const part = parameters.text(filter.text)
    const has = (what: string) => `position(${part} in lower(${what} collate "C")) > 0`
    either.push(`(x.operation = any (array(select id from ${t.operation} where ${has("name")})) or ${has("x.message")}
      or exists (select from jsonb_each_text(x.attributes) as a(key, value) where ${has("a.key")} or ${has("a.value")}))`)
  }
  return { either, hot, cold }
}

const indexed = (parameters: Parameters, filter: TraceQuestions.Filter, searchable: Searchable): ReadonlyArray<string> =>
  filter.attributes.flatMap(([key, value]) => {
    const since = searchable.get(key)
    if (since === undefined) return []
    const hash = parameters.add(int4s(Int32Array.of(attributeHash(clean(key), clean(value)))), "int4[]")
    return [`(x.keys @> ${hash} or x.chunk < ${parameters.nanos(since)})`]
  })

const kinds = { internal: 0, server: 1, client: 2, producer: 3, consumer: 4 } as const

/** Bounds that nobody set: a condition less. */
const farBack = -9_000_000_000_000_000_000n
const farAhead = 9_000_000_000_000_000_000n
