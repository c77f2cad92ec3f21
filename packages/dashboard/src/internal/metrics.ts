import { type MetricsHistory, type RangeFunction, resourceFields, type Telemetry } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import { refuse } from "./answers.ts"
import type { Params } from "./params.ts"

const functions: ReadonlyArray<RangeFunction> = ["rate", "increase", "avg", "min", "max", "last", "sum", "count", "quantile"]

/** Lines one chart can show; the rest is counted. */
const shownSeries = 50

/** The metrics this program has declared: what the explorer offers. */
export const names = (telemetry: Telemetry["Service"]) =>
  telemetry.store.families().map(({ definition, series }) => ({
    name: definition.name,
    type: definition.type,
    help: definition.help,
    labels: definition.labelNames,
    series: series.length
  })).toSorted((a, b) => a.name < b.name ? -1 : 1)

export const range = (history: MetricsHistory["Service"], params: Params) =>
  Effect.gen(function*() {
    const { endTime, startTime } = yield* params.range
    const fn = (yield* params.oneOf("function", functions)) ?? "rate"
    const groups = yield* params.text("by")
    const labels = yield* params.pairs("label")
    const processes = yield* params.oneOf("byResource", resourceFields)
    const quantile = yield* params.number("quantile", 0, 1)
    if (quantile !== undefined && fn !== "quantile") return yield* refuse(400, "quantile: only with function=quantile")
    const step = (yield* params.number("step", 1_000, endTime - startTime)) ?? Math.max(1_000, Math.ceil((endTime - startTime) / 120_000) * 1_000)
    if ((endTime - startTime) / step > 2_000) return yield* refuse(400, "step: makes more than 2,000 points; ask for a longer one")
    const end = Math.floor(endTime / step) * step
    const query = {
      metric: yield* params.needed("metric"),
      function: fn,
      groupBy: groups === undefined ? [] : groups.split(","),
      ...(labels === undefined ? {} : { labels }),
      ...(yield* params.resource),
      ...(processes === undefined ? {} : { groupByResource: [processes] }),
      start: Math.ceil(startTime / step) * step,
      end,
      step,
      // A window shorter than a few flushes would show gaps between them.
      window: Math.max(step, 15_000),
      ...(fn === "quantile" ? { quantile: quantile ?? 0.99 } : {})
    }
    const { series, ...answer } = yield* history.queryRange(query)
    const size = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + (Number.isFinite(value) ? Math.abs(value) : 0), 0)
    const most = series.length <= shownSeries ? series : series.toSorted((a, b) => size(b.values) - size(a.values)).slice(0, shownSeries)
    return { query, ...answer, series: most, seriesLeftOut: series.length - most.length }
  })
