/**
 * What may stand in an attribute, as OTLP's `AnyValue` has it (opentelemetry/proto/common/v1/common.proto). Recorded attributes are plain
 * already; this holds for whatever else reaches the encoder: nothing throws, nothing is endless.
 */
export type Plain =
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "bytes"; readonly value: Uint8Array }
  | { readonly kind: "list"; readonly value: ReadonlyArray<unknown> }
  | { readonly kind: "record"; readonly value: ReadonlyArray<readonly [string, unknown]> }

/** Lists and records below each other. */
export const maxDepth = 8
/** Elements of one list or record. */
const maxElements = 1_000

const least = -(2n ** 63n)
const most = 2n ** 63n - 1n

/** Whether a number travels as `int_value`: it is a whole one that loses nothing on the way. */
export const isInteger = (value: number): boolean => Number.isSafeInteger(value) && !Object.is(value, -0)

export const isInt64 = (value: bigint): boolean => value >= least && value <= most

/** A value that is neither a string, a number, a boolean, nor a small bigint; `undefined` for nothing. */
export const plain = (value: unknown, depth: number): Plain | undefined => {
  switch (typeof value) {
    case "undefined":
      return undefined
    case "bigint":
    case "symbol":
      return text(String(value))
    case "function":
      return text("[function]")
  }
  if (value === null) return undefined
  if (depth >= maxDepth) return text("[…]")
  try {
    if (Array.isArray(value)) return { kind: "list", value: Array.from(value.slice(0, maxElements)) }
    if (value instanceof Uint8Array) return { kind: "bytes", value }
    if (value instanceof Date) return text(Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString())
    if (value instanceof Error) return text(`${value.name}: ${value.message}`)
    const entries = value instanceof Map
      ? Array.from(value as ReadonlyMap<unknown, unknown>, ([key, inner]) => [String(key), inner] as const)
      : Object.entries(value as object)
    return { kind: "record", value: entries.slice(0, maxElements) }
  } catch {
    return unreadable
  }
}

const text = (value: string): Plain => ({ kind: "text", value })
const unreadable = text("[unreadable]")
