/** Classes of ASCII characters, as bits. */
const word = 1
const digit = 2
const base64url = 4
const token = 8

const classes = new Uint8Array(128)
const mark = (characters: string, bits: number): void => {
  for (const one of characters) classes[one.charCodeAt(0)]! |= bits
}
const digits = "0123456789"
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
mark(digits, word | digit | base64url | token)
mark(letters, word | base64url | token)
mark("_", word | base64url | token)
mark("-", base64url | token)
// RFC 6750 (token68) and what vendors' tokens have besides.
mark("._~+/=%", token)

const has = (c: number, bits: number): boolean => c < 128 && (classes[c]! & bits) !== 0

/** Letters, digits and the underscore; beyond ASCII everything counts as a letter. */
export const isWord = (c: number): boolean => c >= 128 || has(c, word)
export const isDigit = (c: number): boolean => c >= 48 && c <= 57
export const isLetter = (c: number): boolean => (c | 32) >= 97 && (c | 32) <= 122
export const isUpper = (c: number): boolean => c >= 65 && c <= 90
export const isBase64Url = (c: number): boolean => has(c, base64url)
export const isToken = (c: number): boolean => has(c, token)
export const isHex = (c: number): boolean => isDigit(c) || ((c | 32) >= 97 && (c | 32) <= 102)
export const isBlank = (c: number): boolean => c === 32 || c === 9
export const isSpace = (c: number): boolean => c === 32 || (c >= 9 && c <= 13)

/** The first place from `from` on whose character is not of the class, at most `end`. */
export const skip = (text: string, from: number, end: number, of: (c: number) => boolean): number => {
  let i = from
  while (i < end && of(text.charCodeAt(i))) i++
  return i
}
