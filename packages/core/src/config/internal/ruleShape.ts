import type { Shape } from "./Reader.ts"

const duration: Shape = {
  anyOf: [{ type: "number", minimum: 0, maximum: 86_400 }, { type: "string" }],
  description: "seconds, or text like \"5 minutes\""
}
const name: Shape = { type: "string", pattern: "^[A-Za-z][A-Za-z0-9_]{0,199}$" }
const matchers: Shape = {
  type: "object",
  additionalProperties: {
    anyOf: [
      { type: "string" },
      {
        type: "object",
        properties: {
          eq: { type: "string" },
          neq: { type: "string" },
          prefix: { type: "string" },
          in: { type: "array", items: { type: "string" }, minItems: 1, maxItems: 1_000 }
        },
        additionalProperties: false,
        minProperties: 1,
        maxProperties: 1
      }
    ]
  }
}

/** What is looked at, of rules of both kinds. */
const figure = {
  name,
  metric: { type: "string", pattern: "^[a-zA-Z_][a-zA-Z0-9_]{0,254}$" },
  labels: matchers,
  groupBy: { type: "array", items: { type: "string" } },
  increase: duration,
  rate: duration,
  last: { const: true },
  quantile: { type: "number", minimum: 0, maximum: 1 },
  window: duration
} satisfies Readonly<Record<string, Shape>>

/** `AlertRuleInput` for editors; what depends on several fields (one figure, one comparison) is checked when it is read. */
export const ruleShape: Shape = {
  type: "object",
  required: ["name", "metric"],
  properties: {
    ...figure,
    above: { type: "number" },
    atLeast: { type: "number" },
    below: { type: "number" },
    atMost: { type: "number" },
    clear: { type: "number" },
    absent: duration,
    burnRate: {
      type: "object",
      required: ["objective", "bad"],
      properties: {
        objective: { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1 },
        bad: { type: "object", properties: { labels: matchers, above: { type: "number" } }, additionalProperties: false },
        windows: {
          type: "array",
          minItems: 1,
          maxItems: 8,
          items: {
            type: "object",
            properties: { long: duration, short: duration, factor: { type: "number", exclusiveMinimum: 0 } },
            required: ["factor"],
            additionalProperties: false
          }
        }
      },
      additionalProperties: false
    },
    for: duration,
    keepFor: duration,
    severity: { enum: ["info", "warning", "critical"], default: "warning" },
    summary: { type: "string" },
    inhibitedBy: { type: "array", items: name }
  },
  additionalProperties: false
}

/** `AnomalyRuleInput` for editors. */
export const anomalyShape = {
  type: "object",
  required: ["name", "metric"],
  properties: {
    ...figure,
    severity: { enum: ["info", "warning", "critical"] },
    summary: { type: "string" },
    season: { enum: ["day", "week"] },
    sensitivity: { type: "number", minimum: 3, maximum: 20 },
    tolerance: { type: "number", minimum: 0, maximum: 1 }
  },
  additionalProperties: false
} satisfies Shape
