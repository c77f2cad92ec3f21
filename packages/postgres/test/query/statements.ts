import type { Random } from "../support/random.ts"
import { operations } from "./literal.ts"
import { begin, grid, instances, paths } from "./world.ts"

/** A statement over tables that `of` names; its rows are one multiset whichever way it is run. */
export type Statement = (of: (table: "metrics" | "spans" | "span_events") => string) => string

const quote = (text: string) => `'${text.replaceAll("'", "''")}'`
const some = <A>(random: Random, all: ReadonlyArray<A>): ReadonlyArray<A> => {
  const chosen = all.filter(() => random.chance(0.5))
  return chosen.length === 0 ? [random.pick(all)] : chosen
}

interface Table {
  readonly table: "metrics" | "spans" | "span_events"
  readonly columns: ReadonlyArray<string>
  readonly groups: ReadonlyArray<string>
  readonly numbers: ReadonlyArray<string>
  readonly filter: (random: Random) => string
}

const moment = (random: Random) => begin + random.int(0, 320) * grid + random.pick([0, 0, 7])
const at = (random: Random) => `to_timestamp(${moment(random)})`

const metrics: Table = {
  table: "metrics",
  columns: ["name", "type", "value", "labels", "timestamp", "labels->>'path'", "date_trunc('minute', timestamp)", "value * 2", "upper(type)"],
  groups: ["name", "type", "labels", "labels->>'path'", "labels->>'instance'", "date_trunc('hour', timestamp)", "date_trunc('minute', timestamp)", "value > 1"],
  numbers: ["value", "value * 10", "extract(epoch from timestamp)::float8"],
  filter: (random) =>
    random.pick([
      () => `name = ${quote(random.pick(["world_total", "world_depth", "world_seconds", "nobody"]))}`,
      () => `name like ${quote(random.pick(["world%", "%s", "world_%", "%\\_t%"]))}`,
      () => `name in ('world_total', 'world_depth')`,
      () => `type ${random.pick(["=", "<>"])} ${quote(random.pick(["counter", "gauge", "histogram", "summary"]))}`,
      () => `labels @> ${quote(JSON.stringify({ [random.pick(["path"])]: random.pick(paths) }))}`,
      () => `labels->>'instance' = ${quote(random.pick(instances))}`,
      () => `labels->>'path' in (${some(random, paths).map(quote).join(", ")})`,
      () => `labels ? ${quote(random.pick(["path", "nobody"]))}`,
      () => `value ${random.pick([">", "<", ">=", "<=", "<>"])} ${random.int(-20, 80)}`,
      () => `value between ${random.int(-20, 10)} and ${random.int(10, 80)}`,
      () => `timestamp >= ${at(random)}`,
      () => `timestamp < ${at(random)}`,
      () => `timestamp between ${at(random)} and ${at(random)}`,
      () => `timestamp = ${at(random)}`,
      () => `not (value > 3 and type = 'gauge')`
    ])()
}

const spans: Table = {
  table: "spans",
  columns: [
    "trace_id", "span_id", "parent_span_id", "name", "kind", "service_name", "start_time", "end_time", "duration", "status", "status_message", "attributes",
    "attributes->>'route'", "round((duration * 1000)::numeric, 3)"
  ],
  groups: ["trace_id", "name", "kind", "service_name", "status", "status_message", "attributes->>'route'", "attributes->'n'", "parent_span_id is null"],
  numbers: ["duration", "start_time", "end_time - start_time", "(attributes->>'n')::float8"],
  filter: (random) =>
    random.pick([
      () => `name = ${quote(random.pick(operations))}`,
      () => `name ilike ${quote(random.pick(["get%", "%orders", "%_"]))}`,
      () => `kind = ${quote(random.pick(["INTERNAL", "SERVER", "CLIENT", "server"]))}`,
      () => `status = ${quote(random.pick(["OK", "ERROR"]))}`,
      () => `status_message ${random.pick(["is null", "is not null", "= 'boom'", "like '%''%'"])}`,
      () => `duration ${random.pick([">", "<"])} ${random.int(0, 4)}`,
      () => `start_time ${random.pick([">=", "<"])} ${moment(random)}`,
      () => `trace_id = ${quote(random.int(1, 400).toString(16).padStart(32, "c"))}`,
      () => `parent_span_id is ${random.pick(["", "not "])}null`,
      () => `attributes @> ${quote(JSON.stringify({ n: random.int(0, 9) }))}`,
      () => `attributes->>'route' = '/a'`,
      () => `(attributes->>'n')::int > ${random.int(0, 9)}`,
      () => `service_name = 'api-service'`
    ])()
}

const events: Table = {
  table: "span_events",
  columns: ["trace_id", "span_id", "name", "timestamp", "attributes", "attributes->>'why'"],
  groups: ["trace_id", "name", "attributes->>'why'", "attributes"],
  numbers: ["timestamp", "(attributes->>'i')::float8"],
  filter: (random) =>
    random.pick([
      () => `name = ${quote(random.pick(["exception", "retry"]))}`,
      () => `attributes->>'why' = 'a'`,
      () => `timestamp > ${moment(random)}`,
      () => `(attributes->>'i')::int > 0`
    ])()
}

const where = (random: Random, filter: (random: Random) => string): string => {
  const tests = Array.from({ length: random.int(0, 3) }, () => filter(random))
  return tests.length === 0 ? "" : ` where ${tests.join(random.pick([" and ", " and ", " or "]))}`
}

export const makeStatement = (random: Random): Statement => {
  const { columns, filter, groups, numbers, table } = random.pick([metrics, metrics, metrics, spans, spans, events])
  if (random.chance(0.1)) {
    const test = where(random, (r) => `s.${spans.filter(r)}`.replace(/^s\.\(/, "(s."))
    return (of) => `select s.name, e.name as event, count(*)::int as n, max(s.duration) as longest
      from ${of("spans")} s join ${of("span_events")} e on e.trace_id = s.trace_id and e.span_id = s.span_id${test} group by 1, 2`
  }
  const test = where(random, filter)
  if (random.chance(0.5)) {
    const by = some(random, groups).slice(0, 2)
    const number = random.pick(numbers)
    const aggregates = some(random, [
      "count(*)::int as n", `sum(${number}) as s`, `avg(${number}) as a`, `min(${number}) as least`, `max(${number}) as most`,
      `count(distinct ${random.pick(groups)})::int as d`, `percentile_cont(0.5) within group (order by ${number}) as median`,
      `count(*) filter (where ${filter(random)})::int as f`
    ])
    const having = random.chance(0.2) ? ` having count(*) > ${random.int(1, 20)}` : ""
    return (of) => `select ${by.map((one, i) => `${one} as g${i}`).join(", ")}, ${aggregates.join(", ")} from ${of(table)}${test} group by ${by.map((_, i) => i + 1).join(", ")}${having}`
  }
  const chosen = some(random, columns)
  const list = chosen.map((one, i) => `${one} as c${i}`).join(", ")
  const distinct = random.chance(0.2) ? "distinct " : ""
  // With all that is shown in the order, a limit takes the same values whatever the plan.
  const order = chosen.map((_, i) => `${i + 1} ${random.pick(["asc", "desc"])}`).join(", ")
  const limit = random.chance(0.6) ? ` limit ${random.int(1, 100)}${random.chance(0.3) ? ` offset ${random.int(1, 50)}` : ""}` : " limit 2000"
  return (of) => `select ${distinct}${list} from ${of(table)}${test} order by ${order}${limit}`
}
