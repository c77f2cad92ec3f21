import { cut, limits, plain } from "./values.ts"

const lineLength = 256

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

/** What can be said about any thrown or failed value. Never throws, whatever its getters do. */
export const describe = (error: unknown): Failure => {
  try {
    if (typeof error !== "object" || error === null) {
      const message = String(plain(error) ?? error)
      return { type: error === null ? "null" : typeof error, message, stack: undefined, status: firstLine(message) }
    }
    const { _tag: tag, message: said, name, stack } = error as { readonly [K in "_tag" | "message" | "name" | "stack"]?: unknown }
    const named = text(name)
    const own = named === "Error" ? undefined : named
    const type = cut(own ?? text(tag) ?? named ?? error.constructor?.name ?? "Object", lineLength)
    const message = typeof said === "string" ? cut(said, limits.valueLength) : error instanceof Error ? "" : String(plain(error) ?? "")
    return {
      type,
      message,
      stack: typeof stack === "string" ? cut(stack, limits.stackLength) : undefined,
      status: firstLine(message === "" ? type : `${type}: ${message}`)
    }
  } catch {
    return { type: "unknown", message: unreadable, stack: undefined, status: unreadable }
  }
}

export const firstLine = (message: string): string => cut(message.split(/[\r\n]/, 1)[0]!, lineLength)

const unreadable = "an error that cannot be read"

const text = (value: unknown): string | undefined => typeof value === "string" && value !== "" ? value : undefined
