import { AlertRule, MetricDefinition } from "effect-observability"
import { Generate } from "effect-observability/generate"
import * as fc from "fast-check"

/** Texts that mean something to one of the readers, and any others. */
export const awkward: fc.Arbitrary<string> = fc.oneof(
  fc.array(
    fc.constantFrom(
      "$job", "${job}", "${job:regex}", "[[job]]", "$__all", "$__interval", "{{", "}}", "{{ $value }}", "{{- ", "{", "`", "```", "|", "\\", "\\|", "\n", "\r\n", "\t", "'", "\"", "<b>", "</script>",
      "<!-- x", "&amp;", "&#36;", "**b**", "_i_", "a_b", "~~s~~", "[x](javascript:alert(1))", "![i](x)", "# h", "- l", "1. n", "> q", "===", "---", "%", "--", "/*", ";", ": ", " #", "\u202e\u05d0", "\u{1f600}", "\u2028",
      "\u0085", "\u007f", "\ufeff", "\uffff", "\u0007", " ", "é", "word"
    ),
    { maxLength: 8 }
  ).map((parts) => parts.join("")),
  fc.string({ unit: "binary", maxLength: 20 }).map((text) => text.toWellFormed().replaceAll("\0", ""))
)

/** Everything, from a definition and a rule that have the text wherever one may stand. */
export const generatedFrom = (text: string): ReadonlyMap<string, string> =>
  new Map(Generate.files({
    title: text,
    definitions: [MetricDefinition.counter("m_total", { help: text, unit: text, labelNames: ["a"], labelValues: { a: [`${text}|\``] }, alertThreshold: 10 })],
    rules: [AlertRule.make({ name: "Own", metric: "m_total", groupBy: ["a"], increase: "5 minutes", above: 1, summary: text })]
  }).map(({ content, path }) => [path, content]))

const variables: Readonly<Record<string, string>> = { job: "REPLACED", instance: "REPLACED", datasource: "REPLACED", __all: "REPLACED", __interval: "REPLACED" }

/** Grafana's `templateSrv.replace`, by its own expression: `$name`, `[[name:format]]`, `${name.field:format}`. */
export const grafanaExpanded = (text: string): string =>
  text.replaceAll(/\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}/g, (whole, a?: string, b?: string, _?: string, c?: string) => variables[(a ?? b ?? c)!] ?? whole)

/** What a line of Markdown shows as text; throws when something in it is more than text (CommonMark 6, GitHub's tables). */
export const rendered = (line: string): string => {
  const bare = line.replaceAll(/&#\d+;/g, "")
  const meaning = /[<>&`*[\]|~\\\n\r]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|\$/.exec(bare.replaceAll(/`[a-z_]+`/g, "").replaceAll(/<\/?code>/g, ""))
  if (meaning !== null) throw new Error(`${JSON.stringify(meaning[0])} is not only text: ${line}`)
  if (/^([-+#=>\s]|\d+[.)])|\s$/.test(line)) throw new Error(`begins a block, or loses a blank: ${JSON.stringify(line)}`)
  return line.replaceAll(/&#(\d+);/g, (_, point: string) => String.fromCodePoint(Number(point)))
}

/** A template of Go that has only literal actions: `{{"…"}}`. */
export const goExpanded = (text: string): string =>
  text.replaceAll(/\{\{(.*?)\}\}/gs, (_, action: string) => {
    const literal: unknown = JSON.parse(action)
    if (typeof literal !== "string") throw new Error(`an action: ${action}`)
    return literal
  })
