/** One line of foreign text as it may stand in a report or a log: without control and formatting characters, and not long. */
export const printable = (text: string, most = 300): string =>
  text.toWellFormed().trim().split("\n", 1)[0]!.slice(0, most).replaceAll(/[\p{Cc}\p{Cf}]/gu, " ")
