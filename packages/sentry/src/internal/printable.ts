/** What a stranger wrote, on one short line and without what a terminal would obey. */
export const printable = (text: string): string => {
  const line = text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ").trim()
  return line.length > 200 ? `${line.slice(0, 200)}…` : line
}
