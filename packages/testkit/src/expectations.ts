import { Diagnostics, MemoryBackend, type MetricDefinition, type SpanData, type SpanStatus } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

type Metric = MetricDefinition.MetricDefinition | string
type Labels = Readonly<Record<string, string>>
type Expectation = Effect.Effect<void, ExpectationFailed, MemoryBackend>

/** What was expected, and what was recorded instead, in words. */
export class ExpectationFailed extends Schema.TaggedError<ExpectationFailed>()("ExpectationFailed", {
  message: Schema.String
}) {}

const fail = (message: string) => Effect.fail(new ExpectationFailed({ message }))

/** Sum of the counter's series that carry these labels. */
export const expectCounter = (metric: Metric, labels?: Labels) => ({
  toBe: (expected: number): Expectation =>
    Effect.gen(function*() {
      const memory = yield* MemoryBackend
      const actual = yield* memory.getCounterValue(metric, labels)
      if (actual !== expected) return yield* mismatch("counter", metric, labels, String(expected), String(actual))
    })
})

/** The gauge's last value. */
export const expectGauge = (metric: Metric, labels?: Labels) => ({
  toBe: (expected: number | undefined): Expectation =>
    Effect.gen(function*() {
      const memory = yield* MemoryBackend
      const actual = yield* memory.getGaugeValue(metric, labels)
      if (actual !== expected) return yield* mismatch("gauge", metric, labels, String(expected), actual === undefined ? "nothing" : String(actual))
    })
})

/** The values the histogram observed. */
export const expectHistogram = (metric: Metric, labels?: Labels) => {
  const check = (wrong: (values: ReadonlyArray<number>) => readonly [expected: string, actual: string] | undefined): Expectation =>
    Effect.gen(function*() {
      const memory = yield* MemoryBackend
      const found = wrong(yield* memory.getHistogramValues(metric, labels))
      if (found !== undefined) return yield* mismatch("histogram", metric, labels, found[0], found[1])
    })
  return {
    toHaveCount: (count: number) => check((values) => values.length === count ? undefined : [`${count} values`, `${values.length}`]),
    /** Within a billionth: sums of doubles depend on their order. */
    toHaveSum: (sum: number) =>
      check((values) => {
        const actual = values.reduce((total, value) => total + value, 0)
        return Math.abs(actual - sum) <= Math.abs(sum) * 1e-9 ? undefined : [`sum ${sum}`, `sum ${actual}`]
      }),
    toHaveValues: (expected: ReadonlyArray<number>) =>
      check((values) =>
        values.length === expected.length && values.every((value, i) => value === expected[i])
          ? undefined
          : [`[${expected.join(", ")}]`, `[${values.join(", ")}]`]
      )
  }
}

/** At least one ended span of this name; the conditions hold for one and the same span. */
export const expectSpan = (name: string) => {
  const check = (what: string, holds: (span: SpanData, all: ReadonlyArray<SpanData>) => boolean): Expectation =>
    Effect.gen(function*() {
      const spans = yield* (yield* MemoryBackend).spans
      if (!spans.some((span) => span.name === name && holds(span, spans))) {
        return yield* fail(`expected a span "${name}"${what}, recorded were:\n${tree(spans)}`)
      }
    })
  return {
    toExist: check("", () => true),
    hasChild: (child: string) =>
      check(` with a child "${child}"`, (span, all) => all.some((one) => one.name === child && one.parentSpanId === span.spanId && one.traceId === span.traceId)),
    hasAttribute: (key: string, value: unknown) =>
      check(` with attribute ${key} = ${JSON.stringify(value)}`, (span) => span.attributes.has(key) && Object.is(span.attributes.get(key), value)),
    hasEvent: (event: string) => check(` with event "${event}"`, (span) => span.events.some((one) => one.name === event)),
    hasStatus: (status: SpanStatus) => check(` with status ${status}`, (span) => span.status === status)
  }
}

/** No span has ended. */
export const expectNoSpans: Expectation = Effect.gen(function*() {
  const spans = yield* (yield* MemoryBackend).spans
  if (spans.length > 0) return yield* fail(`expected no spans, recorded were:\n${tree(spans)}`)
})

/** The books of every backend balance. */
export const expectLedgerBalanced: Effect.Effect<void, ExpectationFailed, Diagnostics> = Effect.gen(function*() {
  const { imbalances } = yield* (yield* Diagnostics).report
  if (imbalances.length > 0) return yield* fail(`the ledger does not balance:\n${imbalances.map((line) => `  ${line}`).join("\n")}`)
})

const mismatch = (type: string, metric: Metric, labels: Labels | undefined, expected: string, actual: string) =>
  Effect.gen(function*() {
    const series = yield* (yield* MemoryBackend).describe(metric)
    const name = typeof metric === "string" ? metric : metric.name
    const lines = series.length === 0
      ? ["  nothing was recorded under this name"]
      : series.map((one) => `  ${name}${show(one.labels)} ${one.value}`)
    return yield* fail(`expected ${type} ${name}${show(labels ?? {})} to be ${expected}, got ${actual}; recorded were:\n${lines.join("\n")}`)
  })

const show = (labels: Labels): string => {
  const parts = Object.entries(labels).map(([key, value]) => `${key}=${JSON.stringify(value)}`)
  return parts.length === 0 ? "" : `{${parts.join(", ")}}`
}

const tree = (spans: ReadonlyArray<SpanData>): string => {
  if (spans.length === 0) return "  no spans"
  const ids = new Set(spans.map((span) => span.spanId))
  const lines: Array<string> = []
  const visit = (span: SpanData, depth: number): void => {
    const attributes = [...span.attributes].map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(" ")
    lines.push(`${"  ".repeat(depth + 1)}${span.name}${span.status === "error" ? " ✗" : ""}${attributes === "" ? "" : ` ${attributes}`}`)
    for (const child of spans) if (child.parentSpanId === span.spanId && child.traceId === span.traceId) visit(child, depth + 1)
  }
  for (const span of spans) if (span.parentSpanId === undefined || !ids.has(span.parentSpanId)) visit(span, 0)
  return lines.join("\n")
}
