import { AlertRule, MetricDefinition } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import { CommandError, first } from "./CommandError.ts"

export interface Own {
  readonly definitions: ReadonlyArray<MetricDefinition.MetricDefinition>
  readonly rules: ReadonlyArray<AlertRule.AlertRule>
}

/** How long a module may take to load: one that waits for something at its top level would be waited for without end. */
const patience = "30 seconds"

/** How many values of a module's exports are looked at, and how deep. */
const most = 100_000
const deepest = 4

/** The definitions and rules among a module's exports: values, lists, objects and static fields of classes. */
export const load = (file: string): Effect.Effect<Own, CommandError, Path.Path> =>
  Effect.gen(function*() {
    const path = yield* Path.Path
    const wrong = (message: string) => new CommandError({ message: `--definitions ${file}${message}` })
    const url = yield* Effect.mapError(path.toFileUrl(path.resolve(file)), (error) => wrong(`: ${error.message}`))
    const module: Record<string, unknown> = yield* Effect.tryPromise({
      try: () => import(url.href),
      catch: (error) => wrong(` cannot be loaded: ${first(error)}${hint(error)}`)
    }).pipe(Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.fail(wrong(` is not loaded after ${patience}: what does it wait for at its top level?`)) }))
    const found = yield* Effect.try({ try: () => collect(module), catch: (error) => wrong(`: its exports cannot be read: ${first(error)}`) })
    if (found.problems.length > 0) return yield* wrong(`:\n${found.problems.map((one) => `  ${one}`).join("\n")}`)
    if (found.definitions.length + found.rules.length === 0) return yield* wrong(": exports neither a metric definition nor an alert rule")
    return found
  })

const hint = (error: unknown): string =>
  (error as { readonly code?: unknown } | null)?.code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX" ? " (Node only strips types: compile the file, and give the .js)" : ""

const collect = (module: Record<string, unknown>) => {
  const definitions = new Set<MetricDefinition.MetricDefinition>()
  const rules = new Set<AlertRule.AlertRule>()
  const problems: Array<string> = []
  const seen = new Set<unknown>()
  let level: Array<readonly [at: string, value: unknown]> = Object.entries(module)
  for (let depth = 0; depth < deepest && level.length > 0; depth++) {
    const next: Array<readonly [at: string, value: unknown]> = []
    for (const [at, value] of level) {
      if ((typeof value !== "object" && typeof value !== "function") || value === null || seen.has(value) || seen.size >= most) continue
      seen.add(value)
      if (isDefinition(value)) {
        const problem = MetricDefinition.problem(value)?.message ?? textProblem(value)
        if (problem === undefined) definitions.add(value)
        else problems.push(`${at}: ${problem}`)
      } else if (isRule(value)) {
        const problem = ruleProblem(value)
        if (problem === undefined) rules.add(value)
        else problems.push(`${at}: ${problem}`)
      } else for (const [key, one] of Object.entries(value)) next.push([`${at}.${key}`, one])
    }
    level = next
  }
  return { definitions: [...definitions], rules: [...rules], problems }
}

const types: ReadonlyArray<unknown> = ["counter", "gauge", "histogram", "summary", "upDownCounter"]

/** By shape: the module may have loaded another copy of the library. */
const isDefinition = (value: object): value is MetricDefinition.MetricDefinition =>
  "name" in value && "type" in value && types.includes(value.type) && "labelNames" in value && Array.isArray(value.labelNames)

/** One that `MetricDefinition.counter` and its sisters did not make may lack what they fill in. */
const textProblem = ({ alertThreshold, help, labelValues, name, unit }: MetricDefinition.MetricDefinition): string | undefined => {
  for (const [field, value] of [["help", help], ["unit", unit]] as const) {
    if (typeof value !== "string") return `metric "${name}": ${field} must be a text, "" for none`
  }
  if (!Object.values(labelValues ?? {}).every((values) => Array.isArray(values) && values.every((value) => typeof value === "string"))) {
    return `metric "${name}": labelValues must be lists of texts, by label`
  }
  return alertThreshold === undefined || Number.isFinite(alertThreshold) ? undefined : `metric "${name}": alertThreshold must be a finite number`
}

const isRule = (value: object): value is AlertRule.AlertRule =>
  "metric" in value && "condition" in value && typeof value.condition === "object" && value.condition !== null && "kind" in value.condition &&
  "inhibitedBy" in value

/** One that `AlertRule.make` did not make may be anything. */
const ruleProblem = (rule: AlertRule.AlertRule): string | undefined =>
  typeof rule.name === "string" && /^[A-Za-z][A-Za-z0-9_]{0,199}$/.test(rule.name) && typeof rule.metric === "string" && typeof rule.summary === "string" &&
    Number.isFinite(rule.for) && Number.isFinite(rule.keepFor) && Array.isArray(rule.groupBy) && Array.isArray(rule.inhibitedBy) &&
    typeof rule.labels === "object" && rule.labels !== null
    ? undefined
    : "is no alert rule: make it with AlertRule.make"
