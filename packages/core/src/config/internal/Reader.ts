import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"

export interface Problem {
  readonly path: string
  readonly message: string
}

type Fields = { readonly [key: string]: unknown }

/** A JSON Schema (draft 2020-12) in the making. */
export interface Shape {
  readonly [keyword: string]: unknown
}

/** What a `Reader` was asked for, as JSON Schema: who decodes says what may be written, so that both cannot differ. */
export class Shapes {
  readonly properties: Record<string, Shape> = {}

  toShape(): Shape {
    return { type: "object", properties: this.properties, additionalProperties: false }
  }
}

/**
 * Reads one group of a configuration field by field, with defaults, and collects what is wrong instead of stopping at it. A message
 * never repeats the value of a secret.
 */
export class Reader {
  private readonly fields: Fields
  private readonly path: string
  private readonly problems: Array<Problem>
  private readonly known = new Set<string>()
  private readonly shapes: Shapes | undefined

  constructor(value: unknown, path: string, problems: Array<Problem>, shapes?: Shapes) {
    this.path = path
    this.problems = problems
    this.shapes = shapes
    if (value === undefined) this.fields = {}
    else if (typeof value === "object" && value !== null && !Array.isArray(value)) this.fields = value as Fields
    else {
      this.fields = {}
      problems.push({ path: path === "" ? "configuration" : path, message: `expected an object, got ${show(value)}` })
    }
  }

  private at(key: string): string {
    return this.path === "" ? key : `${this.path}.${key}`
  }

  wrong(key: string, message: string): void {
    this.problems.push({ path: this.at(key), message })
  }

  /** A field may also be written as the document has it: `service_name` for `serviceName`. */
  get(key: string): unknown {
    this.known.add(key)
    const { fields } = this
    const own = Object.hasOwn(fields, key) ? fields[key] : undefined
    const snake = snakeCase(key)
    if (snake === key || !Object.hasOwn(fields, snake)) return own
    if (own !== undefined && !this.known.has(snake)) this.wrong(snake, `is given as ${key} too: leave one of them out`)
    this.known.add(snake)
    return own ?? fields[snake]
  }

  group(key: string): Reader {
    const shapes = this.shapes === undefined ? undefined : new Shapes()
    if (shapes !== undefined) this.describe(key, shapes.toShape())
    return new Reader(this.get(key), this.at(key), this.problems, shapes)
  }

  /** Says what may be written where the plain forms below do not. */
  describe(key: string, shape: Shape): void {
    if (this.shapes === undefined) return
    this.shapes.properties[key] = shape
    const snake = snakeCase(key)
    if (snake !== key) this.shapes.properties[snake] = shape
  }

  /** One element of a list that `get` gave. */
  item(key: string, index: number, value: unknown): Reader {
    return new Reader(value, `${this.at(key)}.${index}`, this.problems)
  }

  private checked<A>(key: string, fallback: A, expected: string, parse: (value: unknown) => A | undefined): A {
    const value = this.get(key)
    if (value === undefined) return fallback
    const parsed = parse(value)
    if (parsed !== undefined) return parsed
    this.wrong(key, `expected ${expected}, got ${show(value)}`)
    return fallback
  }

  boolean(key: string, fallback: boolean): boolean {
    this.describe(key, { type: "boolean", default: fallback })
    return this.checked(key, fallback, "true or false", (value) => typeof value === "boolean" ? value : undefined)
  }

  string(key: string, fallback: string, pattern?: RegExp, expected = "text"): string {
    this.describe(key, { type: "string", default: fallback, ...(pattern === undefined ? {} : { pattern: pattern.source, description: expected }) })
    return this.checked(
      key,
      fallback,
      expected,
      (value) => typeof value === "string" && (pattern === undefined || pattern.test(value)) ? value : undefined
    )
  }

  oneOf<const A extends string>(key: string, fallback: A, words: ReadonlyArray<A>): A {
    this.describe(key, { enum: words, default: fallback })
    return this.checked(key, fallback, `one of ${words.join(", ")}`, (value) => words.find((word) => word === value))
  }

