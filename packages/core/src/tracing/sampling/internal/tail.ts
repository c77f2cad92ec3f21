import type { Held, HoldingOptions } from "./Holding.ts"
import { Operations } from "./Operations.ts"
import type { Late } from "./Root.ts"
import { type Sampler, sampler } from "./sampler.ts"
import { Shares } from "./Shares.ts"

export interface TailSettings {
  readonly errors: boolean
  readonly quantile: number | undefined
  readonly firstSeen: number
  readonly maxOperations: number
  /** Spans per second; `undefined` for no limit. */
  readonly limit: number | undefined
  readonly hold: HoldingOptions
}

export const tailSampler = (rest: Sampler, settings: TailSettings, problems: ReadonlyArray<string>): Sampler =>
  sampler(`tail(${rest.description}, ${JSON.stringify(settings)})`, [...problems, ...rest.problems], (environment) => {
    if (problems.length > 0) return () => 0
    const decideRest = rest.start(environment)
    const holding = environment.hold(settings.hold)
    const operations = new Operations({ quantile: settings.quantile, most: settings.maxOperations })
    const shares = settings.limit === undefined ? undefined : new Shares(settings.limit, settings.maxOperations)
    /** With which probability an interesting trace is kept; under a limit no less often than the rest. */
    const interesting = (name: string, held: Held): number | "fallback" => {
      if (shares === undefined) return 1
      const share = shares.share(name, environment.now())
      held.tally = share
      const probability = shares.probability(share)
      return held.fallback !== undefined && probability <= 1 / held.fallback.weight ? "fallback" : probability
    }
    /** Asks `inner` about what is not interesting by itself. */
    const over = (inner: Late | undefined): Late => ({
      holding,
      decide: (span, isRoot, held) => {
        const failed = settings.errors && held.failed
        if (!isRoot) return failed ? interesting(span.name, held) : inner?.decide(span, false, held) ?? "wait"
        const { seenBefore, slow } = operations.add(span.name, Number(span.endTime - span.startTime), environment.now())
        if (failed || slow || seenBefore < settings.firstSeen) return interesting(span.name, held)
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
