import { MetricDefinition, type MetricFamily, type MetricStore, MetricsRecorder } from "@effect-observability/core"
import * as fc from "fast-check"

/** What somebody may try to make of one metric. */
export interface HostileMetric {
  readonly kind: "counter" | "upDownCounter" | "gauge" | "histogram" | "summary"
  readonly name: string
  readonly help: string
  readonly unit: string
  readonly labels: ReadonlyArray<readonly [string, string]>
  readonly otherValues: ReadonlyArray<string>
  readonly buckets: ReadonlyArray<number>
  readonly amounts: ReadonlyArray<number>
  /** Recorded by its name alone, without a definition. */
  readonly byName: boolean
  readonly exemplars: boolean
}

const evil = "\"} 1\nevil_total 999\nx{y=\""
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.string({ maxLength: 12 }),
  fc.constantFrom("", "\\", "\\n", "\n", "\r\n", "\"", "\ud800", "\udc00\ud800", "\ufffd", "\u0000", "\u2028", "\ufeff", "\u202e", "\u0085", evil, "# EOF", "\n# EOF\n", "x".repeat(3000))
)
const name = fc.oneof(
  { weight: 12, arbitrary: fc.stringMatching(/^[a-z][a-z0-9_]{0,10}(_total|_seconds|_bucket|_sum|_count|_created|_info)?$/) },
  { weight: 2, arbitrary: fc.stringMatching(/^[a-z]{1,2}(_total|_bucket|_sum|_count|_created|_total_total)?$/) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("", "_", "__", "_total", "__name__", "9a", "a b", "a.b", "a_b", "a-b", "a:b", "a{b=\"c\"}", "请求", "a\n# TYPE evil counter\nevil 1", "__proto__", "constructor", "toString", "obs_series", "up", "NaN", "x".repeat(300))
  }
)
const labelName = fc.oneof(
  { weight: 8, arbitrary: fc.stringMatching(/^[a-zA-Z_][a-z0-9_]{0,6}$/) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 6 }) },
  { weight: 2, arbitrary: fc.constantFrom("", "le", "quantile", "__name__", "job", "instance", "a.b", "a_b", "a=\"x\",b", "__proto__", "constructor", "toString", "_", "hasOwnProperty", "1") }
)
const amount = fc.oneof(fc.nat(1e6), fc.double(), fc.constantFrom(0, -0, 1, 0.1, 1e21, 1e-7, 5e-324, 1.7976931348623157e308, 2 ** 53 + 2, NaN, Infinity, -Infinity, -1))

export const hostileMetric: fc.Arbitrary<HostileMetric> = fc.record({
  kind: fc.constantFrom("counter", "upDownCounter", "gauge", "histogram", "summary"),
  name,
  help: text,
  unit: fc.oneof(fc.constantFrom("", "seconds", "total", "bytes", "a\nb", "# EOF"), text),
  labels: fc.uniqueArray(fc.tuple(labelName, text), { maxLength: 3, selector: ([label]) => label }),
  otherValues: fc.array(text, { maxLength: 2 }),
  buckets: fc.uniqueArray(fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(0, 1, 0.1, 1e6, 1e21, 1e-5, 100)), { minLength: 1, maxLength: 5 }).map((bounds) => bounds.map((bound) => bound + 0).sort((a, b) => a - b)),
  amounts: fc.array(amount, { minLength: 1, maxLength: 3 }),
  byName: fc.boolean(),
  exemplars: fc.boolean()
})

