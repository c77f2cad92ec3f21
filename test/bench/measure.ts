import { type Case, collect, type Declare, median, type Side, timeUnits } from "./Bench.ts"

/** What one process found about a case. */
export interface ProcessResult {
  readonly name: string
  readonly median: number
  readonly baseline: number | undefined
  /** Median of subject over baseline, sample by sample: neighbours in time share the machine's mood, so it is steadier than the ratio of the medians. */
  readonly ratio: number | undefined
}

const samples = 15
const warmUpMillis = 250
/** Long enough that the clock and one scavenge do not matter, short enough to share a noisy machine fairly. */
const sampleMillis = 20

/** Measures the named cases of a declaration in this process: every sample of every case in turn, so that noise hits all alike. */
export const measureGroup = async (declare: Declare, names: ReadonlyArray<string>): Promise<ReadonlyArray<ProcessResult>> => {
  const cases = (await collect(declare)).filter(({ name }) => names.includes(name))
  const samplers: Array<Sampler> = []
  for (const one of cases) {
    await one.setup?.()
    samplers.push(one.kind === "compare" ? await comparisonSampler(one) : measurementSampler(one))
  }
  const rounds = Math.max(0, ...samplers.map((sampler) => sampler.samples))
  for (let round = 0; round < rounds; round++) {
    for (const sampler of samplers) {
      if (round < sampler.samples) await sampler.sample(round % 2 === 1)
    }
  }
  for (const one of cases.toReversed()) await one.teardown?.()
  return samplers.map(({ baseline, name, subject }) => ({
    name,
    median: median(subject),
    baseline: baseline.length === 0 ? undefined : median(baseline),
    ratio: baseline.length === 0 ? undefined : median(subject.map((value, i) => value / baseline[i]!))
  }))
}

interface Sampler {
  readonly name: string
  readonly samples: number
  readonly subject: Array<number>
  readonly baseline: Array<number>
  /** One sample of each side; the baseline goes first when `swapped`. */
  readonly sample: (swapped: boolean) => Promise<void>
}

const comparisonSampler = async (one: Case & { readonly kind: "compare" }): Promise<Sampler> => {
  const factor = timeUnits[one.unit]
  // Both sides are warm before either is calibrated: the second one would otherwise meet code the first has not yet spoilt.
  await warmUp(one.subject)
  await warmUp(one.baseline)
  const subject = { side: one.subject, calls: await calibrate(one.subject), out: [] as Array<number> }
  const baseline = { side: one.baseline, calls: await calibrate(one.baseline), out: [] as Array<number> }
  return {
    name: one.name,
    samples,
    subject: subject.out,
    baseline: baseline.out,
    sample: async (swapped) => {
      for (const { calls, out, side } of swapped ? [baseline, subject] : [subject, baseline]) {
        // No forced collection in between: it shrinks the young generation, and what allocates then costs twice as much.
        out.push((await nanosPerOp(side, calls)) * factor)
      }
    }
  }
}

const measurementSampler = (one: Case & { readonly kind: "measure" }): Sampler => {
  const subject: Array<number> = []
  const baseline: Array<number> = []
  return {
    name: one.name,
    samples: one.samples ?? samples,
    subject,
    baseline,
    sample: async (swapped) => {
      const first = async () => void subject.push(await one.run())
      const second = async () => void (one.baseline !== undefined && baseline.push(await one.baseline.run()))
      for (const next of swapped ? [second, first] : [first, second]) await next()
    }
  }
}

const warmUp = async (side: Side): Promise<void> => {
  const until = performance.now() + warmUpMillis
  let calls = 0
  while (calls < 3 || performance.now() < until) {
    await nanosPerOp(side, 1)
    calls++
  }
}

const calibrate = async (side: Side): Promise<number> => {
  const tries: Array<number> = []
  for (let i = 0; i < 3; i++) tries.push((await nanosPerOp(side, 1)) * side.ops)
  return Math.max(1, Math.min(100_000, Math.round((sampleMillis * 1e6) / median(tries))))
}

const nanosPerOp = async (side: Side, calls: number): Promise<number> => {
  const start = performance.now()
  for (let i = 0; i < calls; i++) {
    const result = side.run()
    if (result !== undefined) await result
  }
  return ((performance.now() - start) * 1e6) / (calls * side.ops)
}
