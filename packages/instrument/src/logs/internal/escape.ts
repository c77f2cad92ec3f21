/**
 * What a terminal obeys or what hides text from a reader: C0 and C1 controls, DEL, marks and overrides of direction, line separators, and
 * halves of surrogate pairs.
 */
// oxlint-disable-next-line no-control-regex
const hostile = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/
/** Most lines have none of these, and this is the quickest way to see it. */
const special = /[^ -~]/
const everyHostile = new RegExp(hostile.source, "g")

const short: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

const asEscape = (one: string): string => short[one] ?? `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`

/** A text on one line that a terminal shows as it is. JSON stays JSON and means the same: only its strings can hold what is escaped. */
export const escape = (text: string): string => !special.test(text) || !hostile.test(text) ? text : text.replace(everyHostile, asEscape)

/** A text of several lines, such as a stack: line breaks stay, and no line but the first begins where a log line would. */
export const escapeLines = (text: string): string =>
  text.split("\n").map((line, i) => (i === 0 || line.startsWith(" ") ? "" : "    ") + escape(line)).join("\n")
