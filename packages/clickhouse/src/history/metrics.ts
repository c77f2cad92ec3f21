import { HistoryError, type MetricPoint, MetricRange, type MetricsHistory, rangeLimits } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { MetricTable } from "../internal/tables.ts"
import { Parameters, type Row, type Source } from "./ask.ts"
import { condition, isOf, resourceColumns } from "./resources.ts"

type MetricType = MetricPoint["type"]

/** Which table holds metrics of a type, and which of its rows are theirs. */
const homes: Readonly<Record<MetricType, { readonly table: MetricTable; readonly rows: string }>> = {
  counter: { table: "sum", rows: "IsMonotonic AND AggregationTemporality = 1" },
  upDownCounter: { table: "sum", rows: "NOT IsMonotonic AND AggregationTemporality = 2" },
  gauge: { table: "gauge", rows: "1" },
  histogram: { table: "histogram", rows: "AggregationTemporality = 1" },
  summary: { table: "summary", rows: "1" }
}
const types = Object.keys(homes) as ReadonlyArray<MetricType>

const end = "toFloat64(toUnixTimestamp64Milli(TimeUnix))"
const begin = "toUnixTimestamp64Milli(StartTimeUnix)"

/** Length of a row's interval in milliseconds: what others write without a start is a moment. */
const spanOf = (type: MetricType): string =>
  type === "upDownCounter"
    ? "toFloat64(IntervalMillis)"
    : `if(${begin} > 0 AND ${begin} < toUnixTimestamp64Milli(TimeUnix), toFloat64(toUnixTimestamp64Milli(TimeUnix) - ${begin}), 0)`

/** A frame of a long outage began so long before its end at most; what ends later than that after a range is not looked for. */
const longestFrame = 7 * 86_400_000

const time = (parameters: Parameters, millis: number): string =>
  `fromUnixTimestamp64Milli(${parameters.add(String(Math.min(9_000_000_000_000, Math.max(0, Math.round(millis)))), "Int64")})`

// ----------------------------------------------------------------------------------------------------------------------- points

export const getMetricsHistory = ({ ask, t }: Source): MetricsHistory["Service"]["getMetricsHistory"] => (query) =>
  Effect.gen(function*() {
    const { from, labels, limit, name, resource, to } = yield* MetricRange.pointsPlan(query)
    const parameters = new Parameters()
    const metric = parameters.text(name)
    const where = `MetricName = ${metric} AND TimeUnix >= ${time(parameters, from)} AND TimeUnix < ${time(parameters, to)}${
      Object.entries(labels).map(([key, value]) => {
        const label = parameters.text(key)
        return ` AND mapContains(Attributes, ${label}) AND Attributes[${label}] = ${parameters.text(value)}`
      }).join("")
    }${isOf(parameters, resource).map((one) => ` AND ${one}`).join("")}`
    const most = parameters.add(limit, "UInt32")
    const parts = types.map((type) => {
      const { rows, table } = homes[type]
      const value = table === "sum" || table === "gauge" ? "Value" : "Sum"
      const buckets = type === "histogram"
      return `SELECT '${type}' AS type, ${end} AS at, ${spanOf(type)} AS span, ${value} AS value, Attributes AS labels, ` +
        `${buckets ? "ExplicitBounds" : "CAST([], 'Array(Float64)')"} AS bounds, ${buckets ? "arrayMap(x -> toFloat64(x), BucketCounts)" : "CAST([], 'Array(Float64)')"} AS buckets, ` +
        `${buckets ? "toFloat64(Count)" : "toFloat64(0)"} AS count FROM ${t[table]} WHERE ${where} AND ${rows} ORDER BY TimeUnix DESC LIMIT ${most}`
    })
    const rows = yield* ask(`SELECT * FROM (${parts.map((part) => `SELECT * FROM (${part})`).join(" UNION ALL ")}) ORDER BY at DESC LIMIT ${most}`, parameters)
    return rows.map((row) => pointOf(name, row))
  })

