/** One way of doing the job. `run` does it `ops` times; time is divided by `ops`. */
export interface Side {
  readonly name: string
  readonly ops: number
  readonly run: () => void | Promise<void>
}

/** Where the budget stands: `moonshot` is the aim, `must` the line no release crosses. */
interface Budget {
  readonly must?: number
  readonly moonshot?: number
  /** What `must` and `moonshot` bound: the ratio to the baseline (default where there is one), or the subject's own value. */
  readonly budget?: "ratio" | "value"
  /** Which way is good; `lower` unless the unit counts work per time. */
  readonly better?: "lower" | "higher"
}

interface Lifecycle {
  /** Runs in the measuring process before the case's warm-up; state built here costs the other cases nothing. */
  readonly setup?: () => void | Promise<void>
  readonly teardown?: () => void | Promise<void>
}

/** Subject and baseline timed in turn in the same process. */
export interface Comparison extends Budget, Lifecycle {
  /** Name of the budget and of its results file: `A1`, `A1.gauge`. */
  readonly name: string
  readonly unit: TimeUnit
  readonly baseline: Side
  readonly subject: Side
}

/** Something that measures itself (bytes, rows per second, a longest gap): `run` gives one sample in `unit`. */
export interface Measurement extends Budget, Lifecycle {
  readonly name: string
  readonly unit: string
  readonly run: () => number | Promise<number>
  readonly baseline?: { readonly name: string; readonly run: () => number | Promise<number> }
  /** Samples per process, 15 unless told. */
  readonly samples?: number
}

export const timeUnits = { "ns/op": 1, "us/op": 1e-3, "ms/op": 1e-6 } as const
export type TimeUnit = keyof typeof timeUnits

/**
 * What a `*.bench.ts` file gets: its default export only declares cases, it measures nothing itself.
 *
 * Cases whose names share the part before the first dot form a group and are measured in the same processes, sample by
 * sample in turn, so that they can be compared with each other.
 */
export interface Bench {
  readonly compare: (comparison: Comparison) => void
  readonly measure: (measurement: Measurement) => void
}

export type Declare = (bench: Bench) => void | Promise<void>

export type Case =
  | (Comparison & { readonly kind: "compare" })
  | (Measurement & { readonly kind: "measure" })

/** The cases a bench file declares, in order; a name may be declared once. */
export const collect = async (declare: Declare): Promise<ReadonlyArray<Case>> => {
  const cases: Array<Case> = []
  const add = (one: Case) => {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(one.name)) throw new Error(`bench case ${one.name}: use letters, digits, dots and dashes`)
    if (cases.some(({ name }) => name === one.name)) throw new Error(`bench case ${one.name} is declared twice`)
    cases.push(one)
  }
  await declare({
    compare: (comparison) => add({ ...comparison, kind: "compare" }),
    measure: (measurement) => add({ ...measurement, kind: "measure" })
  })
  return cases
}

/** What is written for a case; the same for every run, so that a diff shows only what was measured. */
export interface Result {
  readonly name: string
  readonly unit: string
  /** Median of the processes' medians. */
  readonly median: number
  /** The subject's median in each process. */
  readonly runs: ReadonlyArray<number>
  readonly baseline: { readonly name: string; readonly median: number } | undefined
  /** Subject over baseline: the median of the processes' ratios, each the median of its paired samples. */
  readonly ratio: number | undefined
  readonly budget: "ratio" | "value"
  readonly better: "lower" | "higher"
  readonly must: number | undefined
  readonly moonshot: number | undefined
  readonly versions: Readonly<Record<string, string>>
  readonly cpu: string
  readonly date: string
}

export type Verdict = "moonshot" | "met" | "MISSED" | "-"

export const verdict = (result: Pick<Result, "median" | "ratio" | "budget" | "better" | "must" | "moonshot">): Verdict => {
  const value = result.budget === "ratio" ? result.ratio : result.median
  if (value === undefined || (result.must === undefined && result.moonshot === undefined)) return "-"
  const within = (bound: number | undefined) => bound !== undefined && (result.better === "lower" ? value <= bound : value >= bound)
  if (within(result.moonshot)) return "moonshot"
  return result.must === undefined || within(result.must) ? "met" : "MISSED"
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return NaN
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
