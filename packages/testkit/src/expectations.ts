import {
  Diagnostics, type ErrorData, type ErrorKind, type ErrorLevel, type LogData, type LogDataLevel, MemoryBackend, type MetricDefinition, type SpanData, type SpanKind, type SpanStatus
} from "@effect-observability/core"
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

/** At least one ended span of this name for which the condition holds. A mismatch shows what was recorded, as trees. */
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
    /** Exactly so many of this name. */
    toHaveCount: (count: number): Expectation =>
      Effect.gen(function*() {
        const spans = yield* (yield* MemoryBackend).spans
        const found = spans.filter((span) => span.name === name).length
        if (found !== count) return yield* fail(`expected ${count} spans "${name}", got ${found}; recorded were:\n${tree(spans)}`)
      }),
    hasChild: (child: string) => check(` with a child "${child}"`, (span, all) => childrenOf(span, all).some((one) => one.name === child)),
    /** All its children, in the order in which they began. */
    hasChildren: (children: ReadonlyArray<string>) =>
      check(` with the children ${list(children)} in this order`, (span, all) => sameList(childrenOf(span, all).map((one) => one.name), children)),
    hasParent: (parent: string) => check(` below "${parent}"`, (span, all) => parentOf(span, all)?.name === parent),
    isRoot: check(" without a parent", (span) => span.parentSpanId === undefined),
    /** It ended before another span of the same trace began; where the test's clock stands still, before that one ended. */
    isBefore: (other: string) =>
      check(` that ends before "${other}" begins`, (span, all) =>
        all.slice(all.indexOf(span) + 1).some((one) => one.name === other && one.traceId === span.traceId && span.endTime <= one.startTime)),
    hasAttribute: (key: string, value: unknown) =>
      check(` with attribute ${key} = ${JSON.stringify(value)}`, (span) => span.attributes.has(key) && same(span.attributes.get(key), value)),
    /** With all these attributes, whatever else the event has. */
    hasEvent: (event: string, attributes: Readonly<Record<string, unknown>> = {}) =>
      check(` with event "${event}"${pairs(attributes)}`, (span) =>
        span.events.some((one) => one.name === event && Object.keys(attributes).every((key) => same(one.attributes[key], attributes[key])))),
    /** A link to a span by trace and, if given, span id. */
    hasLink: (traceId: string, spanId?: string) =>
      check(` with a link to ${traceId}${spanId === undefined ? "" : ` ${spanId}`}`, (span) =>
        span.links.some((link) => link.traceId === traceId && (spanId === undefined || link.spanId === spanId))),
    hasKind: (kind: SpanKind) => check(` of kind ${kind}`, (span) => span.kind === kind),
    /** With this status; the message, if given, is part of the status message. */
    hasStatus: (status: SpanStatus, message?: string) =>
      check(
        ` with status ${status}${message === undefined ? "" : ` and ${JSON.stringify(message)} in its message`}`,
        (span) => span.status === status && (message === undefined || span.statusMessage?.includes(message) === true)
      )
  }
}

const childrenOf = (span: SpanData, all: ReadonlyArray<SpanData>): ReadonlyArray<SpanData> =>
  all.filter((one) => one.parentSpanId === span.spanId && one.traceId === span.traceId).toSorted(byStart)

const parentOf = (span: SpanData, all: ReadonlyArray<SpanData>): SpanData | undefined =>
  all.find((one) => one.spanId === span.parentSpanId && one.traceId === span.traceId)

const byStart = (a: SpanData, b: SpanData): number => a.startTime < b.startTime ? -1 : a.startTime > b.startTime ? 1 : 0

const same = (a: unknown, b: unknown): boolean => Object.is(a, b) || (Array.isArray(a) && Array.isArray(b) && sameList(a, b))

const sameList = (a: ReadonlyArray<unknown>, b: ReadonlyArray<unknown>): boolean => a.length === b.length && a.every((one, i) => Object.is(one, b[i]))

const list = (names: ReadonlyArray<string>): string => names.map((one) => `"${one}"`).join(", ")

