import { encode, makeBudget, quote } from "../internal/json.ts"
import { hash } from "../PostgresEncoding.ts"

/**
 * How the attributes of a span are written: the JSON texts of its values with tabs between them, and a template they are put
 * into (`format` of PostgreSQL). Spans of one operation mostly have the same keys, and some values that never change: those
 * stand in the template, once, instead of in every row. What the values are is learned from the spans as they come; a span that
 * is unlike the others is written in full. JSON text has no raw tab and no raw newline.
 */
export interface Template {
  /** What identifies it, on every process. */
  readonly hash: string
  readonly text: string
}

/** Shapes of one operation, and of all; keys of one shape. What is past it is written in full. */
const mostPerOperation = 8
const mostShapes = 1_000
const mostKeys = 64
/** Spans of a shape that are looked at before values are taken for constant, and how often that is tried. */
const looks = 64
const mostTries = 4
/** Characters of a value that is worth a place in the template, and of one that is too much for it. */
const leastText = 3
const mostText = 2_000

/** A place of a template that is filled in. */
const open = Symbol()

export class Shapes {
  /** Of the span last written; `undefined` when its line is the whole object. */
  template: Template | undefined
  /** Keys whose values stay with their spans, so that they go with them. */
  private readonly apart: ReadonlySet<string>
  private readonly byOperation = new Map<string, Array<Shape>>()
  private count = 0
  /** The span at hand, without what is undefined. */
  private readonly keys: Array<string> = []
  private readonly values: Array<unknown> = []
  private readonly budget = makeBudget()

  constructor(apart: ReadonlySet<string>) {
    this.apart = apart
  }

  /** The line of a span of this operation; `template` is then its template. */
  write(operation: string, attributes: ReadonlyMap<string, unknown>): string {
    let length = 0
    if (attributes.size <= mostKeys) {
      for (const [key, value] of attributes) {
        if (value === undefined) continue
        this.keys[length] = key
        this.values[length++] = value
      }
    }
    const shape = attributes.size > mostKeys ? undefined : this.shapeOf(operation, length)
    if (shape === undefined) {
      this.template = undefined
      return inFull(attributes)
    }
    const fixed = shape.take(this.values)
    this.template = shape.template
    const { budget } = this
    budget.nodes = fresh.nodes - length
    budget.characters = fresh.characters - shape.keyCharacters
    let line = ""
    let first = true
    for (let i = 0; i < length; i++) {
      if (fixed !== undefined && fixed[i] !== open) continue
      const value = this.values[i]
      const text = typeof value === "string" && budget.characters > 0 ? quote(value, budget) : encode(value, budget) ?? "null"
      line += first ? text : `\t${text}`
      first = false
    }
    return line
  }

  private shapeOf(operation: string, length: number): Shape | undefined {
    let shapes = this.byOperation.get(operation)
    if (shapes !== undefined) {
      for (let n = 0; n < shapes.length; n++) if (shapes[n]!.has(this.keys, length)) return shapes[n]
      if (shapes.length >= mostPerOperation) return undefined
    }
    if (this.count >= mostShapes) return undefined
    this.count++
    if (shapes === undefined) this.byOperation.set(operation, shapes = [])
    const shape = new Shape(this.keys.slice(0, length), this.apart)
    shapes.push(shape)
    return shape
  }
}

const fresh = makeBudget()

const inFull = (attributes: ReadonlyMap<string, unknown>): string => {
  const budget = makeBudget()
  let out = "{"
  for (const [key, value] of attributes) {
    const text = encode(value, budget)
    if (text !== undefined) out += `${out.length === 1 ? "" : ","}${quote(key, budget)}:${text}`
  }
  return `${out}}`
}

/** Spans of one operation with the same keys in the same order. */
class Shape {
  /** Of the span last taken. */
  template: Template
  readonly keyCharacters: number
  private readonly keys: ReadonlyArray<string>
  private readonly apart: ReadonlySet<string>
  private readonly general: Template
  private special: { readonly template: Template; readonly fixed: ReadonlyArray<unknown> } | undefined
  /** Values that may be constant, while they are looked for. */
  private candidates: Array<unknown> | undefined
  private seen = 0
  private missed = 0
  private tries = 0

  constructor(keys: ReadonlyArray<string>, apart: ReadonlySet<string>) {
    this.keys = keys
    this.apart = apart
    this.keyCharacters = keys.reduce((sum, key) => sum + key.length, 0)
    this.template = this.general = templateOf(keys, keys.map(() => open))
  }

  has(keys: ReadonlyArray<string>, length: number): boolean {
    if (this.keys.length !== length) return false
    for (let i = 0; i < length; i++) if (keys[i] !== this.keys[i]) return false
    return true
  }

  /** Chooses the template for a span with these values, and returns what that has in their places. */
  take(values: ReadonlyArray<unknown>): ReadonlyArray<unknown> | undefined {
    this.template = this.general
    if (this.special === undefined) {
      if (this.tries < mostTries) this.learn(values)
      return undefined
    }
    const { fixed, template } = this.special
    this.seen++
    for (let i = 0; i < fixed.length; i++) {
      if (fixed[i] !== open && fixed[i] !== values[i]) {
        // What was constant is so no more.
        if (++this.missed * 4 > this.seen && this.seen >= looks) this.forget()
        return undefined
      }
    }
    this.template = template
    return fixed
  }

  private learn(values: ReadonlyArray<unknown>): void {
    if (this.candidates === undefined) {
      this.candidates = this.keys.map((key, i) => (this.apart.has(key) || !isConstant(values[i]) ? open : values[i]))
    } else {
      for (let i = 0; i < this.candidates.length; i++) if (this.candidates[i] !== values[i]) this.candidates[i] = open
    }
    if (++this.seen < looks) return
    const fixed = this.candidates
    this.forget()
    if (fixed.every((value) => value === open)) this.tries = mostTries
    else this.special = { fixed, template: templateOf(this.keys, fixed) }
  }

  private forget(): void {
    this.special = this.candidates = undefined
    this.seen = this.missed = 0
    this.tries++
  }
}

const isConstant = (value: unknown): boolean =>
  typeof value === "string" ? value.length >= leastText && value.length <= mostText : typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))

const templateOf = (keys: ReadonlyArray<string>, fixed: ReadonlyArray<unknown>): Template => {
  const budget = makeBudget()
  const literal = (text: string) => text.replaceAll("%", "%%")
  const members = keys.map((key, i) => `${literal(quote(key, budget))}:${fixed[i] === open ? "%s" : literal(encode(fixed[i], makeBudget()) ?? "null")}`)
  const text = `{${members.join(",")}}`
  return { text, hash: hash(["shape", text]) }
}
