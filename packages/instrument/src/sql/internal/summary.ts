import { afterTables, closed, definitions, direct, modifiers, named, notBeforeVerb, objects, operations } from "./words.ts"

/** What a statement does, in words of low cardinality. */
export interface Summary {
  /** The main verb in upper case; `_OTHER` when it is none that is known. */
  readonly operation: string
  /** The table the main verb works on first; `""` for none. */
  readonly table: string
  /** Whether that is the only one. */
  readonly single: boolean
  /** Verbs and tables as they come: `INSERT orders SELECT carts items`. At most 255 characters (OpenTelemetry, `db.query.summary`). */
  readonly text: string
}

const maxRead = 8_192
const maxParts = 12
const maxText = 255
const maxName = 128

/** Of a statement without literals and comments. Time is bounded: what stands beyond the first 8,192 characters is not read. */
export const summaryOf = (statement: string, brackets: boolean): Summary => new Reader(statement, brackets).read()

interface Frame {
  verb: string | undefined
  /** A comma brings the next table. */
  list: boolean
  /** Between `WITH` and the statement proper. */
  readonly with: boolean
}

const word = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y
const quoted = /"((?:[^"]|"")*)"|`([^`]*)`/y
const bracketed = /\[([^\]]*)\]/y

/** Reads tokens one by one; parentheses open frames, so that a subquery is told from what stands around it. */
class Reader {
  private readonly text: string
  private readonly brackets: boolean
  private at = 0
  private frames: Array<Frame> = []
  private frame: Frame = { verb: undefined, list: false, with: false }
  private previous = ""
  private beforePrevious = ""
  private readonly common = new Set<string>()
  private readonly parts: Array<string> = []
  private operation: string | undefined
  private mainTable: string | undefined
  private firstTable: string | undefined
  private tables = 0

  constructor(statement: string, brackets: boolean) {
    this.text = statement.length > maxRead ? statement.slice(0, maxRead) : statement
    this.brackets = brackets
  }

  read(): Summary {
    const { text } = this
    while (this.at < text.length && this.parts.length < maxParts) {
      const token = this.next()
      if (token === undefined) continue
      this.take(token)
      this.beforePrevious = this.previous
      this.previous = token
    }
    const operation = this.operation ?? this.parts.find((part) => operations.has(part)) ?? "_OTHER"
    const table = this.mainTable ?? this.firstTable ?? ""
    return { operation, table, single: this.tables === 1, text: joined(this.parts) || operation }
  }

  private take(token: string): void {
    switch (token) {
      case "(":
        this.frames.push(this.frame)
        this.frame = { verb: undefined, list: false, with: false }
        return
      case ")":
        this.frame = this.frames.pop() ?? this.frame
        return
      case ";":
        this.frames = []
        this.frame = { verb: undefined, list: false, with: false }
        return
      case ",":
        if (this.frame.with) this.commonName()
        else if (this.frame.list) this.target(true)
        return
      default:
        this.takeWord(token)
    }
  }

  private takeWord(token: string): void {
    const { frame } = this
    if (frame.verb !== undefined && closed.has(frame.verb)) return
    if (this.isVerb(token)) return this.verb(token)
    switch (token) {
      case "FROM":
        // `extract(year from x)` and `a is distinct from b` read no table.
        if (frame.verb === undefined || frame.verb === "COPY" || (this.previous === "DISTINCT" && (this.beforePrevious === "IS" || this.beforePrevious === "NOT"))) return
        frame.list = true
        return this.target(true)
      case "JOIN":
      case "STRAIGHT_JOIN":
        return frame.verb === undefined && this.frames.length === 0 ? undefined : this.target(true)
      case "USING":
        return frame.verb === "DELETE" || frame.verb === "MERGE" ? this.target(true) : undefined
      case "INTO":
        return frame.verb === "SELECT" || frame.verb === "MERGE" ? this.target(false) : undefined
      default:
        if (afterTables.has(token)) frame.list = false
    }
  }

  private isVerb(token: string): boolean {
    const starts = this.previous === "" || this.previous === ";"
    switch (token) {
      case "SELECT":
        return true
      case "INSERT":
      case "UPDATE":
      case "DELETE":
      case "MERGE":
        return starts || (!notBeforeVerb.has(this.previous) && (this.frame.with || this.frame.verb === undefined || this.frame.verb === "EXPLAIN" || this.frame.verb === "PREPARE"))
      case "REPLACE":
        return starts
      default:
        return starts && (operations.has(token) || /^[A-Z_]+$/.test(token))
    }
  }

