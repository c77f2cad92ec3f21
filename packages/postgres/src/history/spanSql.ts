import type { TraceQuestions } from "@effect-observability/core"
import { clean } from "../internal/json.ts"
import type { Sql } from "../internal/names.ts"
import { int4s } from "../internal/parameters.ts"
import { attributeHash, isNumber } from "../spans/attributeHash.ts"
import type { Parameters } from "./parameters.ts"
import { laneOf } from "./resources.ts"

/** Keys with an index, and the chunk from which on they have it; 0 when no row is older. */
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
  const cold = [...all.either, ...all.cold, ...(more.cold === undefined ? [] : [more.cold])]
  const branches = [`select ${columns} from ${t.hot_span} x where ${hot.join(" and ")}`]
  const [first] = filter.attributes.filter(([key]) => searchable.has(key))
  if (first === undefined) branches.push(`select ${columns} from ${t.cold_span} x where ${cold.join(" and ")}`)
  else {
    const chunk = filter.attributes.map(([key]) => searchable.get(key) ?? 0n).reduce((a, b) => (b > a ? b : a))
    const since = chunk === 0n ? undefined : parameters.nanos(chunk)
    branches.push(`select ${columns} from ${found(t, parameters, first, filter, searchable, since)} x where ${cold.join(" and ")}`)
    // Packed before all of these keys had an index.
    if (since !== undefined) branches.push(`select ${columns} from ${t.cold_span} x where x.chunk < ${since} and x.part_chunk < ${since} and ${cold.join(" and ")}`)
  }
  return `(${branches.join(" union all ")})`
}

/**
 * Packed spans that carry an attribute with an index, one by one: rows are found by the index, spans in them by the one column
 * that matters, and only those are taken out. Columns as `obs_cold_span` has them, as far as questions need them.
 */
const found = (
  t: Sql,
  parameters: Parameters,
  [key, value]: TraceQuestions.Filter["attributes"][number],
  filter: TraceQuestions.Filter,
  searchable: Searchable,
  since: string | undefined
): string => {
  const name = `to_json(${parameters.text(key)})::text`
  const wanted = parameters.text(value)
  const keys = filter.attributes.filter(([key]) => searchable.has(key)).map(([key, value]) => attributeHash(clean(key), clean(value)))
  return `(
    select p.trace_ids[s.parts[i] - p.first + 1] as trace_id, p.lanes[s.parts[i] - p.first + 1] as lane, p.base_ns + p.starts[s.parts[i] - p.first + 1] + coalesce(s.s8[i], s.s4[i]) * s.unit as start_ns,
      coalesce(s.d8[i], s.d4[i]) * s.unit as duration, coalesce(s.statuses[i], 0::int2) as status, coalesce(s.operations[i], s.operation) as operation,
      coalesce(s.weights[i], 1) as weight, ${t.entry}(s.messages, i)::jsonb #>> '{}' as message,
      (${attributesAt(t)})::jsonb as attributes, s.parents[i] < 0 as stranger,
      s.ts as day, s.ts as part_day, s.least_ns, s.most_ns, s.longest, s.errors, s.operation as packed_operation, s.operations as packed_operations
    from ${t.span_pack} s
    cross join lateral (
      select v.i::int4 from unnest(${t.column}(s.cols[array_position(s.names, ${name})])) with ordinality as v(value, i)
        where v.value = ${wanted} or v.value = to_json(${wanted})::text${
    isNumber(value) ? ` or case when v.value ~ '^[-0-9]' then v.value::jsonb = ${wanted}::jsonb else false end` : ""
  }
      union all
      select generate_series(1, s.n) where array_position(s.names, ${name}) is null) v
    join ${t.trace_pack} p on p.chunk = s.chunk and p.ts = s.ts and s.parts[i] >= p.first and s.parts[i] < p.first + cardinality(p.ids)
    where s.keys @> ${parameters.add(int4s(Int32Array.from(keys)), "int4[]")}${since === undefined ? "" : ` and s.chunk >= ${since}`}
  )`
}

/** The attributes of entry `i` of a packed row `s`, as JSON text, without unpacking those of the others. */
const attributesAt = (t: Sql): string =>
  `'{' || concat_ws(',', nullif(s.fixed, ''), (
    select string_agg(case when c.name = '' then v.value else c.name || ':' || v.value end, ',')
    from unnest(s.names, s.cols) as c(name, packed) cross join lateral (select ${t.entry}(c.packed, i) as value offset 0) v
    where v.value is not null)) || '}'`

/** The filter as one condition on `x`, for marking spans instead of choosing them. */
export const marking = (t: Sql, parameters: Parameters, filter: TraceQuestions.Filter): string => conditions(t, parameters, filter).either.join(" and ")

/**
 * How a text stands in the JSON text of an attribute's value, as far as that is certain: a number may be written in several ways,
 * and so may what is not a single value.
 */
const asWritten = (value: string): string | undefined =>
  value === "" || isNumber(value) || /^[[{]/.test(value) ? undefined : JSON.stringify(clean(value)).slice(1, -1)

/** Rows in which a text does not stand, and not in their templates either, have no span that carries it. */
const mayHold = (t: Sql, parameters: Parameters, written: string): string => {
  const text = parameters.text(written)
  return `(x.texts is null or position(${text} in x.texts) > 0
    or x.shapes && array(select id from ${t.shape} where position(${text} in replace(template, '%%', '%')) > 0))`
}

/** `attributes` has the value: as text, or as the same number. */
export const carries = (parameters: Parameters, attributes: string, key: string, value: string): string => {
  const [name, wanted] = [parameters.text(key), parameters.text(value)]
  return isNumber(value) ? `(${attributes} ->> ${name} = ${wanted} or ${attributes} -> ${name} = ${wanted}::jsonb)` : `${attributes} ->> ${name} = ${wanted}`
}

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
  const lane = laneOf(t, parameters, filter.resource, "x.lane")
  if (lane !== undefined) either.push(lane)
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
  for (const [key, value] of filter.attributes) {
    either.push(carries(parameters, "x.attributes", key, value))
    const written = asWritten(value)
    if (written !== undefined) hot.push(mayHold(t, parameters, written))
  }
  if (filter.text !== undefined) {
    const part = parameters.text(filter.text)
    const has = (what: string) => `position(${part} in lower(${what} collate "C")) > 0`
    either.push(`(x.operation = any (array(select id from ${t.operation} where ${has("name")})) or ${has("x.message")}
      or exists (select from jsonb_each_text(x.attributes) as a(key, value) where ${has("a.key")} or ${has("a.value")}))`)
  }
  return { either, hot, cold }
}

const kinds = { internal: 0, server: 1, client: 2, producer: 3, consumer: 4 } as const

/** Bounds that nobody set: a condition less. */
const farBack = -9_000_000_000_000_000_000n
const farAhead = 9_000_000_000_000_000_000n
