import { type AlertRule, canonicalNumber, type LabelMatcher, type MetricDefinition } from "@effect-observability/core"
import { GenerateError } from "../GenerateError.ts"

type Definition = MetricDefinition.MetricDefinition
type Rule = AlertRule.AlertRule

/** Definitions by name, and the names they have on a page. */
export interface Vocabulary {
  readonly definitions: ReadonlyMap<string, Definition>
  readonly exposed: (name: string) => string
}

export const vocabulary = (definitions: ReadonlyArray<Definition>, prefix: string): Vocabulary => {
  const before = prefix === "" || prefix.endsWith("_") ? prefix : `${prefix}_`
  const byName = new Map<string, Definition>()
  for (const definition of definitions) {
    const other = byName.get(definition.name)
    if (definition.alertThreshold !== undefined && !Number.isFinite(definition.alertThreshold)) {
      throw new GenerateError({ message: `definitions: "${definition.name}" has alertThreshold ${definition.alertThreshold}: use a finite number, or leave it out` })
    }
    if (other !== undefined && other.type !== definition.type) {
      throw new GenerateError({ message: `definitions: "${definition.name}" is there twice, as ${other.type} and as ${definition.type}: rename one` })
    }
    if (other !== undefined && JSON.stringify(other) !== JSON.stringify(definition)) {
      throw new GenerateError({ message: `definitions: "${definition.name}" is there twice, and they differ: keep one` })
    }
    byName.set(definition.name, definition)
  }
  return { definitions: byName, exposed: (name) => name.startsWith("obs_") ? name : `${before}${name}` }
}

/** The definition a rule speaks of; throws when the metric or a label does not exist. */
export const definitionOf = (rule: Rule, { definitions }: Vocabulary): Definition => {
  const wrong = (message: string) => new GenerateError({ message: `rule "${rule.name}": ${message}` })
  const definition = definitions.get(rule.metric)
  if (definition === undefined) throw wrong(`metric "${rule.metric}" is not defined: add its definition, or correct the name`)
  const bad = rule.condition.kind === "burnRate" && "labels" in rule.condition.bad ? Object.keys(rule.condition.bad.labels) : []
  for (const label of [...rule.groupBy, ...Object.keys(rule.labels), ...bad]) {
    if (!definition.labelNames.includes(label)) {
      throw wrong(`metric "${rule.metric}" has no label "${label}": it has ${definition.labelNames.join(", ") || "none"}`)
    }
  }
  const { condition } = rule
  const figure = condition.kind === "threshold" ? condition.figure.of : condition.kind
  const allowed = figuresOf[definition.type]
  if (!allowed.includes(figure)) throw wrong(`a ${definition.type} has no ${figure}: use one of ${allowed.join(", ")}`)
  if (condition.kind === "threshold" && condition.figure.of === "quantile") {
    const { quantile } = condition.figure
    const { buckets, objectives } = definition
    if (definition.type === "summary" && !Object.keys(objectives ?? {}).some((q) => Number(q) === quantile)) {
      throw wrong(`"${rule.metric}" keeps no quantile ${quantile}: add it to its objectives`)
    }
    const last = buckets?.at(-1)
    if (last !== undefined && condition.comparison === ">" && condition.threshold >= last) {
      throw wrong(`"${rule.metric}" has no bucket above ${condition.threshold}, so that no quantile can be: append one`)
    }
  }
  if (condition.kind === "burnRate" && "above" in condition.bad && !(definition.buckets ?? []).includes(condition.bad.above)) {
    throw wrong(`"${rule.metric}" has no bucket bound ${condition.bad.above}: use one of ${(definition.buckets ?? []).join(", ")}`)
  }
  return definition
}

const figuresOf: Readonly<Record<Definition["type"], ReadonlyArray<string>>> = {
  counter: ["increase", "rate", "absent", "burnRate"],
  upDownCounter: ["last", "absent"],
  gauge: ["last", "absent"],
  histogram: ["increase", "rate", "quantile", "absent", "burnRate"],
  summary: ["increase", "rate", "quantile", "absent"]
}

