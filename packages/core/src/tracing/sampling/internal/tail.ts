import type { HoldingOptions } from "./Holding.ts"
import { Operations } from "./Operations.ts"
import type { Late } from "./Root.ts"
import { type Sampler, sampler } from "./sampler.ts"

export interface TailSettings {
  readonly errors: boolean
  readonly quantile: number | undefined
  readonly firstSeen: number
  readonly maxOperations: number
  readonly hold: HoldingOptions
}

export const tailSampler = (rest: Sampler, settings: TailSettings, problems: ReadonlyArray<string>): Sampler =>
  sampler(`tail(${rest.description}, ${JSON.stringify(settings)})`, [...problems, ...rest.problems], (environment) => {
    if (problems.length > 0) return () => 0
    const decideRest = rest.start(environment)
    const holding = environment.hold(settings.hold)
    const operations = new Operations({ quantile: settings.quantile, most: settings.maxOperations })
    /** Asks `inner` about what is not interesting by itself. */
    const over = (inner: Late | undefined): Late => ({
      holding,
      decide: (span, isRoot, held) => {
        const failed = settings.errors && held.failed
        if (!isRoot) return failed ? 1 : inner?.decide(span, false, held) ?? "wait"
        const { seenBefore, slow } = operations.add(span.name, Number(span.endTime - span.startTime), environment.now())
        if (failed || slow || seenBefore < settings.firstSeen) return 1
        return inner?.decide(span, true, held) ?? "fallback"
      }
    })
    const own = over(undefined)
    let last = own
    let lastInner: Late | undefined
    return (root) => {
      const probability = decideRest(root)
      const inner = root.late
      if (inner === undefined) root.late = own
      else {
        if (inner !== lastInner) {
          lastInner = inner
          last = over(inner)
        }
        root.late = last
      }
      return probability
    }
  })
