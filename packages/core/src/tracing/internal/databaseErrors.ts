/**
 * What a database says went wrong, without the values it quotes: `invalid input syntax for type integer: "hunter2"`. Names that it calls by their kind
 * (`relation "users"`, `constraint "users_name_key"`) stay. Values are quoted as they are, quotes inside them too: what is no name hides all up to the last quote.
 */
export const withoutQuotedValues = (message: string): string => {
  let from = 0
  for (;;) {
    const start = nextQuote(message, from)
    if (start < 0) return message
    const end = message.indexOf(message[start]!, start + 1)
    const isNamed = end > 0 && kind.test(message.slice(Math.max(0, start - longestKind), start)) && name.test(message.slice(start + 1, end))
    if (!isNamed) return `${message.slice(0, start)}?${message.slice(Math.max(start, message.lastIndexOf("\""), message.lastIndexOf("'")) + 1)}`
    from = end + 1
  }
}

const kind = /(?:constraint|relation|column|table|schema|index|type|view|sequence|trigger|database|role|extension|function|key) $/
const longestKind = 16
const name = /^[A-Za-z_][\w$.]{0,127}$/

const nextQuote = (text: string, from: number): number => {
  for (let i = from; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === 34 || c === 39) return i
  }
  return -1
}

/** Effect's `SqlError` and its reasons, and errors of `pg`, Effect's own PostgreSQL client and `mysql2`. */
export const isDatabaseError = (error: object): boolean => {
  if ("~effect/sql/SqlError" in error || "~effect/sql/SqlError/Reason" in error || "sqlState" in error || "sqlMessage" in error) return true
  const { code } = error as { readonly code?: unknown }
  return typeof code === "string" && code.length === 5 && /^[0-9A-Z]{5}$/.test(code) && ("severity" in error || "routine" in error || "fields" in error)
}
