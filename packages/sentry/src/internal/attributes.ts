/** A typed attribute of Sentry's spans and logs. */
export type Attribute =
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "boolean"; readonly value: boolean }
  | { readonly type: "integer" | "double"; readonly value: number }
  | { readonly type: "array"; readonly value: ReadonlyArray<string | number | boolean> }

export const typed = (value: unknown): Attribute => {
  switch (typeof value) {
    case "string":
      return { type: "string", value: value.toWellFormed() }
    case "boolean":
      return { type: "boolean", value }
    case "number":
      return Number.isFinite(value) ? { type: Number.isSafeInteger(value) ? "integer" : "double", value } : { type: "string", value: String(value) }
    default:
      return isList(value) ? { type: "array", value: value.map((one) => typeof one === "string" ? one.toWellFormed() : one) } : { type: "string", value: textOf(value) }
  }
}

/** Sentry takes lists of one kind. */
const isList = (value: unknown): value is ReadonlyArray<string> | ReadonlyArray<number> | ReadonlyArray<boolean> =>
  Array.isArray(value) && (value.length === 0 || ["string", "number", "boolean"].includes(typeof value[0])) &&
  value.every((one) => typeof one === typeof value[0] && (typeof one !== "number" || Number.isFinite(one)))

/** Values as JSON carries them. */
export const plain = (value: unknown): unknown =>
  typeof value === "string"
    ? value.toWellFormed()
    : typeof value === "boolean" || value === null || (typeof value === "number" && Number.isFinite(value))
    ? value
    : isList(value)
    ? value
    : textOf(value)

export const textOf = (value: unknown): string => {
  if (typeof value === "string") return value.toWellFormed()
  if (typeof value === "bigint") return value.toString()
  try {
    const text = JSON.stringify(value, (_, one: unknown) => typeof one === "bigint" ? one.toString() : one)
    return (typeof text === "string" ? text : String(value)).toWellFormed()
  } catch {
    return Object.prototype.toString.call(value)
  }
}
