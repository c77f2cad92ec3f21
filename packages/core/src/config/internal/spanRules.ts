import { type PropagatorName, propagatorNames } from "../../propagation/Propagator.ts"
import { targetProblem } from "../../propagation/Targets.ts"
import type { RedactionRule } from "../../redaction/Redaction.ts"
import * as SpanLimits from "../../tracing/SpanLimits.ts"
import type { RedactionSettings } from "../ObservabilityConfig.ts"
import type { Reader } from "./Reader.ts"

// What spans keep, what of it is hidden, and who is told of them.

export const limitsOf = (limits: Reader): SpanLimits.SpanLimits => {
  const count = (key: keyof SpanLimits.SpanLimits) => limits.integer(key, SpanLimits.defaults[key], 0, 100_000)
  return {
    attributeCount: count("attributeCount"),
    attributeValueLength: limits.integer("attributeValueLength", SpanLimits.defaults.attributeValueLength, 1, 10_000_000),
    eventCount: count("eventCount"),
    linkCount: count("linkCount"),
    attributePerEventCount: count("attributePerEventCount"),
    attributePerLinkCount: count("attributePerLinkCount"),
    depth: limits.integer("depth", SpanLimits.defaults.depth, 1, 64)
  }
}

export const redactionOf = (redaction: Reader): RedactionSettings => ({
  enabled: redaction.boolean("enabled", true),
  names: redaction.strings("names", [], /[A-Za-z0-9]/, "a list of names"),
  allow: redaction.strings("allow", [], /[A-Za-z0-9]/, "a list of names"),
  emails: redaction.boolean("emails", true),
  addresses: redaction.boolean("addresses", false),
  rules: rulesOf(redaction)
})

export const propagatorsOf = (tracing: Reader): ReadonlyArray<PropagatorName> =>
  tracing.strings(
    "propagators",
    ["tracecontext", "baggage"],
    new RegExp(`^(${propagatorNames.join("|")})$`),
    `a list of ${propagatorNames.join(", ")}`
  ) as ReadonlyArray<PropagatorName>

export const targetsOf = (tracing: Reader, key: string, fallback: ReadonlyArray<string>): ReadonlyArray<string> => {
  const given = tracing.strings(key, fallback, /^.{1,300}$/, "a list of hosts, origins and patterns")
  for (const [i, one] of given.entries()) {
    const wrong = targetProblem(one)
    if (wrong !== undefined) tracing.wrong(`${key}[${i}]`, `${JSON.stringify(one.slice(0, 80))} ${wrong}`)
  }
  return given
}

const rulesOf = (redaction: Reader): ReadonlyArray<RedactionRule> => {
  redaction.describe("rules", { type: "array", maxItems: 0, description: "functions: in code only" })
  const given = redaction.get("rules") ?? []
  if (Array.isArray(given) && given.every((one) => typeof one === "function")) return given
  redaction.wrong("rules", "expected a list of functions from name and value to true or false; patterns are not taken")
  return []
}
