import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { HoldingOptions } from "./internal/Holding.ts"
import type { Decide, Late, RootSpan, SamplingEnvironment } from "./internal/Root.ts"
import { rulesSampler, type Rule } from "./internal/rules.ts"
import { type Sampler, sampler } from "./internal/sampler.ts"
import { Shares } from "./internal/Shares.ts"
import { type TailSettings, tailSampler } from "./internal/tail.ts"

export type { Sampler } from "./internal/sampler.ts"
export { isSampler } from "./internal/sampler.ts"
export type { RootSpan } from "./internal/Root.ts"
export type { Rule, RuleMatch } from "./internal/rules.ts"

// Samplers are values that compose. Each says with which probability a trace is kept that begins in this process (a new one, or one
// whose caller is elsewhere); the trace's randomness then decides, the same in every service. A trace is kept whole or dropped whole.
//
// @example
// ```ts
// Sampler.tail({ rest: Sampler.parentBased(Sampler.ratio(0.01)) })
// ```

/** Keeps everything. */
export const always: Sampler = sampler("always", [], () => () => 1, 1)

/** Keeps nothing. */
export const never: Sampler = sampler("never", [], () => () => 0, 0)

/** Keeps this share of the traces, by trace id: services with the same ratio keep the same traces. */
export const ratio = (probability: number): Sampler => {
  const problems = inRange("ratio", probability, 0, 1)
  const share = problems.length === 0 ? probability : 0
  return sampler(`ratio(${probability})`, problems, () => () => share, share)
}

/** A sampler of your own: the probability for a root span. What it throws, or what is no number, keeps nothing. */
export const make = (description: string, probability: (root: RootSpan) => number): Sampler =>
  sampler(description, [], () => (root) => {
    try {
      const share: unknown = probability({ name: root.name, kind: root.kind, parent: root.parent })
      return typeof share === "number" ? share : 0
    } catch {
      return 0
    }
  })

export interface ParentBasedOptions {
  /** For a trace whose caller kept it; default `always`. `rateLimited(n)` caps what callers can force. */
  readonly remoteParentSampled?: Sampler
  /** For a trace whose caller dropped it; default `never`. */
  readonly remoteParentNotSampled?: Sampler
  /**
   * Whether the caller's decision counts; default `true`. At a public edge say `false`: then `root` decides, by randomness of our own
   * and not by the caller's trace id.
   */
  readonly trust?: boolean | ((root: RootSpan) => boolean)
}

/** Follows the caller's decision where there is one and it can be trusted; `root` decides about all other traces. */
export const parentBased = (root: Sampler, options: ParentBasedOptions = {}): Sampler => {
  const { remoteParentNotSampled = never, remoteParentSampled = always, trust = true } = options
  return sampler(
    `parentBased(${root.description}, sampled: ${remoteParentSampled.description}, not sampled: ${remoteParentNotSampled.description}, ` +
      `trust: ${typeof trust === "boolean" ? trust : "by root"})`,
    [...root.problems, ...remoteParentSampled.problems, ...remoteParentNotSampled.problems],
    (environment) => {
      const begins = root.start(environment)
      const kept = remoteParentSampled.start(environment)
      const dropped = remoteParentNotSampled.start(environment)
      // Where dropped traces are dropped here too, one that is kept stands for all those its caller saw.
      const inherits = remoteParentNotSampled === never
      return (span) => {
        if (span.parent === "none") return begins(span)
        span.fresh = true
        if (!trusts(trust, span)) return begins(span)
        if (span.parent === "not_sampled") return dropped(span)
        span.inherits = inherits
        return kept(span)
      }
    },
    root.fixed
  )
}

const trusts = (trust: boolean | ((root: RootSpan) => boolean), { kind, name, parent }: RootSpan): boolean => {
  if (typeof trust === "boolean") return trust
  try {
    return trust({ kind, name, parent }) === true
  } catch {
    return false
  }
}

/**
 * The first rule that fits decides, `otherwise` when none does. Rules on `name` and `kind` decide when the root begins (the name is the
 * one it began with). Rules on `route` and `attributes`, which exist only later, decide when it ends: until then its spans are held, and
 * what goes out to other services follows the rules that can be decided at once.
 */
export const rules = (list: ReadonlyArray<Rule>, otherwise: Sampler = always, options: HoldOptions = {}): Sampler => {
  const hold = holdSettings(options)
  return rulesSampler(list, otherwise, hold.settings, hold.problems)
}

/** At most about this many spans per second, whatever they are; a burst is thinned out as it comes. */
export const rateLimited = (spansPerSecond: number): Sampler =>
  sharing(`rateLimited(${spansPerSecond})`, inRange("rateLimited: spansPerSecond", spansPerSecond, Number.MIN_VALUE, 1e9), (environment) =>
    byFirstName(new Shares(spansPerSecond, 0), environment))

export interface AdaptiveOptions extends HoldOptions {
  /** The goal. */
  readonly spansPerSecond: number
  /** Most operations told apart; further ones share one part. Default 200. */
  readonly maxOperations?: number
  /**
   * Whether to decide when the root has ended, by the name it has then: HTTP server spans get the name of their route late. Until then
   * spans are held; what goes out to other services goes by the least probability of all operations. Default `false`.
   */
  readonly atEnd?: boolean
}

/**
 * A goal in spans per second, shared fairly over operations (names of root spans): what one does not use is lent to the others, and shares
 * are corrected every second.
 */
