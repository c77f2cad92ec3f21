import { type HistoryError, MetricRange, type MetricsHistory, type RangeResult } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { Sql } from "../internal/names.ts"
import type { Ask } from "./ask.ts"
import { frameBlocks } from "./frameBlocks.ts"
import { select, type SelectedSeries } from "./selection.ts"

export const queryRange = (ask: Ask, t: Sql): MetricsHistory["Service"]["queryRange"] => (query) =>
  Effect.gen(function*() {
    const plan = yield* MetricRange.plan(query)
    const { series, type } = yield* select(ask, t, { metric: plan.metric, tests: plan.tests, from: MetricRange.extentOf(plan, ["value"]).from })
    if (type === undefined) return MetricRange.nothing(plan)
    const readings = yield* MetricRange.readingsOf(plan, type)
    const { from, to } = MetricRange.extentOf(plan, readings)
    const evaluation = new MetricRange.Evaluation(plan, type)
    const cells = new Map(series.map((one) => [one.id, evaluation.cellOf(readings[0]!, one.labels, one.bounds)]))
    yield* evaluation.check
    const cellOf = (one: SelectedSeries) => cells.get(one.id)!
    for (const reading of readings) {
      for (const block of yield* frameBlocks(ask, t, reading, series, cellOf, from, to)) evaluation.add(reading, block)
    }
    return evaluation.result()
  }) satisfies Effect.Effect<RangeResult, HistoryError>