const pointOf = (name: string, [type, at, span, value, labels, bounds, buckets, count]: Row): MetricPoint => {
  const point = {
    name,
    type: type as MetricType,
    value: numberOf(value),
    labels: labels as Readonly<Record<string, string>>,
    timestamp: Number(at),
    interval: Number(span)
  }
  return type !== "histogram" ? point : {
    ...point,
    histogram: { bounds: bounds as ReadonlyArray<number>, buckets: buckets as ReadonlyArray<number>, count: Number(count), sum: numberOf(value) }
  }
}

/** What JSON has no word for comes as `null`. */
const numberOf = (value: unknown): number => (value === null ? NaN : Number(value))

// ----------------------------------------------------------------------------------------------------------------------- ranges

export const queryRange = (source: Source): MetricsHistory["Service"]["queryRange"] => (query) =>
  Effect.gen(function*() {
    const plan = yield* MetricRange.plan(query)
    const type = yield* typeOf(source, plan)
    if (type === undefined) return MetricRange.nothing(plan)
    const readings = yield* MetricRange.readingsOf(plan, type)
    const evaluation = new MetricRange.Evaluation(plan, type)
    const answers: Array<{ readonly reading: MetricRange.Reading; readonly series: ReadonlyArray<Read> }> = []
    for (const reading of readings) answers.push({ reading, series: yield* read(source, plan, type, reading, MetricRange.extentOf(plan, readings)) })
    // All series are named before the first value is added.
    const named = answers.map(({ reading, series }) => ({
      reading,
      series: series.map((one) => ({ one, cell: evaluation.cellOf(readings[0]!, one.labels, one.bounds, one.resource) }))
    }))
    yield* evaluation.check
    for (const { reading, series } of named) {
      for (const { cell, one } of series) {
        evaluation.add(reading, { ends: one.ends, spans: one.spans, columns: one.columns.map((values, b) => ({ cell: cell + b, values })) })
      }
    }
    return evaluation.result()
  })

/** The type under which the metric was stored last, within the range if it can be. */
const typeOf = ({ ask, t }: Source, plan: MetricRange.RangePlan): Effect.Effect<MetricType | undefined, HistoryError> =>
  Effect.gen(function*() {
    const { from, to } = MetricRange.extentOf(plan, ["value"])
    const look = (bounded: boolean) => {
      const parameters = new Parameters()
      const metric = parameters.text(plan.metric)
      const when = bounded ? ` AND TimeUnix > ${time(parameters, from)} AND TimeUnix <= ${time(parameters, to + longestFrame)}` : ""
      // An aggregate without rows is a row: the count says whether there were any.
      const parts = types.map((type) =>
        bounded
          ? `SELECT '${type}' AS type, toFloat64(toUnixTimestamp64Milli(max(TimeUnix))) AS newest FROM ${t[homes[type].table]} WHERE MetricName = ${metric} AND ${homes[type].rows}${when} HAVING count() > 0`
          : `SELECT * FROM (SELECT '${type}' AS type, ${end} AS newest FROM ${t[homes[type].table]} WHERE MetricName = ${metric} AND ${homes[type].rows} LIMIT 1)`
      )
      return Effect.map(ask(`SELECT type FROM (${parts.join(" UNION ALL ")}) ORDER BY newest DESC LIMIT 1`, parameters), (rows) => rows[0]?.[0] as MetricType | undefined)
    }
    return (yield* look(true)) ?? (yield* look(false))
  })

/** Values of one group of series, or of one series, as they were read. */
interface Read {
  readonly labels: Readonly<Record<string, string>>
  /** What the question groups by. */
  readonly resource: MetricRange.Known
  readonly bounds: ReadonlyArray<number>
  readonly ends: Float64Array
  readonly spans: Float64Array
  /** One, or one per bucket. */
  readonly columns: ReadonlyArray<Float64Array>
}

/** How the values of one moment and group come together in the database; what holds at a moment is each series' own. */
const folded: Readonly<Record<Exclude<MetricRange.Reading, "value">, string>> = {
  increase: "sum(Value)",
  count: "toFloat64(sum(Count))",
  sum: "sum(Sum)",
  min: "minIf(Min, Count > 0)",
  max: "maxIf(Max, Count > 0)",
  buckets: "arrayMap(x -> toFloat64(x), sumForEach(BucketCounts))"
}

