import type { SpanData, SpanKind } from "../../SpanData.ts"
import type { Held, HoldingOptions } from "./Holding.ts"
import { type Decide, type Late, Root } from "./Root.ts"
import { type Sampler, sampler } from "./sampler.ts"

/** What a root span must be like; all that is given must fit. Text must be equal, a pattern must be found. */
export interface RuleMatch {
  readonly name?: string | RegExp
  readonly kind?: SpanKind
  /** `http.route`, known when the request was routed. */
  readonly route?: string | RegExp
  readonly attributes?: Readonly<Record<string, string | number | boolean | RegExp>>
}

export interface Rule extends RuleMatch {
  readonly sampler: Sampler
}

interface Started {
  readonly rule: Rule
  readonly decide: Decide
  readonly late: boolean
}

export const rulesSampler = (
  list: ReadonlyArray<Rule>,
  otherwise: Sampler,
  hold: HoldingOptions,
  holdProblems: ReadonlyArray<string>
): Sampler => {
  const problems = [...holdProblems, ...list.flatMap((rule) => rule.sampler.problems), ...otherwise.problems]
  return sampler(describe(list, otherwise), problems, (environment) => {
    if (problems.length > 0) return () => 0
    const started = list.map((rule): Started => ({
      rule,
      decide: rule.sampler.start(environment),
      late: rule.route !== undefined || rule.attributes !== undefined
    }))
    const decideOtherwise = otherwise.start(environment)
    if (!started.some(({ late }) => late)) {
      return (root) => (started.find(({ rule }) => begins(rule, root))?.decide ?? decideOtherwise)(root)
    }
    const holding = environment.hold(hold)
    const ended = new Root()
    const over = (inner: Late | undefined): Late => ({
      holding,
      decide: (span, isRoot, held) => {
        if (!isRoot) return inner?.decide(span, false, held) ?? "wait"
        for (const { decide, late, rule } of started) {
          if (!begins(rule, span)) continue
          if (!late) break
          if (fits(rule, span)) return finish(decide, ended, span, held)
        }
        return inner?.decide(span, true, held) ?? "fallback"
      }
    })
    const own = over(undefined)
    return (root) => {
      const now = started.find(({ late, rule }) => !late && begins(rule, root))
      const probability = (now?.decide ?? decideOtherwise)(root)
      const before = now === undefined ? started : started.slice(0, started.indexOf(now))
      if (before.some(({ late, rule }) => late && (rule.kind === undefined || rule.kind === root.kind))) {
        root.late = root.late === undefined ? own : over(root.late)
      }
      return probability
    }
  })
}

const describe = (list: ReadonlyArray<Rule>, otherwise: Sampler): string =>
  `rules(${list.map((rule) => JSON.stringify(rule, (_, value) => value instanceof RegExp ? String(value) : value)).join(", ")}, ${otherwise.description})`

/** Asks a sampler about a trace whose root has ended; one that would wait for it has it now. */
const finish = (decide: Decide, root: Root, span: SpanData, held: Held): number => {
  root.begin(span.name, span.kind, "none", 1)
  const probability = decide(root)
  held.tally = root.tally
  const later = root.late?.decide(span, true, held)
  return typeof later === "number" ? later : probability
}

const begins = (rule: RuleMatch, root: { readonly name: string; readonly kind: SpanKind }): boolean =>
  (rule.kind === undefined || rule.kind === root.kind) && (rule.name === undefined || equals(rule.name, root.name))

const fits = (rule: RuleMatch, span: SpanData): boolean => {
  if (rule.route !== undefined && !equals(rule.route, span.attributes.get("http.route"))) return false
  for (const [key, wanted] of Object.entries(rule.attributes ?? {})) {
    if (!equals(wanted, span.attributes.get(key))) return false
  }
  return true
}

const equals = (wanted: string | number | boolean | RegExp, value: unknown): boolean => {
  if (!(wanted instanceof RegExp)) return wanted === value
  // A global pattern would go on where it last stopped.
  wanted.lastIndex = 0
  return typeof value === "string" && wanted.test(value)
}
