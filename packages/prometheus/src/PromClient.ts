import { canonicalNumber, MetricDefinition, type MetricFamily, type MetricStore, type Series } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Metric, Registry } from "prom-client"
import { type Answer, isOpenMetrics, membersOf, nameIn, type Registered, type Value } from "./internal/promClient.ts"
import { type FamilyType, sampleNames } from "./internal/text.ts"
import { type EncodingOptions, exposedName, typeOf, usableLabels } from "./PrometheusEncoding.ts"

/** One of our families as prom-client wants a metric: it asks for the values whenever it renders. */
class FamilyMetric implements Registered {
  /** Its place in the registry, not the name it is shown under: the program may still want that for a metric of its own. */
  name: string
  readonly help: string
  readonly type: FamilyType
  private readonly family: MetricFamily
  private readonly registry: Registry
  private readonly options: () => EncodingOptions
  private readonly onShown: (name: string, shown: boolean) => void

  constructor(key: string, family: MetricFamily, registry: Registry, options: () => EncodingOptions, onShown: (name: string, shown: boolean) => void) {
    this.name = key
    this.help = family.definition.help
    this.type = typeOf(family)
    this.family = family
    this.registry = registry
    this.options = options
    this.onShown = onShown
  }

  get exposedName(): string {
    return exposedName(this.family.definition.name, this.options().prefix)
  }

  async get(): Promise<Answer> {
    const { exposedName: name, family, help, registry } = this
    const shown = ownersOf(registry, name, this.type).every((owner) => owner === this)
    this.onShown(name, shown)
    // A registry writes the head of a metric whatever it answers, so one that must not be seen needs a harmless one.
    if (!shown) {
      return { name: `obs_left_out_${name}`, help: `Another metric of this registry has the name ${name}`, type: "gauge", aggregator: "omit", values: [] }
    }
    const { labelNames } = family.definition
    const constants = usableLabels(this.options().constantLabels).filter(([label]) => !labelNames.includes(label))
    const values = family.series.flatMap((series) => valuesOf(name, family, series, labelsOf(labelNames, series, constants)))
    if (this.type !== "counter" || !isOpenMetrics(registry)) return { name, help, type: this.type, aggregator: "sum", values }
    return name.endsWith("_total")
      ? { name: name.slice(0, -"_total".length), help, type: "counter", aggregator: "sum", values: values.map(({ labels, value }) => ({ labels, value })) }
      : { name, help, type: "unknown", aggregator: "sum", values }
  }

  /** prom-client resets its own metrics by it; ours belong to the store. */
  reset(): void {}
}

const labelsOf = (
  labelNames: ReadonlyArray<string>,
  series: Series,
  constants: ReadonlyArray<readonly [string, string]>
): Record<string, string> => {
  const labels: Record<string, string> = {}
  const values = series.labelValues
  labelNames.forEach((label, i) => {
    const value = values[i] ?? ""
    if (value !== "") labels[label] = value.toWellFormed()
  })
  for (const [label, value] of constants) if (value !== "") labels[label] = value.toWellFormed()
  return labels
}

const valuesOf = (name: string, family: MetricFamily, series: Series, labels: Readonly<Record<string, string>>): ReadonlyArray<Value> => {
  const { definition } = family
  const ends = (): ReadonlyArray<Value> => [
    { metricName: `${name}_sum`, labels, value: family.sum(series) },
    { metricName: `${name}_count`, labels, value: family.count(series) }
  ]
  if (definition.type === "histogram") {
    let count = 0
    const buckets = [...definition.buckets!, Infinity].map((bound, i): Value => ({
      metricName: `${name}_bucket`,
      labels: { ...labels, le: canonicalNumber(bound) },
      value: count += family.bucket(series, i)
    }))
    return [...buckets, ...ends()]
  }
  if (definition.type === "summary") {
    const quantiles = MetricDefinition.quantilesOf(family.definition).map((q): Value => ({ labels: { ...labels, quantile: canonicalNumber(q) }, value: family.quantile(series, q) }))
    return [...quantiles, ...ends()]
  }
  return [{ labels, value: family.value(series) }]
}

const owners = new WeakMap<Registry, ReadonlyMap<string, Registered>>()

/**
 * Who may use the sample names of a metric: the program's own metrics before ours, then who came first. A registry asks all its
 * metrics in one step, so the answer is kept for just that long.
 */
const ownersOf = (registry: Registry, name: string, type: string): ReadonlyArray<Registered | undefined> => {
  let byName = owners.get(registry)
  if (byName === undefined) {
    const found = new Map<string, Registered>()
    const members = membersOf(registry)
    const theirs = members.filter((member) => !(member instanceof FamilyMetric))
    const ours = members.filter((member) => member instanceof FamilyMetric)
    const give = (member: Registered, name: string, type: string) => {
      const names = sampleNames(name, type)
      if (!names.some((sample) => found.has(sample))) for (const sample of names) found.set(sample, member)
    }
    for (const member of theirs) give(member, nameIn(registry, member), member.type)
    for (const member of ours) give(member, member.exposedName, member.type)
    owners.set(registry, byName = found)
    queueMicrotask(() => owners.delete(registry))
  }
  return sampleNames(name, type).map((sample) => byName.get(sample))
}

/** Whether a metric of a registry was put there by `joinRegistry`. */
export const isOurs = (metric: unknown): boolean => metric instanceof FamilyMetric

/**
 * Puts every metric of the store, those declared later included, into the program's own registry: they appear in its `metrics()`,
 * also when other code registers more there. Where a name is wanted twice the program's metric is shown; `onShown` hears it at
 * every rendering. They leave with the scope.
 */
export const joinRegistry = (
  store: MetricStore,
  registry: Registry,
  options: () => EncodingOptions,
  onShown: (name: string, shown: boolean) => void
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const joined = new Map<string, { readonly key: string; readonly metric: FamilyMetric }>()
      const leave = ({ key, metric }: { readonly key: string; readonly metric: FamilyMetric }) => {
        if ((registry.getSingleMetric(key) as unknown) === metric) registry.removeSingleMetric(key)
      }
      const join = (family: MetricFamily): void => {
        const { name } = family.definition
        // A standard metric of ours gave way to the program's own definition.
        const before = joined.get(name)
        if (before !== undefined) leave(before)
        let key = `effect_observability:${name}`
        while (registry.getSingleMetric(key) !== undefined) key += "_"
        const metric = new FamilyMetric(key, family, registry, options, onShown)
        joined.set(name, { key, metric })
        registry.registerMetric(metric as unknown as Metric)
      }
      for (const family of store.families()) join(family)
      const stop = store.onDeclare(join)
      return () => {
        stop()
        for (const one of joined.values()) leave(one)
      }
    }),
    (leaveAll) => Effect.sync(leaveAll)
  ).pipe(Effect.asVoid)
