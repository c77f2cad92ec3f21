import { isBlank, isDigit, isUpper, isWord } from "./chars.ts"

const minDigits = 13
const maxDigits = 19

/**
 * A payment card's number that begins at `at` with a run of digits up to `end`, plain or in groups divided by one blank or hyphen: where it
 * ends, or -1. An issuer's range, a length it uses and the check digit (ISO/IEC 7812, Luhn) must all fit.
 */
export const card = (text: string, at: number, end: number): number => {
  const run = end - at
  // Most numbers are too short, and not the first group of a longer one.
  if (run === 4) {
    const divider = text.charCodeAt(end)
    return (divider === 32 || divider === 45) && isDigit(text.charCodeAt(end + 1)) ? groups(text, at, divider) : -1
  }
  if (run < minDigits || run > maxDigits || isPartOfMore(text, end)) return -1
  return isNumber(text.slice(at, end)) ? end : -1
}

const groups = (text: string, at: number, divider: number): number => {
  for (const form of grouped) {
    form.lastIndex = at
    const found = form.exec(text)?.[0]
    if (found === undefined) continue
    const end = at + found.length
    // After blanks another number may stand; hyphens make one id of all.
    if (!isDigit(text.charCodeAt(end)) && !isPartOfMore(text, end) && isNumber(found.replaceAll(String.fromCharCode(divider), ""))) return end
  }
  return -1
}

const isNumber = (digits: string): boolean => issued(digits) && luhn(digits)

/** A letter, a hyphen or a fraction follows: it is a part of an id. */
const isPartOfMore = (text: string, end: number): boolean => {
  const next = text.charCodeAt(end)
  return isWord(next) || next === 45 || (next === 46 && isDigit(text.charCodeAt(end + 1)))
}

/** 4-4-4-4 with up to three figures more, 4-6-5 (American Express), 4-6-4 (Diners Club). */
const grouped: ReadonlyArray<RegExp> = [
  /\d{4}([ -])\d{4}\1\d{4}\1\d{4}\1\d{1,3}/y,
  /\d{4}([ -])\d{4}\1\d{4}\1\d{4}/y,
  /\d{4}([ -])\d{6}\1\d{4,5}/y
]

/** Whether an issuer has numbers like this: range of the first digits, and length. */
const issued = (digits: string): boolean => {
  const length = digits.length
  const two = Number(digits.slice(0, 2))
  const four = Number(digits.slice(0, 4))
  switch (digits[0]) {
    case "4":
      return length === 13 || length === 16 || length === 19
    case "5":
      return length === 16 && two <= 58 && two !== 57
    case "2":
      return length === 16 && four >= 2221 && four <= 2720
    case "3":
      return two === 34 || two === 37 ? length === 15 : two === 35 ? length >= 16 && four >= 3528 && four <= 3589 : (two === 30 || two === 36 || two >= 38) && length === 14
    case "6":
      return length >= 16 && (four === 6011 || (four >= 6440 && four <= 6499) || two === 65 || two === 62 || four === 6304 || four === 6759)
    default:
      return false
  }
}

/** The check digit (Luhn, ISO/IEC 7812-1 annex B). */
const luhn = (digits: string): boolean => {
  let sum = 0
  for (let i = digits.length - 1, double = false; i >= 0; i--, double = !double) {
    const value = digits.charCodeAt(i) - 48
    sum += double ? (value > 4 ? value * 2 - 9 : value * 2) : value
  }
  return sum % 10 === 0
}

/** Length of an IBAN by country (ISO 13616 registry). */
const lengths: ReadonlyMap<string, number> = new Map(
  ("AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 " +
    "GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 " +
    "NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20")
    .split(" ").map((one) => [one.slice(0, 2), Number(one.slice(2))])
)

/** An IBAN (ISO 13616) that begins at `at` with its country, plain or in groups of four: where it ends, or -1. */
export const iban = (text: string, at: number): number => {
  if (!isUpper(text.charCodeAt(at + 1)) || !isDigit(text.charCodeAt(at + 2)) || !isDigit(text.charCodeAt(at + 3))) return -1
  const wanted = lengths.get(text.slice(at, at + 2))
  if (wanted === undefined) return -1
  let compact = ""
  let i = at
  while (compact.length < wanted && i < text.length) {
    const c = text.charCodeAt(i)
    if (isDigit(c) || isUpper(c)) compact += text[i]
    else if (!(isBlank(c) && compact.length % 4 === 0)) return -1
    i++
  }
  return compact.length === wanted && !isWord(text.charCodeAt(i)) && mod97(compact) === 1 ? i : -1
}

/** ISO 7064 MOD 97-10 over the digits, letters being 10 to 35, the first four characters last. */
const mod97 = (compact: string): number => {
  let rest = 0
  for (const one of compact.slice(4) + compact.slice(0, 4)) {
    const c = one.charCodeAt(0)
    rest = isDigit(c) ? (rest * 10 + c - 48) % 97 : (rest * 100 + c - 55) % 97
  }
  return rest
}
