import { isDatabaseError, withoutQuotedValues } from "./databaseErrors.ts"
import { cut, type Values } from "./values.ts"

const lineLength = 256
const stackLength = 8192

/** A failed span's error, in words. */
export interface Failure {
  /** Low cardinality: a class name or tag. */
  readonly type: string
  readonly message: string
  readonly stack: string | undefined
  /** `type: message`, or the message alone of what is no object; one line of at most 256 characters. */
  readonly status: string
}

/**
 * The failure of an exit that stands for an answer, not for an error value: `type` becomes `error.type` and there is no
 * exception event.
 */
export class FailedStatus {
  readonly _tag = "FailedStatus"
  readonly type: string
  readonly message: string

  constructor(type: string, message: string) {
    this.type = type
    this.message = message
  }
}

/** What can be said about any thrown or failed value, without secrets. Never throws, whatever its getters do. */
export const describe = (error: unknown, values: Values): Failure => {
  try {
    const valueLength = values.limits.attributeValueLength
    if (typeof error !== "object" || error === null) {
      const message = values.text(typeof error === "bigint" || typeof error === "number" ? String(values.plain("", error)) : String(error), valueLength)
      return { type: error === null ? "null" : typeof error, message, stack: undefined, status: firstLine(message) }
    }
    const { _tag: tag, message: given, name, stack: trace } = error as { readonly [K in "_tag" | "message" | "name" | "stack"]?: unknown }
    const hides = typeof given === "string" && isDatabaseError(error)
    const said = hides ? withoutQuotedValues(given) : given
    const stack = hides && typeof trace === "string" && given !== "" ? trace.replaceAll(given, said as string) : trace
    const named = text(name)
    const own = named === "Error" ? undefined : named
    const type = values.text(own ?? text(tag) ?? named ?? error.constructor?.name ?? "Object", lineLength)
    const message = typeof said === "string" ? values.text(said, valueLength) : error instanceof Error ? "" : String(values.plain("", error) ?? "")
    return {
      type,
      message,
      stack: typeof stack === "string" ? values.text(stack, stackLength) : undefined,
      status: firstLine(message === "" ? type : `${type}: ${message}`)
    }
  } catch {
    return { type: "unknown", message: unreadable, stack: undefined, status: unreadable }
  }
}

export const firstLine = (message: string): string => cut(message.split(/[\r\n]/, 1)[0]!, lineLength)

const unreadable = "an error that cannot be read"

const text = (value: unknown): string | undefined => typeof value === "string" && value !== "" ? value : undefined
