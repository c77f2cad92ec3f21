import type { LabelMatcher, RangeQuery } from "@effect-observability/core"
import type { Random } from "../support/random.ts"
import { begin, Counted, grid, instances, moments, paths, type Sample, type Scraped, Set_, Timed, type World } from "./world.ts"

/** A question in our words and in PromQL, over times of the grid. */
export interface Question {
  readonly ours: RangeQuery
  readonly promQl: string
  /** Moments. */
  readonly first: number
  readonly last: number
  readonly step: number
  readonly window: number
  /** Of the series it reads, by their group: whether both are asked for the same thing at a moment. */
  readonly kind: "increase" | "inWindow" | "atMoment"
  readonly reads: string
  readonly passes: (labels: Readonly<Record<string, string>>) => boolean
}

export const makeQuestion = (random: Random): Question => {
  const step = random.int(1, 12)
  const window = random.int(2, 30)
  const first = random.int(0, moments - 60)
  const last = Math.min(moments, first + step * random.int(5, 40))
  const groupBy = random.pick<ReadonlyArray<string> | undefined>([undefined, [], ["path"], ["instance"], ["path", "instance"]])
  const { labels, passes, selector } = makeMatchers(random)
  const by = (aggregation: string, inner: string, more = "") =>
    groupBy === undefined ? inner : `${aggregation} by (${[...groupBy, more].filter((name) => name !== "").join(", ")}) (${inner})`
  const closed = `[${window * grid}s]`
  // Prometheus's windows hold both ends, ours only the later one.
  const open = `[${window * grid - 1}s999ms]`
  const base = { first, last, step, window, passes, kind: "increase" as const, reads: "world_total" }
  const time = (moment: number) => (begin + moment * grid) * 1000
  const query = {
    start: time(first), end: time(last), step: step * grid * 1000, window: window * grid * 1000, labels,
    ...(groupBy === undefined ? {} : { groupBy })
  }
  const top = random.chance(0.15) ? random.int(1, 4) : undefined
  const topped = (question: Question): Question =>
    top === undefined ? question : { ...question, promQl: `topk(${top}, ${question.promQl})`, ours: { ...question.ours, k: top } }

  switch (random.int(0, 9)) {
    case 0:
    case 1:
    case 2: {
      const name = random.pick(["rate", "increase"] as const)
      return topped({ ...base, ours: { ...query, metric: Counted, function: name }, promQl: by("sum", `${name}(world_total${selector}${closed})`) })
    }
    case 3:
    case 4: {
      const quantile = random.pick([0.5, 0.9, 0.95, 0.99, 0.123, 1])
      const inner = `rate(world_seconds_bucket${selector}${closed})`
      return topped({
        ...base, reads: "world_seconds_count", ours: { ...query, metric: Timed, function: "quantile", quantile },
        promQl: `histogram_quantile(${quantile}, ${by("sum", inner, "le")})`
      })
    }
    case 5: {
      const [name, of, over] = random.pick([["rate", "count", "rate"], ["count", "count", "increase"], ["sum", "sum", "increase"]] as const)
      return topped({
        ...base, reads: `world_seconds_${of}`, ours: { ...query, metric: Timed, function: name },
        promQl: by("sum", `${over}(world_seconds_${of}${selector}${closed})`)
      })
    }
    case 6:
      return {
        ...base, reads: "world_seconds_count", ours: { ...query, metric: Timed, function: "avg" },
        promQl: `${by("sum", `increase(world_seconds_sum${selector}${closed})`)} / ${by("sum", `increase(world_seconds_count${selector}${closed})`)}`
      }
    case 7:
    case 8: {
      const name = groupBy === undefined ? random.pick(["avg", "min", "max", "last"] as const) : random.pick(["avg", "min", "max"] as const)
      return topped({
        ...base, kind: "inWindow", reads: "world_depth", ours: { ...query, metric: Set_, function: name },
        promQl: by(name, `${name}_over_time(world_depth${selector}${open})`)
      })
    }
    default: {
      const name = random.pick(["sum", "count"] as const)
      const groups = groupBy ?? []
      return topped({
        ...base, kind: "atMoment", reads: "world_depth", ours: { ...query, groupBy: groups, metric: Set_, function: name },
        promQl: `${name} by (${groups.join(", ")}) (world_depth${selector})`
      })
    }
  }
}

