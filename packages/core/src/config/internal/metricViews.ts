import type { MetricAllow, MetricView } from "../../metrics/internal/views.ts"
import { type Problem, Reader, type Shape } from "./Reader.ts"

const pattern = /^(?=.*[a-zA-Z0-9_*])\*?[a-zA-Z0-9_]*\*?$/
const patterns = "a list of names, each may begin or end with *"
const metricName = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,254}$/
const labelName = /^(?!__)(?!(?:le|quantile)$)[a-zA-Z_][a-zA-Z0-9_]{0,127}$/
const labelRule = "must match [a-zA-Z_][a-zA-Z0-9_]*, not start with __ and not be le or quantile"

export const allowOf = (metrics: Reader): MetricAllow => {
  const allow = metrics.group("allow")
  const list = (key: string) => {
    const found = allow.strings(key, [], pattern, patterns)
    return allow.get(key) === undefined ? undefined : found
  }
  const found = { metrics: list("metrics"), labels: list("labels") }
  allow.close()
  return found
}

export const viewsOf = (metrics: Reader, problems: Array<Problem>): ReadonlyArray<MetricView> => {
  metrics.describe("views", { type: "array", items: viewShape, default: [] })
  const given = metrics.get("views") ?? []
  if (!Array.isArray(given)) {
    metrics.wrong("views", "expected a list of views")
    return []
  }
  return given.map((one, i) => viewOf(new Reader(one, `metrics.views.${i}`, problems)))
}

const viewOf = (view: Reader): MetricView => {
  const name = view.string("name", "", pattern, "a metric's name, it may begin or end with *")
  if (name === "") view.wrong("name", "is needed: which metrics is this view for?")
  const rename = view.get("rename") === undefined ? undefined : view.string("rename", "", metricName, "a metric name: [a-zA-Z_][a-zA-Z0-9_]*")
  if (rename !== undefined && name.includes("*")) view.wrong("rename", `would give all metrics of ${JSON.stringify(name)} one name: name one metric`)
  if (rename?.startsWith("obs_") === true) view.wrong("rename", "must not begin with obs_: these names are the toolkit's own")
  const labels = record(view, "labels", (value) => value === false || (typeof value === "string" && labelName.test(value)), `each label's new name (it ${labelRule}), or false to add it up`)
  const constantLabels = record(view, "constantLabels", (value) => typeof value === "string", "each label's value as text")
  const buckets = view.get("buckets")
  if (buckets !== undefined && !areBuckets(buckets)) view.wrong("buckets", "expected 1 to 512 finite numbers, each above the one before")
  const drop = view.boolean("drop", false)
  view.close()
  return {
    name,
    drop,
    ...(rename === undefined ? {} : { rename }),
    labels: labels as Readonly<Record<string, string | false>>,
    constantLabels: constantLabels as Readonly<Record<string, string>>,
    ...(areBuckets(buckets) ? { buckets } : {})
  }
}

const record = (view: Reader, key: string, valid: (value: unknown) => boolean, expected: string): Readonly<Record<string, unknown>> => {
  const given = view.get(key) ?? {}
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    view.wrong(key, "expected an object by label name")
    return {}
  }
  const entries = Object.entries(given)
  for (const [label, value] of entries) {
    const at = `${key}.${label.slice(0, 60)}`
    if (!labelName.test(label)) view.wrong(at, `a label name ${labelRule}`)
    else if (!valid(value)) view.wrong(at, `expected ${expected}`)
  }
  return Object.fromEntries(entries.filter(([label, value]) => labelName.test(label) && valid(value)))
}

export const bucketsShape: Shape = { type: "array", items: { type: "number" }, minItems: 1, maxItems: 512, uniqueItems: true }

const viewShape: Shape = {
  type: "object",
  required: ["name"],
  properties: {
    name: { type: "string", pattern: pattern.source },
    drop: { type: "boolean", default: false },
    rename: { type: "string", pattern: metricName.source },
    labels: { type: "object", additionalProperties: { anyOf: [{ const: false }, { type: "string", pattern: labelName.source }] } },
    constantLabels: { type: "object", additionalProperties: { type: "string" } },
    buckets: bucketsShape
  },
  additionalProperties: false
}

/** Bounds of a histogram. */
export const areBuckets = (bounds: unknown): bounds is ReadonlyArray<number> =>
  Array.isArray(bounds) && bounds.length > 0 && bounds.length <= 512 &&
  bounds.every((bound, i) => Number.isFinite(bound) && (i === 0 || bound > bounds[i - 1]))
