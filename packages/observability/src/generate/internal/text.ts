/**
 * Text of users (help, unit, summary) in formats that read more into it than it says. Each function gives what comes out as the same
 * text again after its reader's own expansion. Lone surrogates, which UTF-8 cannot carry, and NUL become U+FFFD everywhere.
 */
export const wellFormed = (text: string): string => text.toWellFormed().replaceAll("\0", "\uFFFD")

const reference = (text: string): string => `&#${text.codePointAt(0)};`

/**
 * Markdown, within a line or a cell of a table. Character references stand for what has a meaning (CommonMark 6.2: a reference never
 * does), and for the `$` and `[[` of Grafana, which puts variables into a description before it is read as Markdown.
 */
export const markdown = (text: string): string =>
  wellFormed(text)
    .replaceAll(/[&<>$[\]`*\\~|\n\r]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])/g, reference)
    // What would begin a list, a heading or a block of code.
    .replace(/^(?:[-+#=:\s]|\d(?=\d*[.)]))/, reference)
    .replace(/\s$/, reference)

/** Inline code: it has no references, but takes a fence that its text does not contain (CommonMark 6.1). Cells end at a bare `|`. */
export const code = (text: string): string => {
  const line = wellFormed(text)
  return /[`|\\\n\r]|^\s|\s$|^$/.test(line) ? `<code>${markdown(line)}</code>` : `\`${line}\``
}

/** A block of code, with a fence longer than any in it. */
export const codeBlock = (text: string): string => {
  const fence = "`".repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([run]) => run.length + 1)))
  return `${fence}\n${wellFormed(text)}\n${fence}`
}

/** Templates of Go (`text/template`), as Prometheus reads annotations. */
export const goTemplate = (text: string): string => wellFormed(text).replaceAll("{{", "{{\"{{\"}}")
