import { type HistoryError, MetricRange, type MetricsHistory, type RangeResult } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { Sql } from "../internal/names.ts"
import type { Ask } from "./ask.ts"
import { exponentials } from "./exponentialPieces.ts"
import { type Answer, apart, together } from "./cells.ts"
import { joined } from "./pieces.ts"
import { type Layer, layers, readPieces } from "./readPieces.ts"
import { resourcesOf } from "./resources.ts"
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
    const known = yield* resourcesOf(ask, t, plan)
    // With groups alone everything is meant, also what nobody is known of any more.
    const resources = known === undefined || plan.resource.length === 0 ? undefined : new Set(known.keys())
    const evaluation = new MetricRange.Evaluation(plan, type)
    const cells = known === undefined || plan.groupByResource.length === 0 ? together(evaluation) : apart(evaluation, known)
    const own = new Map(series.map((one) => [one.id, cells.cellOf(readings[0]!, one, one.bounds)]))
    const answers: Array<Answer> = []
    const read = (reading: MetricRange.Reading, some: ReadonlyArray<SelectedSeries>, until: number, layer: Layer | undefined) =>
      Effect.map(
        readPieces(ask, t, { reading, type, series: some, resources, from, to: until, function: plan.function, layer, cellOf: ({ id }) => own.get(id)! }),
        (pieces) => void answers.push({ reading, pieces })
      )
    const finer = plan.function === "quantile" && layerOf(plan, "buckets", to - from) === undefined
      ? yield* exponentials(ask, t, series, { from, to, resources })
      : undefined
    if (finer === undefined) {
      yield* evaluation.check
      for (const reading of readings) yield* read(reading, series, to, layerOf(plan, reading, to - from))
    } else {
      const buckets = new Map(series.flatMap((one) => (finer.since.has(one.id) ? [[one.id, cells.cellOf("buckets", one, finer.bounds)] as const] : [])))
      yield* evaluation.check
      answers.push({ reading: "buckets", pieces: finer.pieces((id) => buckets.get(id)!) })
      // What lies before a series' first exponential buckets is told by the others; so is all of those that have none.
      for (const [until, some] of Map.groupBy(series, ({ id }) => finer.since.get(id) ?? to)) if (until > from) yield* read("buckets", some, until, undefined)
    }
    const settled = cells.settled(answers)
    yield* evaluation.check
    for (const { pieces, reading } of settled) for (const block of reading === "value" ? joined(pieces) : pieces) evaluation.add(reading, block)
    return evaluation.result()
  }) satisfies Effect.Effect<RangeResult, HistoryError>

/**
 * The coarsest roll-up whose places the windows do not cut, when the range is long. What holds at a moment is told by the
 * samples alone: a roll-up no longer knows when in its place a process ended.
 */
const layerOf = ({ function: name, start, step, window }: MetricRange.RangePlan, reading: MetricRange.Reading, range: number) =>
  range < longRange || (reading === "value" && (name === "last" || name === "sum" || name === "count")) ? undefined : layers.findLast((layer) => start % layer.step === 0 && step % layer.step === 0 && window % layer.step === 0)
