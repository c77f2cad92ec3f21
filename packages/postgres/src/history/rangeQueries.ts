import { type HistoryError, MetricRange, type MetricsHistory, type RangeResult } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { Sql } from "../internal/names.ts"
import type { Ask } from "./ask.ts"
import { exponentials } from "./exponentialPieces.ts"
import { joined } from "./pieces.ts"
import { layers, readPieces } from "./readPieces.ts"
import { select, type SelectedSeries } from "./selection.ts"

/** Shorter ranges are read from the samples themselves. Milliseconds. */
const longRange = 6 * 3_600_000

export const queryRange = (ask: Ask, t: Sql): MetricsHistory["Service"]["queryRange"] => (query) =>
  Effect.gen(function*() {
    const plan = yield* MetricRange.plan(query)
    const { series, type } = yield* select(ask, t, { metric: plan.metric, tests: plan.tests, from: MetricRange.extentOf(plan, ["value"]).from })
    if (type === undefined) return MetricRange.nothing(plan)
    const readings = yield* MetricRange.readingsOf(plan, type)
    const { from, to } = MetricRange.extentOf(plan, readings)
    const evaluation = new MetricRange.Evaluation(plan, type)
    const cells = new Map(series.map((one) => [one.id, evaluation.cellOf(readings[0]!, one.labels, one.bounds)]))
    const finer = plan.function === "quantile" && layerOf(plan, "buckets", to - from) === undefined ? yield* exponentials(ask, t, series, { from, to }) : undefined
    if (finer !== undefined) {
      const own = new Map(series.flatMap((one) => (finer.since.has(one.id) ? [[one.id, evaluation.cellOf("buckets", one.labels, finer.bounds)] as const] : [])))
      yield* evaluation.check
      for (const block of finer.pieces((id) => own.get(id)!)) evaluation.add("buckets", block)
      // What lies before a series' first exponential buckets is told by the others; so is all of those that have none.
      const rest = Map.groupBy(series, ({ id }) => finer.since.get(id) ?? to)
      for (const [until, some] of rest) {
        if (until <= from) continue
        const pieces = yield* readPieces(ask, t, {
          reading: "buckets", type, series: some, from, to: until, function: plan.function, layer: undefined, cellOf: (one: SelectedSeries) => cells.get(one.id)!
        })
        for (const block of pieces) evaluation.add("buckets", block)
      }
      return evaluation.result()
    }
    yield* evaluation.check
    for (const reading of readings) {
      const pieces = yield* readPieces(ask, t, {
        reading, type, series, from, to, function: plan.function, layer: layerOf(plan, reading, to - from), cellOf: (one: SelectedSeries) => cells.get(one.id)!
      })
      for (const block of reading === "value" ? joined(pieces) : pieces) evaluation.add(reading, block)
    }
    return evaluation.result()
  }) satisfies Effect.Effect<RangeResult, HistoryError>

/**
 * The coarsest roll-up whose places the windows do not cut, when the range is long. What holds at a moment is told by the
 * samples alone: a roll-up no longer knows when in its place a process ended.
 */
const layerOf = ({ function: name, start, step, window }: MetricRange.RangePlan, reading: MetricRange.Reading, range: number) =>
  range < longRange || (reading === "value" && (name === "last" || name === "sum" || name === "count")) ? undefined : layers.findLast((layer) => start % layer.step === 0 && step % layer.step === 0 && window % layer.step === 0)
