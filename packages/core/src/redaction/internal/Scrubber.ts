import { card } from "./numbers.ts"
import { isSecretName, normalName, sqlNames, urlNames } from "./keys.ts"
import { redacted, scrub, type Wanted, withoutQueryValues } from "./scan.ts"
import { withoutLiterals, withoutQuotedSql } from "./sql.ts"

/** A rule of the program: whether the value under this name must not be kept. One that throws hides the value. */
export type RedactionRule = (name: string, value: unknown) => boolean

export interface ScrubberOptions {
  readonly names: ReadonlyArray<string>
  readonly allow: ReadonlyArray<string>
  readonly emails: boolean
  readonly addresses: boolean
  readonly rules: ReadonlyArray<RedactionRule>
}

/** What is known of one name. */
export interface Entry {
  /** The name itself without secrets in it. */
  readonly shown: string
  /** Whether nothing under this name may be kept, whatever it is. */
  readonly secret: boolean
  readonly kind: "text" | "url" | "query" | "sql"
  /** The last value that held nothing: most names have few values. What held a secret is not remembered. */
  clean: string
}

/** Names remembered; past it all are forgotten, so that made-up names cannot fill the memory. */
const maxEntries = 2_000
/** Longest name that is kept. */
const maxName = 1_024
/** In a name nothing is assigned to anything. */
const unnamed: Wanted = { isSecret: () => false, emails: true, addresses: false }
const maxTexts = 1_000
/** Longest clean value that is remembered. */
const maxClean = 256
/** Read beyond what is kept, so that a secret on the edge is recognised before it is cut. */
const margin = 4_096

/** Takes secrets out of names and values by the rules in force. Never throws: what cannot be judged is replaced. */
export class Scrubber {
  private readonly options: ScrubberOptions
  private readonly names: ReadonlySet<string>
  private readonly allowed: ReadonlySet<string>
  private readonly wanted: Wanted
  private readonly entries = new Map<string, Entry>()
  /** Short texts that held nothing: names of spans and events come again and again. */
  private readonly clean = new Set<string>()
  /** Whether the program has rules of its own. */
  readonly hasRules: boolean

  constructor(options: ScrubberOptions) {
    this.options = options
    this.hasRules = options.rules.length > 0
    this.names = new Set(options.names.map(normalName))
    this.allowed = new Set(options.allow.map(normalName))
    this.wanted = { isSecret: (name) => this.entry(name).secret, emails: options.emails, addresses: options.addresses }
  }

  /** Whether a rule of the program hides this value. */
  isHidden(name: string, value: unknown): boolean {
    const { rules } = this.options
    for (let i = 0; i < rules.length; i++) {
      try {
        if (rules[i]!(name, value) !== false) return true
      } catch {
        return true
      }
    }
    return false
  }

  /** A text as it may be kept under a name, at most a little longer than `length`. */
  text(entry: Entry, text: string, length: number): string {
    if (entry.secret) return text === "" ? text : redacted
    // The one that is kept already: an equal text just made, a header's, then dies young instead of with the span it is on.
    if (text === entry.clean) return entry.clean
    try {
      const head = text.length > length + margin ? text.slice(0, length + margin) : text
      const found = this.judged(entry, head)
      if (found === text && text.length <= maxClean) entry.clean = text
      return found
    } catch {
      return redacted
    }
  }

  /** A text that stands under no name: messages, names of spans. */
  bare(text: string, length: number): string {
    if (this.clean.has(text)) return text
    try {
      const head = text.length > length + margin ? text.slice(0, length + margin) : text
      const found = scrub(mayBeSql(head) ? withoutQuotedSql(head) : head, this.wanted)
      if (found === text && text.length <= maxClean) {
        if (this.clean.size >= maxTexts) this.clean.clear()
        this.clean.add(text)
      }
      return found
    } catch {
      return redacted
    }
  }

  /** Whether a number is a payment card's. */
  isCard(value: number | bigint): boolean {
    if (!(value >= 1e12) || (typeof value === "number" && !Number.isInteger(value))) return false
    const digits = String(value)
    return card(digits, 0, digits.length) === digits.length
  }

  private judged({ kind }: Entry, text: string): string {
    switch (kind) {
      case "sql":
        return scrub(withoutLiterals(text), this.wanted)
      case "url":
      case "query":
        return scrub(withoutQueryValues(text, kind === "query"), this.wanted)
      default:
        return scrub(mayBeSql(text) ? withoutQuotedSql(text) : text, this.wanted)
    }
  }

  /** Never throws. */
  entry(name: string): Entry {
    const known = this.entries.get(name)
    if (known !== undefined) return known
    if (this.entries.size >= maxEntries) this.entries.clear()
    const kind = name === "url.query" ? "query" : urlNames.has(name) ? "url" : sqlNames.has(name) ? "sql" : "text"
    const entry: Entry = { shown: name.length > 4 ? scrub(name.slice(0, maxName), unnamed) : name, secret: this.named(name), kind, clean: "" }
    this.entries.set(name, entry)
    return entry
  }

  private named(name: string): boolean {
    const whole = normalName(name)
    const last = normalName(name.slice(name.lastIndexOf(".") + 1))
    if (this.allowed.has(whole) || this.allowed.has(last)) return false
    return this.names.has(whole) || this.names.has(last) || isSecretName(name)
  }
}

/** Statements have at least so many characters, most other values have fewer. */
const mayBeSql = (text: string): boolean => text.length > 16

/** Options that may be left out. */
type Given = { readonly [K in keyof ScrubberOptions]?: ScrubberOptions[K] } & { readonly enabled?: boolean }

/** The scrubber of some settings; `undefined` when nothing is to be taken out. */
export const compile = (given: Given): Scrubber | undefined =>
  given.enabled === false ? undefined : new Scrubber({
    names: given.names ?? [],
    allow: given.allow ?? [],
    emails: given.emails ?? true,
    addresses: given.addresses ?? false,
    rules: given.rules ?? []
  })
