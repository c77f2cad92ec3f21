import { Exporter } from "@effect-observability/core"
import type { SqlError } from "effect/sql/SqlError"

/** What the server reported, or `undefined` when the error came from the connection or the driver. */
export const sqlState = (error: SqlError): string | undefined => {
  // A closed socket carries Node's own code, and some of those (EPIPE) look like an SQLSTATE.
  if (error.reason._tag === "ConnectionError" && !field(error, "code")?.startsWith("08")) return undefined
  const code = field(error, "code")
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) ? code : undefined
}

/** One line for people; what the server said, without statement or parameters. */
export const describe = (error: SqlError): string => {
  const code = sqlState(error)
  const said = field(error, "message") ?? error.reason.message ?? error.message
  return (code === undefined ? said : `${said} (SQLSTATE ${code})`).split("\n", 1)[0]!
}

/**
 * Classes that condemn the batch: wrong data (21, 22, 23, 44, 54) and a wrong or forbidden object (42). Everything else, the
 * classes 08, 40, 53 and 57 first of all, says something about the server and may pass.
 */
const condemned: ReadonlySet<string> = new Set(["21", "22", "23", "42", "44", "54"])

export const toExportError = (error: SqlError): Exporter.ExportError => {
  const code = sqlState(error)
  if (code !== undefined) {
    return condemned.has(code.slice(0, 2))
      ? Exporter.refused(describe(error), `rejected:${code}`, !code.startsWith("42"))
      : Exporter.unavailable(describe(error))
  }
  // Without an SQLSTATE and without a connection error the driver could not encode a parameter.
  return error.reason._tag === "UnknownError" && error.reason.operation === "query" && isCodecError(error.reason.cause)
    ? Exporter.refused(describe(error), "serialise")
    : Exporter.unavailable(describe(error))
}

/** No partition holds the row. Told apart by the server's routine: messages are translated, and no table here has a check. */
export const isMissingPartition = (error: SqlError): boolean => sqlState(error) === "23514"

/** A table or the schema is gone: what the migration made is not there any more. */
export const isMissingSchema = (error: SqlError): boolean => {
  const code = sqlState(error)
  return code === "42P01" || code === "3F000"
}

/** After it the connection may be used again: the server answered and goes on. */
export const keepsConnection = (error: SqlError): boolean => {
  const code = sqlState(error)
  return code !== undefined && !code.startsWith("08") && !code.startsWith("53") && !code.startsWith("57")
}

const isCodecError = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null && "_tag" in cause && String(cause._tag).startsWith("PgTypesCodecError")

const field = (error: SqlError, name: "code" | "message"): string | undefined => {
  const cause = error.reason.cause
  if (typeof cause !== "object" || cause === null || !(name in cause)) return undefined
  const value = (cause as Record<string, unknown>)[name]
  return typeof value === "string" && value !== "" ? value : undefined
}
