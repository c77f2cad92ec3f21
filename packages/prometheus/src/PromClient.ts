import type { MetricFamily, MetricStore, Series } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Metric, Registry } from "prom-client"
import { exposedName, sampleNames } from "./PrometheusEncoding.ts"

interface Value {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  readonly metricName?: string
}

/** One of our families as prom-client wants a metric: it asks for the values whenever it renders. */
class FamilyMetric {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly aggregator = "sum"
  private readonly family: MetricFamily

  constructor(name: string, family: MetricFamily) {
    this.name = name
    this.family = family
    this.help = family.definition.help
    this.type = family.definition.type === "upDownCounter" ? "gauge" : family.definition.type
  }

  async get() {
    const { aggregator, family, help, name, type } = this
    return { name, help, type, aggregator, values: family.series.flatMap((series) => valuesOf(name, family, series)) }
  }

  /** prom-client resets its own metrics by it; ours belong to the store. */
  reset(): void {}
}

const valuesOf = (name: string, family: MetricFamily, series: Series): ReadonlyArray<Value> => {
  const { definition } = family
  const labels: Record<string, string> = {}
  definition.labelNames.forEach((label, i) => {
    const value = series.labelValues[i]!
    if (value !== "") labels[label] = value
  })
  const ends = (): ReadonlyArray<Value> => [
    { metricName: `${name}_sum`, labels, value: family.sum(series) },
    { metricName: `${name}_count`, labels, value: family.count(series) }
  ]
  if (definition.type === "histogram") {
    let count = 0
    const buckets = [...definition.buckets!, Infinity].map((bound, i): Value => ({
      metricName: `${name}_bucket`,
      labels: { ...labels, le: bound === Infinity ? "+Inf" : bound },
      value: count += family.bucket(series, i)
    }))
    return [...buckets, ...ends()]
  }
  if (definition.type === "summary") {
    const quantiles = Object.keys(definition.objectives ?? {}).map(Number).sort((a, b) => a - b)
    return [...quantiles.map((quantile): Value => ({ labels: { ...labels, quantile }, value: family.quantile(series, quantile) })), ...ends()]
  }
  return [{ labels, value: family.value(series) }]
}

/** A method of prom-client 15 that its types leave out. */
interface Rendering {
  readonly getMetricsAsString: (metric: unknown) => Promise<string>
}

const isOurs = (metric: unknown): boolean => metric instanceof FamilyMetric

/**
 * Puts every metric of the store, those declared later included, into the user's own registry: they appear in its `metrics()`.
 * A name that the registry already has stays the user's, and is told to `onCollision`. They leave with the scope.
 */
export const joinRegistry = (
  store: MetricStore,
  registry: Registry,
  prefix: string,
  onCollision: (name: string) => void
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const joined = new Map<string, FamilyMetric>()
      const join = (family: MetricFamily): void => {
        const name = exposedName(family.definition.name, prefix)
        const there: unknown = registry.getSingleMetric(name)
        // A standard metric of ours gave way to the program's own definition.
        if (isOurs(there)) registry.removeSingleMetric(name)
        else if (there !== undefined) {
          onCollision(name)
          return
        }
        const metric = new FamilyMetric(name, family)
        joined.set(name, metric)
        registry.registerMetric(metric as unknown as Metric)
      }
      for (const family of store.families()) join(family)
      const stop = store.onDeclare(join)
      return { joined, stop }
    }),
    ({ joined, stop }) =>
      Effect.sync(() => {
        stop()
        for (const [name, metric] of joined) {
          if ((registry.getSingleMetric(name) as unknown) === metric) registry.removeSingleMetric(name)
        }
      })
  ).pipe(Effect.asVoid)

/** The user's own metrics as text, but those whose sample names are taken: they are told to `onCollision`. */
export const renderRegistry = (
  registry: Registry,
  taken: Set<string>,
  onCollision: (name: string) => void
): Effect.Effect<string, unknown> =>
  Effect.gen(function*() {
    const parts: Array<string> = []
    for (const metric of registry.getMetricsAsArray() as unknown as ReadonlyArray<{ readonly name: string; readonly type: string }>) {
      if (isOurs(metric)) continue
      const names = sampleNames(metric.name, String(metric.type))
      if (names.some((name) => taken.has(name))) {
        onCollision(metric.name)
        continue
      }
      for (const name of names) taken.add(name)
      parts.push(yield* Effect.tryPromise(() => (registry as unknown as Rendering).getMetricsAsString(metric)))
    }
    return parts.length === 0 ? "" : `${parts.join("\n")}\n`
  })
