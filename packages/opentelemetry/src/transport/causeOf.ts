import { printable } from "../internal/printable.ts"

/** Why a request did not come through, in a line: the innermost cause, its code before its words. */
export const causeOf = (error: unknown): string => {
  let cause = error
  for (let depth = 0; depth < 5 && cause instanceof Error; depth++) {
    if (cause instanceof AggregateError && cause.errors.length > 0) cause = cause.errors[0]
    else if (cause.cause !== undefined) cause = cause.cause
    else break
  }
  if (!(cause instanceof Error)) return printable(String(cause))
  const { code } = cause as { readonly code?: unknown }
  const message = printable(cause.message, 200)
  return typeof code !== "string" || message.includes(code) ? message : `${code}: ${message}`
}
