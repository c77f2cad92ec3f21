/**
 * The first characters of a text as a string of its own: what `slice` gives may hold on to all of the text it was cut from. Never ends in
 * the first half of a pair.
 */
export const cut = (text: string, length: number): string => {
  const last = text.charCodeAt(length - 1)
  const n = Math.min(text.length, last >= 0xd800 && last <= 0xdbff && text.length > length ? length - 1 : length)
  const codes = new Array<number>(n)
  for (let i = 0; i < n; i++) codes[i] = text.charCodeAt(i)
  return String.fromCharCode.apply(undefined, codes)
}

/** What terminals and log viewers take for commands, or for the end of a line, beside what JSON escapes. */
const unprintable = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]/g

/** Foreign text for a log line: short, in quotes, on one line, without control characters. */
export const quoted = (text: string, most = 60): string =>
  JSON.stringify(text.length > most ? `${cut(text, most)}…` : text)
    .replace(unprintable, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** V8 keeps parts of a text that are shorter than this by themselves, longer ones as a reference to all of it. */
const leastSlice = 13

/** What is kept for long must not hold on to the text it was cut from: a path to its request, a word to its document. */
export const detached = (value: string): string => value.length < leastSlice ? value : cut(value, value.length)
