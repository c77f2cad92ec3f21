import { type MetricPoint, MetricsHistory, type RangeQuery, type RangeResult } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

type History = MetricsHistory["Service"]

const history = (change: (inner: History) => Partial<History>): Layer.Layer<MetricsHistory, never, MetricsHistory> =>
  Layer.effect(MetricsHistory, Effect.map(MetricsHistory, (inner) => ({ ...inner, ...change(inner) })))

/** Asks another question than the one it was asked. */
const asks = (change: (query: RangeQuery) => object) =>
  history((inner) => ({ queryRange: (query) => inner.queryRange({ ...query, ...change(query) } as RangeQuery) }))

/** Gives another answer. */
const answers = (change: (result: RangeResult, query: RangeQuery) => Partial<RangeResult>) =>
  history((inner) => ({ queryRange: (query) => Effect.map(inner.queryRange(query), (result) => ({ ...result, ...change(result, query) })) }))

const values = (change: (value: number, i: number, all: ReadonlyArray<number>) => number) =>
  answers(({ series }) => ({ series: series.map((one) => ({ ...one, values: one.values.map(change) })) }))

const points = (change: (all: ReadonlyArray<MetricPoint>) => ReadonlyArray<MetricPoint>) =>
  history((inner) => ({ getMetricsHistory: (query) => Effect.map(inner.getMetricsHistory(query), change) }))

/** A wrong store for each history law, by the law's name. */
export const laws: Readonly<Record<string, Layer.Layer<MetricsHistory, never, MetricsHistory>>> = {
  "an increase is what was counted in the window, a rate is that per second": asks(({ function: name }) => (name === "rate" ? { function: "increase" } : {})),
  "an interval that lies in a window in part counts in proportion": values((value) => Math.ceil(value / 10) * 10),
  "processes add up, and a restart loses nothing": values((value) => value % 100),
  "when series ended and places mean others, each keeps its values, and none holds twice": answers(({ series }, { function: name }) =>
    name === "increase" ? { series: series.map((one, i) => ({ ...one, values: series[(i + 1) % series.length]!.values })) } : {}
  ),
  "where nothing is known there is no value, where nothing happened there is 0": values((value) => (Number.isNaN(value) ? 0 : value)),
  "groups: by some labels, by none, every label set by itself": asks(({ groupBy }) => (groupBy?.length === 0 ? { groupBy: ["method"] } : {})),
  "labels: exact, not, one of, beginning with; absent is empty": asks(({ labels }) => ({
    labels: Object.fromEntries(Object.entries(labels ?? {}).filter(([, matcher]) => matcher !== ""))
  })),
  "a set value holds for two intervals": values((value, i, all) => (Number.isNaN(value) ? all[i - 1] ?? NaN : value)),
  "avg, min, max, last, sum and count of set values": asks(({ function: name }) => (name === "avg" ? { function: "last" } : {})),
  "an up-down counter is added up over processes": asks(() => ({ function: "max" })),
  "quantiles come from the buckets of all series of a group": asks(({ quantile }) => (quantile === undefined ? {} : { groupBy: undefined })),
  "other bucket bounds join with the ones before": values((value) => Math.floor(value)),
  "a summary has count, sum and mean": asks(({ function: name }) => (name === "avg" ? { function: "sum" } : {})),
  "the k greatest at each time": asks(() => ({ k: undefined })),
  "a stream tells what the answer tells": history((inner) => ({ streamRange: (query) => Stream.take(inner.streamRange(query), 1_000) })),
  "processes are chosen and told apart by what is known of them, not by labels of the same name": asks(({ resource }) => ({ labels: resource?.cluster === undefined ? {} : { cluster: resource.cluster }, resource: undefined })),
  "points: newest first, the start belongs to the range and the end does not": points((all) => all.toReversed()),
  "a question that cannot be answered names the field": asks(({ step }) => (step === 0 ? { step: 60_000 } : {})),
  "a function that has no meaning for the type names itself": asks(({ function: name }) => (name === "last" ? { function: "rate" } : {}))
}