/** Does it; a definition that is refused is reported by throwing, which is caught, and everything else must not throw. */
export const record = (metrics: MetricsRecorder["Service"], { amounts, buckets, byName, exemplars, help, kind, labels, name, otherValues, unit }: HostileMetric): void => {
  const labelNames = labels.map(([label]) => label)
  const given: Array<Record<string, string>> = [Object.fromEntries(labels), ...otherValues.map((value) => Object.fromEntries(labels.map(([label], i) => [label, i === 0 ? value : ""])))]
  const options = { help, unit, labelNames, exemplars, ...(kind === "histogram" ? { buckets } : {}) }
  let metric: any = name
  if (!byName) {
    try {
      metric = MetricDefinition[kind](name, options)
    } catch (error) {
      if (!(error instanceof MetricDefinition.MetricDefinitionError)) throw error
      return
    }
  }
  for (const labels of given) {
    for (const amount of amounts) {
      if (kind === "gauge") metrics.setGaugeUnsafe(metric, amount, labels)
      else if (kind === "histogram") metrics.observeHistogramUnsafe(metric, amount, labels)
      else if (kind === "summary") metrics.observeSummaryUnsafe(metric, amount, labels)
      else metrics.incrementCounterUnsafe(metric, amount, labels)
    }
  }
}

/** Identity of a sample, whoever wrote it: bounds are compared as numbers. */
export const sampleKey = (name: string, labels: Readonly<Record<string, string>>): string =>
  JSON.stringify([
    name,
    Object.entries(labels)
      .filter(([, value]) => value !== "")
      .map(([label, value]) => [label, label === "le" || label === "quantile" ? String(value === "+Inf" ? Infinity : Number(value)) : value])
      .sort()
  ])

/** What a page of the store must hold, sample by sample, and nothing else; self-metrics aside. */
export const expectedSamples = (store: MetricStore): ReadonlyMap<string, number> => {
  const expected = new Map<string, number>()
  const taken = new Set<string>()
  for (const family of store.families()) {
    if (family.series.length === 0) continue
    const { name } = family.definition
    const names = sampleNames(family)
    // The first of two families that share a sample name has it.
    if (names.some((one) => taken.has(one))) continue
    for (const one of names) taken.add(one)
    if (name.startsWith("obs_")) continue
    const seen = new Set<string>()
    for (const series of family.series) {
      const labels = Object.fromEntries(family.definition.labelNames.map((label, i) => [label, series.labelValues[i]!.toWellFormed()]))
      // Series that are the same in UTF-8: the first is shown.
      if (seen.has(sampleKey(name, labels))) continue
      seen.add(sampleKey(name, labels))
      const add = (sample: string, value: number, more: Readonly<Record<string, string>> = {}) => expected.set(sampleKey(sample, { ...labels, ...more }), value)
      switch (family.definition.type) {
        case "histogram": {
          let count = 0
          for (const [i, bound] of [...family.definition.buckets!, Infinity].entries()) {
            count += family.bucket(series, i)
            add(`${name}_bucket`, count, { le: bound === Infinity ? "+Inf" : String(bound) })
          }
          add(`${name}_sum`, family.sum(series))
          add(`${name}_count`, family.count(series))
          break
        }
        case "summary":
          for (const q of Object.keys(family.definition.objectives!)) add(name, family.quantile(series, Number(q)), { quantile: q })
          add(`${name}_sum`, family.sum(series))
          add(`${name}_count`, family.count(series))
          break
        default:
          add(name, family.value(series))
      }
    }
  }
  return expected
}

const sampleNames = ({ definition: { name, type } }: MetricFamily): ReadonlyArray<string> =>
  type === "histogram" ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]
    : type === "summary" ? [name, `${name}_sum`, `${name}_count`]
    : [name]

/** Where the samples of a page differ from what they must be, at most ten of the differences. */
export const differences = (expected: ReadonlyMap<string, number>, found: ReadonlyMap<string, number>): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  for (const [key, value] of expected) if (!sameNumber(found.get(key), value)) wrong.push(`${key} is ${found.get(key)}, not ${value}`)
  for (const key of found.keys()) if (!expected.has(key)) wrong.push(`${key} should not be there`)
  return wrong.slice(0, 10)
}

const sameNumber = (one: number | undefined, other: number): boolean => one === other || (Number.isNaN(one) && Number.isNaN(other))