const quoted = (value: string) => `"${value.replaceAll("\\", "\\\\").replaceAll("\"", "\\\"")}"`
const literally = (value: string) => value.replace(/[\\^$.|?*+()[\]{}/]/g, "\\$&")

const makeMatchers = (random: Random): {
  readonly labels: Readonly<Record<string, string | LabelMatcher>>
  readonly selector: string
  readonly passes: Question["passes"]
} => {
  const label = random.pick(["path", "instance"])
  const values = label === "path" ? paths : instances
  const value = random.pick(values)
  const some = values.filter(() => random.chance(0.5))
  const prefix = random.pick(["/", "/a", "i", "", "x"])
  const make = (matcher: string | LabelMatcher, promQl: string, test: (value: string) => boolean) => ({
    labels: { [label]: matcher }, selector: `{${label}${promQl}}`, passes: (labels: Readonly<Record<string, string>>) => test(labels[label]!)
  })
  switch (random.int(0, 7)) {
    case 0:
      return make(value, `=${quoted(value)}`, (one) => one === value)
    case 1:
      return make({ neq: value }, `!=${quoted(value)}`, (one) => one !== value)
    case 2:
      return make({ in: some }, `=~${quoted(some.map(literally).join("|"))}`, (one) => some.includes(one))
    case 3:
      return make({ prefix }, `=~${quoted(`${literally(prefix)}.*`)}`, (one) => one.startsWith(prefix))
    default:
      return { labels: {}, selector: "", passes: () => true }
  }
}

// ------------------------------------------------------------------------------------------------------- where both must agree

/**
 * Whether Prometheus needs no guess at this moment for this series: a rate is extrapolated unless there is a sample at both
 * ends of the window (a process that starts inside begins at 0); a set value may be held by one of the two only.
 */
export const isComparable = ({ kind, window }: Question, { samples }: Scraped, moment: number): boolean => {
  const latest = samples.findLast((sample) => sample.moment <= moment && sample.span > 0)
  if (kind === "increase") {
    const seen = samples.filter((sample) => sample.moment >= moment - window && sample.moment <= moment)
    const counted = samples.some((sample) => sample.moment > moment - window && sample.moment - sample.span < moment && sample.span > 0)
    // Two samples with no process between them are 0 to Prometheus, and nothing to us.
    if (seen.length < 2 || !counted) return seen.length < 2 && !counted
    const first = seen[0]!
    return seen.at(-1)!.moment === moment && (first.moment === moment - window || first.span === 0)
  }
  // Two intervals, as long as the interval the value came with.
  const holds = latest !== undefined && moment - latest.moment < Math.min(2 * latest.span, 600 / grid)
  if (kind === "inWindow") return holds === false || (latest !== undefined && latest.moment > moment - window)
  return holds === (latest !== undefined && moment - latest.moment < 2)
}

/** The increase of a series in `(moment - window, moment]` by plain counting; `undefined` where nothing is known. */
export const recounted = ({ samples }: Scraped, moment: number, window: number): number | undefined => {
  let total: number | undefined
  let before: Sample | undefined
  for (const sample of samples) {
    const from = sample.moment - sample.span
    const overlap = Math.min(sample.moment, moment) - Math.max(from, moment - window)
    if (sample.span > 0 && overlap > 0) total = (total ?? 0) + (sample.value - before!.value) * (overlap / sample.span)
    before = sample
  }
  return total
}

export const readBy = (world: World, question: Question): ReadonlyArray<Scraped> =>
  [...world.scraped.values()].filter(({ labels, name }) => name === question.reads && question.passes(labels))

export const groupOf = (question: Question, labels: Readonly<Record<string, string>>): string =>
  keyOf(Object.fromEntries((question.ours.groupBy ?? Object.keys(labels)).map((name) => [name, labels[name] ?? ""])))

/** Labels as one text, without the name and without empty ones. */
export const keyOf = (labels: Readonly<Record<string, string>>): string =>
  JSON.stringify(Object.entries(labels).filter(([name, value]) => name !== "__name__" && value !== "").sort(([a], [b]) => (a < b ? -1 : 1)))
