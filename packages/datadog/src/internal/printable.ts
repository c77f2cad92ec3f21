/** Control and format characters (C0, C1, directions, line separators): what a terminal or a log would obey. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

/** The first line of what a stranger wrote, short and without anything to obey. */
export const printable = (text: string): string => text.split("\n", 1)[0]!.slice(0, 1000).replace(new RegExp(unprintable, "gu"), " ").trim().slice(0, 200)

export const hasControl = (text: string): boolean => /\p{Cc}/u.test(text)