export const adaptive = (options: AdaptiveOptions): Sampler => {
  const { atEnd = false, maxOperations = 200, spansPerSecond } = options
  const hold = holdSettings(options)
  const problems = [
    ...inRange("adaptive: spansPerSecond", spansPerSecond, Number.MIN_VALUE, 1e9),
    ...inRange("adaptive: maxOperations", maxOperations, 1, 100_000),
    ...hold.problems
  ]
  const bounds = atEnd ? `, at end, ${JSON.stringify(hold.settings)}` : ""
  return sharing(`adaptive(${spansPerSecond}, ${maxOperations} operations${bounds})`, problems, (environment) => {
    const shares = new Shares(spansPerSecond, maxOperations)
    return atEnd ? byLastName(shares, environment, hold.settings) : byFirstName(shares, environment)
  })
}

const sharing = (description: string, problems: ReadonlyArray<string>, start: Sampler["start"]): Sampler =>
  sampler(description, problems, (environment) => problems.length > 0 ? () => 0 : start(environment))

const byFirstName = (shares: Shares, { now }: SamplingEnvironment): Decide => (root) => {
  // Callers must not be able to pass a limit by choosing their trace ids.
  if (root.parent !== "none") root.fresh = true
  const share = shares.share(root.name, now())
  root.tally = share
  return shares.probability(share)
}

const byLastName = (shares: Shares, { hold, now }: SamplingEnvironment, bounds: HoldingOptions): Decide => {
  const late: Late = {
    holding: hold(bounds),
    decide: (span, isRoot, held) => {
      if (!isRoot) return "wait"
      const share = shares.share(span.name, now())
      held.tally = share
      return shares.probability(share)
    }
  }
  return (root) => {
    if (root.parent !== "none") root.fresh = true
    root.late = late
    return shares.least(now())
  }
}

/** Bounds of what is held while a trace is undecided; past one of them the oldest trace is decided by what is known. */
export interface HoldOptions {
  /** Default 32 MiB. */
  readonly maxBytes?: number
  /** Default 10,000. */
  readonly maxTraces?: number
  /** Default 30 s. */
  readonly maxAge?: Duration.Input
}

export interface TailOptions extends HoldOptions {
  /** Keep traces in which a span fails; default `true`. */
  readonly errors?: boolean
  /** Keep traces slower than this quantile of their operation; default 0.99, `false` for none. */
  readonly slowerThan?: number | false
  /** Keep the first so many traces of each operation; default 1. An operation not seen for ten minutes counts as new. */
  readonly firstSeen?: number
  /**
   * Most spans per second kept for their errors, slowness or novelty, shared fairly over operations; default no limit. During an outage
   * every trace has an error.
   */
  readonly spansPerSecond?: number
  /** Decides about all others, and what goes out to other services; default `parentBased(ratio(0.01))`. */
  readonly rest?: Sampler
  /** Most operations (names of root spans) told apart; default 200. */
  readonly maxOperations?: number
}

/**
 * Holds the spans of a trace until its first span in this process ends, then keeps what people look for: traces with errors, slow ones,
 * first ones of their operation, and as many of the rest as `rest` says.
 */
export const tail = (options: TailOptions = {}): Sampler => {
  const hold = holdSettings(options)
  const { errors = true, firstSeen = 1, maxOperations = 200, rest = parentBased(ratio(0.01)), slowerThan = 0.99, spansPerSecond } = options
  const settings: TailSettings = {
    errors,
    quantile: slowerThan === false ? undefined : slowerThan,
    firstSeen,
    maxOperations,
    limit: spansPerSecond,
    hold: hold.settings
  }
  return tailSampler(rest, settings, [
    ...(slowerThan === false ? [] : inRange("tail: slowerThan", slowerThan, 0.5, 0.9999)),
    ...inRange("tail: firstSeen", firstSeen, 0, 1_000_000),
    ...inRange("tail: maxOperations", maxOperations, 1, 100_000),
    ...(spansPerSecond === undefined ? [] : inRange("tail: spansPerSecond", spansPerSecond, Number.MIN_VALUE, 1e9)),
    ...hold.problems
  ])
}

const holdSettings = ({ maxAge = "30 seconds", maxBytes = 32 * 1024 * 1024, maxTraces = 10_000 }: HoldOptions) => {
  const millis = Option.match(Duration.fromInput(maxAge), { onNone: () => NaN, onSome: Duration.toMillis })
  return {
    settings: { maxBytes, maxTraces, maxAge: millis },
    problems: [
      ...inRange("maxBytes", maxBytes, 1024, 2 ** 40),
      ...inRange("maxTraces", maxTraces, 1, 10_000_000),
      ...inRange("maxAge in milliseconds", millis, 1, 86_400_000)
    ]
  }
}

const inRange = (what: string, value: unknown, least: number, most: number): ReadonlyArray<string> =>
  typeof value === "number" && value >= least && value <= most
    ? []
    : [`${what}: expected a number from ${least === Number.MIN_VALUE ? "above 0" : least} to ${most}, got ${String(value)}`]

/** What the settings say in a word: OpenTelemetry's names of samplers. */
export type SamplerName =
  | "always_on"
  | "always_off"
  | "traceidratio"
  | "parentbased_always_on"
  | "parentbased_always_off"
  | "parentbased_traceidratio"

/** Most spans per second that callers can force on a program that keeps only a part of its traces. */
const forcedSpansPerSecond = 10_000

/** The sampler of a name and a ratio; `undefined` when there is none of this name. */
export const named = (name: string, probability: number): Sampler | undefined => {
  const [, based, base] = /^(parentbased_)?(always_on|always_off|traceidratio)$/.exec(name) ?? []
  if (base === undefined) return undefined
  const root = base === "always_on" ? always : base === "always_off" ? never : ratio(probability)
  if (based === undefined) return root
  // Where everything is kept anyway a caller forces nothing.
  const thins = root === never || (root !== always && probability < 1)
  return parentBased(root, thins ? { remoteParentSampled: rateLimited(forcedSpansPerSecond) } : {})
}
