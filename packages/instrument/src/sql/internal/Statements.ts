import { Redaction } from "@effect-observability/core"
import { summaryOf } from "./summary.ts"

/** What is known of a statement's text. */
export interface StatementInfo {
  readonly operation: string
  /** `""` for none, `_OTHER` past the budget. */
  readonly table: string
  /** `db.collection.name`: the table, if it is the only one. */
  readonly collection: string | undefined
  readonly summary: string
  /** Without literals and comments. */
  readonly text: string
  readonly commented: boolean
  readonly open: boolean
  /** Whether all of it was read. */
  readonly complete: boolean
}

const maxRead = 16_384
const maxKey = 8_192
const maxEntries = 1_000
const maxCharacters = 1_000_000
const other = "_OTHER"

/**
 * Reads statements, and remembers what they say: programs send the same texts again and again. What it remembers is bounded by number and by size; tables and
 * summaries are bounded by the budget of the options, because texts may be made from what callers send.
 */
export class Statements {
  private readonly dialect: Redaction.SqlDialect | undefined
  private readonly maxTables: number
  private readonly maxSummaries: number
  private readonly tables = new Set<string>()
  private readonly summaries = new Set<string>()
  private young = new Map<string, StatementInfo>()
  private old = new Map<string, StatementInfo>()
  private characters = 0

  constructor(dialect: Redaction.SqlDialect | undefined, budget: { readonly maxTables: number; readonly maxSummaries: number }) {
    this.dialect = dialect
    this.maxTables = budget.maxTables
    this.maxSummaries = budget.maxSummaries
  }

  /** Never throws. */
  info(statement: string): StatementInfo {
    const known = this.young.get(statement)
    if (known !== undefined) return known
    const former = this.old.get(statement)
    const info = former ?? this.read(statement)
    if (statement.length <= maxKey) this.keep(statement, info)
    return info
  }

  private keep(statement: string, info: StatementInfo): void {
    if (this.young.size >= maxEntries || this.characters >= maxCharacters) {
      this.old = this.young
      this.young = new Map()
      this.characters = 0
    }
    this.young.set(statement, info)
    this.characters += statement.length
  }

  private read(statement: string): StatementInfo {
    try {
      const complete = statement.length <= maxRead
      const { commented, open, text } = Redaction.sql(complete ? statement : statement.slice(0, maxRead), this.dialect)
      const summary = summaryOf(text, this.dialect === "mssql" || this.dialect === "sqlite")
      const table = this.budgeted(this.tables, this.maxTables, summary.table)
      return {
        operation: summary.operation,
        table,
        collection: summary.single ? table : undefined,
        summary: this.budgetedSummary(summary.operation, summary.text),
        text,
        commented,
        open,
        complete
      }
    } catch {
      return unread
    }
  }

  private budgeted(names: Set<string>, most: number, name: string): string {
    if (name === "" || names.has(name)) return name
    if (names.size >= most) return other
    names.add(name)
    return name
  }

  private budgetedSummary(operation: string, summary: string): string {
    return this.budgeted(this.summaries, this.maxSummaries, summary) === other && operation !== other ? `${operation} ${other}` : summary
  }
}

const unread: StatementInfo = { operation: other, table: "", collection: undefined, summary: other, text: "", commented: false, open: true, complete: false }