  number(key: string, fallback: number, least: number, most: number): number {
    this.describe(key, { type: "number", minimum: least, maximum: most, default: fallback })
    return this.checked(
      key,
      fallback,
      `a number from ${least} to ${most}`,
      (value) => typeof value === "number" && value >= least && value <= most ? value : undefined
    )
  }

  integer(key: string, fallback: number, least: number, most: number): number {
    this.describe(key, { type: "integer", minimum: least, maximum: most, default: fallback })
    return this.checked(
      key,
      fallback,
      `a whole number from ${least} to ${most}`,
      (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most ? value as number : undefined
    )
  }

  /** Milliseconds; a plain number means seconds. */
  duration(key: string, fallbackSeconds: number): number {
    const day = 86_400_000
    this.describe(key, {
      anyOf: [{ type: "number", exclusiveMinimum: 0, maximum: day / 1000 }, { type: "string", pattern: durationText }],
      default: fallbackSeconds,
      description: "seconds, or text like \"15 seconds\"; at most one day"
    })
    return this.checked(key, fallbackSeconds * 1000, "seconds above 0 and at most one day, as a number or like \"15 seconds\"", (value) => {
      const millis = typeof value === "number"
        ? value * 1000
        : Option.match(Duration.fromInput(value as Duration.Input), { onNone: () => NaN, onSome: Duration.toMillis })
      return millis > 0 && millis <= day ? millis : undefined
    })
  }

  strings(key: string, fallback: ReadonlyArray<string>, pattern: RegExp, expected: string): ReadonlyArray<string> {
    this.describe(key, { type: "array", items: { type: "string", pattern: pattern.source }, default: fallback, description: expected })
    return this.checked(
      key,
      fallback,
      expected,
      (value) => Array.isArray(value) && value.every((one) => typeof one === "string" && pattern.test(one)) ? value : undefined
    )
  }

  /** Text that is never shown; `valid` says what is wrong with it without repeating it. */
  secret(key: string, valid: (text: string) => string | undefined): Redacted.Redacted<string> | undefined {
    this.describe(key, { type: "string", description: "a secret: better given by the environment or a mounted file" })
    const value = this.get(key)
    if (value === undefined) return undefined
    const text = Redacted.isRedacted(value) ? Redacted.value(value) : value
    const wrong = typeof text === "string" ? valid(text) : "expected text"
    if (wrong !== undefined) {
      this.wrong(key, wrong)
      return undefined
    }
    return Redacted.isRedacted(value) ? value as Redacted.Redacted<string> : Redacted.make(text as string)
  }

  /** Reports the keys nobody asked for: a misspelt one must not be ignored. */
  close(): void {
    for (const key of Object.keys(this.fields)) {
      if (this.known.has(key)) continue
      const near = [...this.known].find((name) => name.toLowerCase() === key.replaceAll(/[_-]/g, "").toLowerCase()) ?? nearest(key, this.known)
      this.wrong(key, `unknown; ${near === undefined ? `use one of ${[...this.known].join(", ")}` : `did you mean ${near}?`}`)
    }
  }
}

/** What Effect reads as a duration: a number and a unit. */
const durationText = "^-?\\d+(\\.\\d+)?\\s+(nanos?|micros?|millis?|seconds?|minutes?|hours?|days?|weeks?)$"

const snakeCase = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

const show = (value: unknown): string => {
  if (Redacted.isRedacted(value)) return "a redacted value"
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "an object"
  return String(value)
}

const nearest = (key: string, names: ReadonlySet<string>): string | undefined => {
  let best: string | undefined
  let least = 4
  for (const name of names) {
    const far = distance(key, name)
    if (far < least) {
      least = far
      best = name
    }
  }
  return best
}

/** Levenshtein's distance; the names are short. */
const distance = (a: string, b: string): number => {
  if (Math.abs(a.length - b.length) > 4 || a.length > 64) return 99
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}
