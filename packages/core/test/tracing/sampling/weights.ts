import * as IdGenerator from "../../../src/tracing/IdGenerator.ts"
import * as Sampler from "../../../src/tracing/sampling/Sampler.ts"
import { sampling } from "./support.ts"

const perTrace = 4
const operations = ["GET /orders", "POST /orders", "GET /users/:id", "job"] as const

export interface Load {
  readonly name: string
  readonly sampler: Sampler.Sampler
  /** How far the weighted count of one operation may be off after ten million spans: some five standard deviations of the rarest. */
  readonly each: number
}

export const loads: ReadonlyArray<Load> = [
  { name: "ratio 10 %", sampler: Sampler.ratio(0.1), each: 0.03 },
  { name: "ratio 1 %", sampler: Sampler.ratio(0.01), each: 0.06 },
  { name: "rate-limited to 2,000 spans/s", sampler: Sampler.rateLimited(2000), each: 0.03 },
  { name: "adaptive at 2,000 spans/s", sampler: Sampler.adaptive({ spansPerSecond: 2000 }), each: 0.03 },
  { name: "adaptive at 2,000 spans/s, at the end", sampler: Sampler.adaptive({ spansPerSecond: 2000, atEnd: true }), each: 0.03 },
  { name: "tail over a ratio of 10 %", sampler: Sampler.tail({ rest: Sampler.ratio(0.1) }), each: 0.03 },
  { name: "tail over adaptive at 2,000 spans/s", sampler: Sampler.tail({ rest: Sampler.adaptive({ spansPerSecond: 2000 }) }), each: 0.03 },
  {
    name: "by rules",
    sampler: Sampler.rules([{ name: "job", sampler: Sampler.always }, { attributes: { tier: "gold" }, sampler: Sampler.ratio(0.5) }], Sampler.ratio(0.1)),
    each: 0.03
  }
]

/** Spans in virtual time, 10 traces a second and then 5,000, with lulls: what was kept, and how far the weights are off. */
export const weigh = (sampler: Sampler.Sampler, spans: number, seed: number) => {
  const counted = new Map<string, number>()
  let kept = 0
  let all = 0
  const world = sampling(sampler, {
    seed,
    onKeep: (span) => {
      kept++
      all += span.weight
      // The root alone bears the operation's name.
      if (span.name !== "child") counted.set(span.name, (counted.get(span.name) ?? 0) + span.weight)
    }
  })
  const ids = IdGenerator.fromSeed(99)
  const uniform = () => (ids.next() >>> 0) / 2 ** 32
  const truth = new Map<string, number>()
  for (let i = 0; i < spans / perTrace; i++) {
    world.clock.millis += i < 5_000 ? 100 : i % 500_000 === 0 ? 20_000 : 0.2
    const operation = operations[Math.floor(uniform() ** 2 * 4)]!
    truth.set(operation, (truth.get(operation) ?? 0) + 1)
    world.trace({
      name: operation,
      spans: perTrace,
      duration: Math.round(-Math.log(1 - uniform()) * 5e6) + 1,
      ...(uniform() < 0.01 ? { failed: "child" as const } : {}),
      ...(i % 10 === 0 ? { attributes: { tier: "gold" } } : {})
    })
  }
  return {
    kept,
    counted: all,
    off: all / spans - 1,
    worst: Math.max(...[...truth].map(([operation, n]) => Math.abs((counted.get(operation) ?? 0) / n - 1))),
    imbalance: world.imbalance()
  }
}