const read = (
  { ask, t }: Source,
  plan: MetricRange.RangePlan,
  type: MetricType,
  reading: MetricRange.Reading,
  { from, to }: { readonly from: number; readonly to: number }
): Effect.Effect<ReadonlyArray<Read>, HistoryError> =>
  Effect.gen(function*() {
    const parameters = new Parameters()
    const { rows: own, table } = homes[type]
    const metric = parameters.text(plan.metric)
    const last = time(parameters, to)
    const where = [
      `MetricName = ${metric}`,
      own,
      `TimeUnix > ${time(parameters, from)}`,
      `TimeUnix <= ${time(parameters, to + longestFrame)}`,
      // An interval that begins in the range, or a moment in it.
      type === "upDownCounter" ? `(TimeUnix <= ${last} OR TimeUnix - toIntervalMillisecond(IntervalMillis) < ${last})` : `(StartTimeUnix < ${last} OR TimeUnix <= ${last})`,
      ...plan.tests.map((test) => condition(parameters, `Attributes[${parameters.text(test.label)}]`, test)),
      ...isOf(parameters, plan.resource),
      ...(reading === "min" || reading === "max" ? ["Count > 0"] : [])
    ].join(" AND ")
    const labels = plan.groupBy === undefined || reading === "value"
      ? "Attributes"
      : plan.groupBy.length === 0
      ? "CAST(map(), 'Map(String, String)')"
      : `mapFilter((k, v) -> has(${parameters.texts(plan.groupBy)}, k), Attributes)`
    const bounds = reading === "buckets" ? "ExplicitBounds" : "CAST([], 'Array(Float64)')"
    const owner = reading === "value" ? "concat(ServiceName, '\\n', ResourceAttributes['service.instance.id'])" : "''"
    const value = reading === "value" ? "argMax(Value, StartTimeUnix)" : folded[reading]
    const process = plan.groupByResource.length === 0 ? "CAST([], 'Array(String)')" : `[${plan.groupByResource.map((field) => resourceColumns[field]).join(", ")}]`
    const most = parameters.add(rangeLimits.series + 1, "UInt32")
    // `at` and `span` are told apart from the columns they are made of.
    const sql = `SELECT labels, process, bounds, groupArray(at), groupArray(span), groupArray(value) FROM (
        SELECT ${labels} AS labels, ${process} AS process, ${bounds} AS bounds, ${owner} AS owner, ${end} AS at, ${spanOf(type)} AS span, ${value} AS value
        FROM ${t[table]} WHERE ${where} GROUP BY labels, process, bounds, owner, at, span ORDER BY at)
      GROUP BY labels, process, bounds, owner LIMIT ${most}`
    const rows = yield* ask(sql, parameters)
    if (rows.length > rangeLimits.series) {
      return yield* Effect.fail(new HistoryError({ reason: "invalid", message: `metric has more than ${rangeLimits.series} series in the range: choose some by labels` }))
    }
    return rows.map((row) => readOf(row, reading, plan))
  })

const readOf = ([labels, process, bounds, at, span, value]: Row, reading: MetricRange.Reading, { groupByResource }: MetricRange.RangePlan): Read => {
  const values = value as ReadonlyArray<unknown>
  const layout = bounds as ReadonlyArray<number>
  const order = Array.from(at as ReadonlyArray<number>, (_, i) => i).sort((a, b) => (at as ReadonlyArray<number>)[a]! - (at as ReadonlyArray<number>)[b]!)
  const columns = reading === "buckets"
    ? Array.from({ length: layout.length + 1 }, (_, b) => Float64Array.from(order, (i) => Number((values[i] as ReadonlyArray<number>)[b] ?? 0)))
    : [Float64Array.from(order, (i) => numberOf(values[i]))]
  return {
    labels: labels as Readonly<Record<string, string>>,
    resource: Object.fromEntries(groupByResource.map((field, i) => [field, (process as ReadonlyArray<string>)[i]!])),
    bounds: layout,
    ends: Float64Array.from(order, (i) => (at as ReadonlyArray<number>)[i]!),
    spans: Float64Array.from(order, (i) => (span as ReadonlyArray<number>)[i]!),
    columns
  }
}
