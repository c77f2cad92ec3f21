/** What went wrong, in words of low cardinality that hold nothing of the statement. */
export interface DbFailure {
  readonly type: string
  /** SQLSTATE or the like. */
  readonly code: string | undefined
  readonly constraint: string | undefined
}

/** Classes of SQLSTATE (PostgreSQL, appendix A); names of `effect/sql`'s reasons where it has one. */
const states: Readonly<Record<string, string>> = {
  "08": "ConnectionError", "0A": "FeatureNotSupported", "21": "CardinalityViolation", "22": "DataError", "23": "ConstraintError", "25": "TransactionStateError",
  "28": "AuthenticationError", "34": "CursorError", "3D": "CatalogError", "3F": "SchemaNameError", "40": "TransactionRollback", "42": "SqlSyntaxError",
  "53": "ResourceError", "54": "LimitError", "55": "ObjectStateError", "57": "OperatorIntervention", "58": "SystemError", P0: "RaisedError", XX: "InternalError"
}
const single: Readonly<Record<string, string>> = {
  "42501": "AuthorizationError", "23505": "UniqueViolation", "40P01": "DeadlockError", "40001": "SerializationError", "55P03": "LockTimeoutError",
  "57014": "StatementTimeoutError", "57P01": "ConnectionError", "57P02": "ConnectionError", "57P03": "ConnectionError"
}

/** Any error of a driver, Effect's `SqlError` among them. Never throws. */
export const classify = (error: unknown): DbFailure => {
  try {
    const reason = field(error, "reason")
    const cause = field(reason, "cause")
    const code = codeOf(error) ?? codeOf(cause) ?? codeOf(field(cause, "cause"))
    const tag = field(reason, "_tag")
    const known = typeof tag === "string" && tag !== "UnknownError" ? tag : undefined
    const constraint = field(reason, "constraint") ?? field(error, "constraint") ?? field(cause, "constraint")
    return {
      type: word(known) ?? (code === undefined ? undefined : byCode(code)) ?? word(tag) ?? connectionLost(error) ?? word(field(error, "_tag")) ?? word(field(error, "name")) ?? "Error",
      code,
      constraint: typeof constraint === "string" && constraint !== "unknown" ? word(constraint) : undefined
    }
  } catch {
    return { type: "Error", code: undefined, constraint: undefined }
  }
}

const byCode = (code: string): string | undefined => {
  if (/^E[A-Z_]{2,}$/.test(code)) return "ConnectionError"
  return single[code] ?? states[code.slice(0, 2)] ?? (/^[0-9A-Z]{5}$/.test(code) ? "UnknownError" : undefined)
}

/** What `pg` says without a code. */
const connectionLost = (error: unknown): string | undefined => {
  const message = field(error, "message")
  return typeof message === "string" && /^(?:Connection terminated|timeout exceeded when trying to connect|Client (?:was closed|has encountered)|Cannot use a pool|Connection error)/i.test(message)
    ? "ConnectionError"
    : undefined
}

const codeOf = (error: unknown): string | undefined => {
  const code = field(error, "code")
  return typeof code === "string" && /^[0-9A-Z_]{2,32}$/.test(code) ? code : undefined
}

const field = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined

/** Names made by programmers; nothing else becomes a label. */
const word = (value: unknown): string | undefined => typeof value === "string" && /^[A-Za-z_][\w.-]{0,63}$/.test(value) ? value : undefined
