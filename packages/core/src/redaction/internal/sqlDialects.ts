/** Where the dialects of SQL read the same characters differently. */
export interface Dialect {
  /** `"a"` is a name (standard), a string (MySQL), or one or the other as its place suggests. */
  readonly doubleQuotes: "name" | "string" | "guess"
  /** A backslash in `'…'`: is a character, escapes the next one, or it depends on the server's settings. */
  readonly backslash: "plain" | "escape" | "unsure"
  /** `E'…'` has escapes. */
  readonly escapeStrings: boolean
  /** `` `a` `` is a name. */
  readonly backticks: boolean
  /** `[a]` is a name. */
  readonly brackets: boolean
  /** `$tag$…$tag$` is a string. */
  readonly dollarQuotes: boolean
  readonly nestedComments: boolean
  /** `#` begins a comment: always, only before a blank or `!`, never. */
  readonly hashes: "all" | "blank" | "none"
  /** `--` begins a comment only before a blank. */
  readonly dashesNeedBlank: boolean
  /** What a numbered placeholder begins with. */
  readonly placeholders: string
}

const standard: Dialect = {
  doubleQuotes: "name",
  backslash: "plain",
  escapeStrings: false,
  backticks: false,
  brackets: false,
  dollarQuotes: false,
  nestedComments: false,
  hashes: "none",
  dashesNeedBlank: false,
  placeholders: ""
}

/** Manuals: PostgreSQL 4.1 (lexical structure), MySQL 9 (language structure), SQLite (tokens), T-SQL (constants, comments), ClickHouse (syntax). */
export const dialects = {
  pg: { ...standard, backslash: "unsure", escapeStrings: true, dollarQuotes: true, nestedComments: true, placeholders: "$" },
  mysql: { ...standard, doubleQuotes: "string", backslash: "unsure", backticks: true, hashes: "all", dashesNeedBlank: true, placeholders: "?" },
  sqlite: { ...standard, doubleQuotes: "guess", backticks: true, brackets: true, placeholders: "$?:@" },
  mssql: { ...standard, doubleQuotes: "guess", brackets: true, nestedComments: true, placeholders: "@" },
  clickhouse: { ...standard, backslash: "escape", backticks: true, dollarQuotes: true, hashes: "blank" },
  /** What goes for most; where that is not certain, the reading that shows less. */
  unknown: { ...standard, doubleQuotes: "guess", backslash: "unsure", escapeStrings: true, backticks: true, dollarQuotes: true, nestedComments: true, placeholders: "$?:@" }
} satisfies Record<string, Dialect>