  private verb(token: string): void {
    if (token === "WITH") {
      this.frame = { verb: undefined, list: false, with: true }
      return this.commonName()
    }
    const known = operations.has(token) ? token : "_OTHER"
    if (this.frame.with) this.frame = { verb: known, list: false, with: false }
    else {
      this.frame.verb = known
      this.frame.list = false
    }
    if (this.operation === undefined && this.frames.length === 0) this.operation = known
    this.parts.push(known)
    if (token === "INSERT" || token === "UPDATE" || token === "REPLACE" || direct.has(token)) this.target(false)
    else if (definitions.has(token)) this.definition()
  }

  /** `WITH a AS (…), b AS (…)`: names of this statement alone. */
  private commonName(): void {
    let token = this.next()
    if (token === "RECURSIVE") token = this.next()
    if (token !== undefined) this.common.add(this.raw.toLowerCase())
  }

  /** `CREATE UNIQUE INDEX i ON t`, `ALTER TABLE IF EXISTS t`, `DROP VIEW v` */
  private definition(): void {
    for (let i = 0; i < 8; i++) {
      const token = this.next()
      if (token === undefined || token === "(" || token === ";") return
      if (!objects.has(token)) continue
      this.parts.push(token)
      if (token === "INDEX" || token === "TRIGGER") return this.after("ON")
      if (named.has(token)) this.target(false)
      if (token !== "TABLE" && token !== "VIEW") this.frame.verb = "SET"
      return
    }
  }

  private after(keyword: string): void {
    for (let i = 0; i < 24 && this.at < this.text.length; i++) {
      if (this.next() !== keyword) continue
      this.target(false)
      break
    }
    this.frame.verb = "SET"
  }

  /** The name that comes next, unless it is a subquery, a function (where one may stand) or a name of this statement alone. */
  private target(orFunction: boolean): void {
    let back = this.at
    let token = this.next()
    while (token !== undefined && token === this.raw.toUpperCase() && modifiers.has(token) && !this.wasQuoted) {
      back = this.at
      token = this.next()
    }
    if (token === undefined || !this.isName) {
      this.at = back
      return
    }
    let name = this.raw
    for (;;) {
      this.skipBlanks()
      if (this.text.charCodeAt(this.at) !== dot) break
      this.at++
      this.next()
      if (!this.isName) break
      name += `.${this.raw}`
    }
    this.previous = "name"
    if (orFunction && this.text.charCodeAt(this.at) === opening) return
    if (!this.common.has(name.toLowerCase())) this.add(name)
  }

  private add(name: string): void {
    // Nothing that is called so is worth a series of its own.
    const table = name.length > maxName || !/^[\p{L}\p{M}\p{N}_$. #@-]+$/u.test(name) ? "_OTHER" : name
    this.parts.push(table)
    this.tables++
    this.firstTable ??= table
    if (this.frames.length === 0 && this.frame.verb !== "CALL") this.mainTable ??= table
  }

  private raw = ""
  private isName = false
  private wasQuoted = false

  private skipBlanks(): void {
    while (this.text.charCodeAt(this.at) <= 32) this.at++
  }

  /** The next token: a word in upper case, a quoted name, or one character; `raw` has it as it was written. */
  private next(): string | undefined {
    this.skipBlanks()
    const { at, text } = this
    this.isName = false
    this.wasQuoted = false
    this.raw = ""
    if (at >= text.length) return undefined
    word.lastIndex = quoted.lastIndex = bracketed.lastIndex = at
    const found = word.exec(text)
    if (found !== null) {
      this.at += found[0].length
      this.isName = true
      this.raw = found[0]
      return this.raw.toUpperCase()
    }
    const name = quoted.exec(text) ?? (this.brackets ? bracketed.exec(text) : null)
    if (name !== null) {
      this.at += name[0].length
      this.isName = this.wasQuoted = true
      this.raw = name[1] ?? name[2] ?? ""
      // In lower case it is taken for no keyword.
      return "name"
    }
    this.at++
    return this.raw = text[at]!
  }
}

const joined = (parts: ReadonlyArray<string>): string => {
  let text = ""
  for (const part of parts) {
    if (text.length + part.length >= maxText) break
    text += text === "" ? part : ` ${part}`
  }
  return text
}

const opening = 40
const dot = 46
