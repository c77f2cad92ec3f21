import type { SpanData } from "../../tracing/SpanData.ts"

const codes = { bold: 1, dim: 2, red: 31, cyan: 36 } as const

/** A trace as a tree, a line per span and event. */
export const render = (spans: ReadonlyArray<SpanData>, colors: boolean): string => {
  const paint = (code: keyof typeof codes, text: string): string => colors ? `\u001b[${codes[code]}m${text}\u001b[0m` : text
  const ids = new Set(spans.map((span) => span.spanId))
  const children = new Map<string, Array<SpanData>>()
  const roots: Array<SpanData> = []
  for (const span of spans.toSorted(byStart)) {
    if (span.parentSpanId === undefined || !ids.has(span.parentSpanId) || span.parentSpanId === span.spanId) roots.push(span)
    else {
      const siblings = children.get(span.parentSpanId)
      if (siblings === undefined) children.set(span.parentSpanId, [span])
      else siblings.push(span)
    }
  }
  const lines: Array<string> = []
  const line = (span: SpanData): string => {
    const failed = span.status === "error"
    const parts = [
      paint(failed ? "red" : "bold", visible(span.name)),
      paint("dim", duration(span)),
      ...(span.kind === "internal" ? [] : [paint("cyan", span.kind)]),
      ...(failed ? [paint("red", `✗ ${visible(span.statusMessage ?? "")}`.trimEnd())] : []),
      ...[...span.attributes].map(([key, value]) => `${paint("dim", `${visible(key)}=`)}${shown(value)}`)
    ]
    return parts.join("  ")
  }
  // Not recursive: a trace may be deeper than the stack.
  const open: Array<{ readonly span: SpanData; readonly first: string; readonly rest: string }> = roots.toReversed().map((span) => ({ span, first: "", rest: "" }))
  const seen = new Set<string>()
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { first, rest, span } = next
    lines.push(first + line(span))
    // Ids that repeat, or parents that are each other's, must not keep us here.
    if (seen.has(span.spanId)) continue
    seen.add(span.spanId)
    const below = children.get(span.spanId) ?? []
    const bar = below.length > 0 ? "│ " : "  "
    for (const event of span.events) {
      lines.push(`${rest}${bar}${paint("dim", `· ${visible(event.name)} +${millis(event.time - span.startTime)}`)}${eventText(event.attributes)}`)
    }
    for (let i = below.length - 1; i >= 0; i--) {
      const last = i === below.length - 1
      open.push({ span: below[i]!, first: `${rest}${last ? "└─ " : "├─ "}`, rest: `${rest}${last ? "   " : "│  "}` })
    }
  }
  for (const span of spans) if (!seen.has(span.spanId)) lines.push(line(span))
  return lines.join("\n")
}

/** Of an exception its message is in the status already, and its stack is long. */
const eventText = (attributes: Readonly<Record<string, unknown>>): string =>
  Object.keys(attributes).filter((key) => key !== "exception.stacktrace").map((key) => `  ${visible(key)}=${shown(attributes[key])}`).join("")

const byStart = (a: SpanData, b: SpanData): number =>
  a.startTime < b.startTime ? -1 : a.startTime > b.startTime ? 1 : a.spanId < b.spanId ? -1 : a.spanId > b.spanId ? 1 : 0

const duration = (span: SpanData): string => millis(span.endTime - span.startTime)

const millis = (nanos: bigint): string => `${Number((Number(nanos) / 1e6).toPrecision(3))} ms`

const shown = (value: unknown): string => {
  const text = typeof value === "string" ? value : Array.isArray(value) ? `[${value.map(String).join(", ")}]` : String(value)
  return visible(text.length > maxLength ? `${text.slice(0, maxLength)}…` : text)
}

const maxLength = 200

/** Control characters, line separators, and signs that turn the direction of text, as escapes: a terminal must not obey a span. */
const visible = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (one) =>
    one === "\n" ? "\\n" : one === "\t" ? "\\t" : one === "\r" ? "\\r" : `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`)
