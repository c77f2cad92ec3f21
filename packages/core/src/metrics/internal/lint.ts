import type { MetricDefinition } from "../MetricDefinition.ts"
import { snakeCase } from "./snakeCase.ts"

/** A name, unit or label that could be better, with what to use instead. */
export interface MetricLint {
  readonly metric: string
  readonly field: "name" | "unit" | "labelNames"
  /** The better name; empty where only the words help. */
  readonly better: string
  /** Names the metric, what is odd and what to write. */
  readonly message: string
}

const units: Readonly<Record<string, ReadonlyArray<string>>> = {
  seconds: [
    "s", "sec", "secs", "second", "ms", "msec", "msecs", "milli", "millis", "millisecond", "milliseconds", "us", "usec", "micros", "microsecond",
    "microseconds", "ns", "nanos", "nanosecond", "nanoseconds", "min", "mins", "minute", "minutes", "hour", "hours", "day", "days"
  ],
  bytes: ["by", "byte", "kb", "kib", "mb", "mib", "gb", "gib", "kilobyte", "kilobytes", "megabyte", "megabytes", "gigabyte", "gigabytes"],
  ratio: ["percent", "percents", "percentage", "pct"],
  meters: ["meter", "metre", "metres", "kilometers"],
  grams: ["gram", "kilograms", "kg"],
  joules: ["joule"],
  volts: ["volt"],
  amperes: ["ampere"],
  celsius: ["fahrenheit", "kelvin"]
}
const baseOf: ReadonlyMap<string, string> = new Map(
  Object.entries(units).flatMap(([base, others]) => others.map((other): [string, string] => [other, base]))
)
/** Words that end a name for other reasons than to tell its unit. */
const ambiguous: ReadonlySet<string> = new Set(["s", "min", "us", "by"])
const reserved: ReadonlySet<string> = new Set(["count", "sum", "bucket", "created"])
const types: ReadonlySet<string> = new Set(["counter", "gauge", "histogram", "summary"])

/**
 * What could be named better (Prometheus, "Metric and label naming"; OpenMetrics 1.0, "Units and base units", "Suffixes"): base units in
 * the plural, `_total` on counters alone, snake case. An opinion: nothing is refused for it.
 */
export const lint = (definition: Pick<MetricDefinition, "name" | "type" | "unit" | "labelNames">): ReadonlyArray<MetricLint> => {
  const { name, type } = definition
  const found: Array<MetricLint> = []
  const because: Array<string> = []
  const unit = baseOf.get(definition.unit.toLowerCase()) ?? definition.unit
  if (unit !== definition.unit) {
    found.push({
      metric: name,
      field: "unit",
      better: unit,
      message: `metric "${name}": record ${unit} instead of ${definition.unit}, the base unit, and say unit: "${unit}"`
    })
  }

  const snake = snakeCase(name).replace(/_{2,}/g, "_").replace(/(?<=.)_$/, "")
  if (snake !== name) because.push("snake case")
  let words = snake.split("_")
  const drop = (why: string) => {
    words = words.slice(0, -1)
    because.push(why)
  }
  const total = words.at(-1) === "total" && words.length > 1
  if (total) words = words.slice(0, -1)
  if (words.length > 1 && types.has(words.at(-1)!)) drop("the type is no part of the name")
  if (words.length > 1 && (reserved.has(words.at(-1)!) || (words.at(-1) === "info" && type !== "gauge"))) {
    drop(`_${words.at(-1)} is a suffix that formats add themselves`)
  }

  const last = words.at(-1)!
  const base = ambiguous.has(last) && unit === "" ? undefined : baseOf.get(last)
  if (words.length > 1 && base !== undefined && (unit === "" || unit === base)) {
    words = [...words.slice(0, -1), base]
    because.push(`base unit ${base} instead of ${last}`)
  } else if (unit !== "" && last !== unit) {
    words = [...words, unit]
    because.push(`its unit is ${unit}`)
  }
  const named = words.at(-1)!
  if (unit === "" && words.length > 1 && Object.hasOwn(units, named)) {
    found.push({ metric: name, field: "unit", better: named, message: `metric "${name}": its name says ${named}, so say unit: "${named}"` })
  }
  if (type === "counter" && !total) because.push("a counter's name ends in _total")
  if (type !== "counter" && total) because.push("_total is for counters")
  const better = [...words, ...(type === "counter" ? ["total"] : [])].join("_")
  if (because.length > 0 && better !== name) {
    found.unshift({ metric: name, field: "name", better, message: `metric "${name}": "${better}" would be better (${because.join("; ")})` })
  }

  for (const label of definition.labelNames) {
    const better = snakeCase(label)
    if (better !== label) {
      found.push({ metric: name, field: "labelNames", better, message: `metric "${name}": label "${label}" would be better as "${better}" (snake case)` })
    }
  }
  return found
}
