import { Values } from "../tracing/internal/values.ts"
import * as SpanLimits from "../tracing/SpanLimits.ts"
import { compile, type RedactionRule } from "./internal/Scrubber.ts"
import { scan, type SqlScan } from "./internal/sql.ts"
import { dialects } from "./internal/sqlDialects.ts"

export type { RedactionRule, SqlScan }

/** A dialect of SQL as Effect's SQL clients name it. */
export type SqlDialect = Exclude<keyof typeof dialects, "unknown">

/**
 * An SQL statement without its literals (each is `?`) and comments; names and placeholders stay. Never throws; linear in the length. Where
 * dialects disagree on where a string ends, or it never does, all that follows is left out. Without a dialect the reading is taken that shows less.
 *
 * @example
 * ```ts
 * Redaction.sql("select * from users where mail = 'ann@example.org' limit 10", "pg").text // "select * from users where mail = ? limit ?"
 * ```
 */
export const sql = (statement: string, dialect?: SqlDialect): SqlScan => scan(statement, dialects[dialect ?? "unknown"])

/** What is taken out before anything is kept; everything has a default. */
export interface RedactionInput {
  /** Default `true`. `false` keeps everything as it is recorded. */
  readonly enabled?: boolean
  /** More names of secrets; case and separators do not matter, a nested name counts by its last part. */
  readonly names?: ReadonlyArray<string>
  /** Names that are no secrets whatever they sound like; values that look like secrets are still taken out. */
  readonly allow?: ReadonlyArray<string>
  /** Whether e-mail addresses are taken out. Default `true`. */
  readonly emails?: boolean
  /** Whether IPv4 and IPv6 addresses are taken out. Default `false`. */
  readonly addresses?: boolean
  /**
   * Rules of the program: a value for which one answers `true`, or throws, is replaced. They are functions and not patterns because a
   * pattern of unknown make may take exponential time on a hostile value; a function that uses one answers for it.
   */
  readonly rules?: ReadonlyArray<RedactionRule>
}

/** Takes secrets out of values. Never throws, never waits; time is linear in what is read. */
export interface Redactor {
  /** A value as it may be kept under this name: secrets by name or by form become `REDACTED`, objects become JSON. */
  readonly value: (name: string, value: unknown) => unknown
  /** A text that stands under no name. */
  readonly text: (text: string) => string
  /** Whether nothing under this name may be kept. */
  readonly isSecret: (name: string) => boolean
}

/** The rules of `input` as functions, for backends and logs that keep things of their own. */
export const make = (input: RedactionInput = {}): Redactor => {
  const scrubber = compile(input)
  const values = new Values(SpanLimits.defaults, scrubber)
  return {
    value: (name, value) => values.plain(name, value),
    text: (text) => scrubber === undefined ? text : scrubber.bare(text, text.length),
    isSecret: (name) => scrubber?.entry(name).secret ?? false
  }
}