/** The expression of an alert rule. */
export const alertExpression = (rule: Rule, words: Vocabulary): string => {
  const definition = definitionOf(rule, words)
  const { condition } = rule
  switch (condition.kind) {
    case "absent": {
      const whole = select(words.exposed(sampled(definition)), rule.labels)
      const gone = `absent_over_time(${whole}[${duration(condition.window)}])`
      // A counter that stands still is on the page all the same.
      return definition.type === "gauge" || definition.type === "upDownCounter"
        ? gone
        : `(${added(definition, rule, `increase(${whole}[${duration(condition.window)}])`)} == 0) or ${gone}`
    }
    case "burnRate":
      return condition.windows.map(({ factor, long, short }) => {
        const limit = number(factor * (1 - condition.objective))
        const burns = (window: number) => `(${badShare(definition, rule, condition.bad, window, words)}) > ${limit}`
        return `((${burns(long)}) and (${burns(short)}))`
      }).join(" or ")
    case "threshold": {
      const { clear, comparison, threshold } = condition
      const figure = figureExpression(definition, rule, words)
      const fires = `${figure} ${comparison} ${number(threshold)}`
      return clear === undefined || clear === threshold
        ? fires
        : `(${fires}) or ((${figure} ${comparison} ${number(clear)}) and ignoring (alertname, alertstate, severity) ALERTS{alertname="${rule.name}", alertstate="firing"})`
    }
  }
}

const figureExpression = (definition: Definition, rule: Rule, words: Vocabulary): string => {
  if (rule.condition.kind !== "threshold") return ""
  const { comparison, figure } = rule.condition
  const name = words.exposed(definition.name)
  switch (figure.of) {
    case "increase":
    case "rate":
      return added(definition, rule, `${figure.of}(${select(words.exposed(sampled(definition)), rule.labels)}[${duration(figure.window)}])`)
    case "last": {
      const how = definition.type === "upDownCounter" ? "sum" : comparison.startsWith(">") ? "max" : "min"
      return `${how} without (${gone(definition, rule)}) (${select(name, rule.labels)})`
    }
    case "quantile":
      return definition.type === "histogram"
        ? `histogram_quantile(${number(figure.quantile)}, sum without (${gone(definition, rule)}) (rate(${select(`${name}_bucket`, rule.labels)}[${duration(figure.window)}])))`
        : `${comparison.startsWith(">") ? "max" : "min"} without (${[gone(definition, rule), "quantile"].filter((text) => text !== "").join(", ")}) (${
          select(name, rule.labels, [`quantile="${canonicalNumber(figure.quantile)}"`])
        })`
  }
}

/** The sample that counts events. */
const sampled = (definition: Definition): string =>
  definition.type === "histogram" || definition.type === "summary" ? `${definition.name}_count` : definition.name

const gone = (definition: Definition, rule: Pick<Rule, "groupBy">): string =>
  definition.labelNames.filter((label) => !rule.groupBy.includes(label)).join(", ")

const added = (definition: Definition, rule: Rule, inner: string): string => `sum without (${gone(definition, rule)}) (${inner})`

const badShare = (definition: Definition, rule: Rule, bad: AlertRule.BadEvents, window: number, words: Vocabulary): string => {
  const rate = (name: string, labels: Rule["labels"], more: ReadonlyArray<string> = []) =>
    `rate(${select(words.exposed(name), labels, more)}[${duration(window)}])`
  const total = added(definition, rule, rate(sampled(definition), rule.labels))
  if ("labels" in bad) return `${added(definition, rule, rate(sampled(definition), { ...rule.labels, ...bad.labels }))} / ${total}`
  const within = rate(`${definition.name}_bucket`, rule.labels, [`le="${canonicalNumber(bad.above)}"`])
  return `1 - sum without (${[gone(definition, rule), "le"].filter((text) => text !== "").join(", ")}) (${within}) / ${total}`
}

export const select = (name: string, labels: Readonly<Record<string, string | LabelMatcher>> = {}, more: ReadonlyArray<string> = []): string => {
  const matchers = [...Object.entries(labels).map(([label, matcher]) => `${label}${matcherText(matcher)}`), ...more]
  return matchers.length === 0 ? name : `${name}{${matchers.join(", ")}}`
}

const matcherText = (matcher: string | LabelMatcher): string => {
  if (typeof matcher === "string") return `=${quoted(matcher)}`
  if ("eq" in matcher) return `=${quoted(matcher.eq)}`
  if ("neq" in matcher) return `!=${quoted(matcher.neq)}`
  if ("in" in matcher) return `=~${quoted(matcher.in.map(literal).join("|"))}`
  return `=~${quoted(`${literal(matcher.prefix)}.*`)}`
}

/** RE2 syntax for the text itself. */
const literal = (text: string): string => text.replaceAll(/[\\.+*?()|[\]{}^$]/g, String.raw`\$&`)

export const quoted = (text: string): string => `"${text.replaceAll("\\", "\\\\").replaceAll("\"", "\\\"").replaceAll("\n", "\\n")}"`

/** A number as PromQL writes it. */
export const number = (value: number): string => String(Number(value.toPrecision(12)))

/** A duration as Prometheus writes it, from milliseconds. */
export const duration = (millis: number): string => {
  for (const [unit, size] of [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1_000]] as const) {
    if (millis >= size && millis % size === 0) return `${millis / size}${unit}`
  }
  return `${Math.round(millis)}ms`
}