const pairs = (attributes: Readonly<Record<string, unknown>>): string => {
  const keys = Object.keys(attributes)
  return keys.length === 0 ? "" : ` and ${keys.map((key) => `${key} = ${JSON.stringify(attributes[key])}`).join(", ")}`
}

/** At least one reported error of this type (its `_tag` or class name) for which the condition holds. */
export const expectError = (type: string) => {
  const check = (what: string, holds: (all: ReadonlyArray<ErrorData>) => boolean): Expectation =>
    Effect.gen(function*() {
      const errors = yield* (yield* MemoryBackend).errors
      if (!holds(errors.filter((error) => error.errorType === type))) {
        const lines = errors.map((error) => `  ${error.errorType} (${error.kind}, ${error.level}) ${error.message}`)
        return yield* fail(`expected ${what}, reported were:\n${lines.length === 0 ? "  no errors" : lines.join("\n")}`)
      }
    })
  return {
    toBeReported: check(`an error "${type}"`, (all) => all.length > 0),
    toHaveCount: (count: number) => check(`${count} errors "${type}"`, (all) => all.length === count),
    /** The text is part of its message. */
    hasMessage: (text: string) => check(`an error "${type}" with ${JSON.stringify(text)} in its message`, (all) => all.some((one) => one.message.includes(text))),
    hasKind: (kind: ErrorKind) => check(`an error "${type}" of kind ${kind}`, (all) => all.some((one) => one.kind === kind)),
    hasLevel: (level: ErrorLevel) => check(`an error "${type}" of level ${level}`, (all) => all.some((one) => one.level === level))
  }
}

/** No error was reported. */
export const expectNoErrors: Expectation = Effect.gen(function*() {
  const errors = yield* (yield* MemoryBackend).errors
  if (errors.length > 0) return yield* fail(`expected no errors, reported were:\n${errors.map((error) => `  ${error.errorType} ${error.message}`).join("\n")}`)
})

/** At least one log line that holds this text and for which the condition holds. */
export const expectLog = (text: string) => {
  const check = (what: string, holds: (line: LogData) => boolean): Expectation =>
    Effect.gen(function*() {
      const logs = yield* (yield* MemoryBackend).logs
      if (!logs.some((line) => line.message.includes(text) && holds(line))) {
        const lines = logs.map((line) => `  ${line.level} ${line.message}`)
        return yield* fail(`expected a line with ${JSON.stringify(text)}${what}, logged were:\n${lines.length === 0 ? "  no lines" : lines.join("\n")}`)
      }
    })
  return {
    toExist: check("", () => true),
    hasLevel: (level: LogDataLevel) => check(` of level ${level}`, (line) => line.level === level),
    hasAttribute: (key: string, value: unknown) =>
      check(` with attribute ${key} = ${JSON.stringify(value)}`, (line) => line.attributes.has(key) && same(line.attributes.get(key), value))
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
    const indent = "  ".repeat(depth + 1)
    const attributes = [...span.attributes].map(([key, value]) => `${key}=${text(value)}`).join(" ")
    const status = span.status === "error" ? ` ✗${span.statusMessage === undefined ? "" : ` ${span.statusMessage}`}` : ""
    lines.push(`${indent}${span.name}${span.kind === "internal" ? "" : ` (${span.kind})`}${status}${attributes === "" ? "" : ` ${attributes}`}`)
    for (const event of span.events) {
      const shown = Object.keys(event.attributes).filter((key) => key !== "exception.stacktrace").map((key) => `${key}=${text(event.attributes[key])}`).join(" ")
      lines.push(`${indent}  · ${event.name}${shown === "" ? "" : ` ${shown}`}`)
    }
    for (const link of span.links) lines.push(`${indent}  → ${link.traceId} ${link.spanId}`)
    for (const child of childrenOf(span, spans)) visit(child, depth + 1)
  }
  for (const span of spans.toSorted(byStart)) if (span.parentSpanId === undefined || !ids.has(span.parentSpanId)) visit(span, 0)
  return lines.join("\n")
}

const text = (value: unknown): string => typeof value === "bigint" ? `${value}n` : JSON.stringify(value) ?? String(value)
