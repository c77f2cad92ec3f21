import { cut, limits, plain } from "./values.ts"

const statusLength = 256

/** A failed span's error, in words. */
export interface Failure {
  /** Low cardinality: a class name or tag. */
  readonly type: string
  readonly message: string
  readonly stack: string | undefined
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
      return { type: error === null ? "null" : typeof error, message: String(plain(error) ?? ""), stack: undefined }
    }
    const { _tag: tag, message, name, stack } = error as { readonly [K in "_tag" | "message" | "name" | "stack"]?: unknown }
    const named = text(name)
    const type = named !== undefined && named !== "Error" ? named : text(tag) ?? named ?? error.constructor?.name ?? "Object"
    return {
      type: cut(type, statusLength),
      message: typeof message === "string" ? cut(message, limits.valueLength) : error instanceof Error ? "" : String(plain(error) ?? ""),
      stack: typeof stack === "string" ? cut(stack, limits.stackLength) : undefined
    }
  } catch {
    return { type: "unknown", message: "an error that cannot be read", stack: undefined }
  }
}

/** `type: message`, its first line, at most 256 characters. */
export const statusMessage = (failure: { readonly type: string; readonly message: string }): string => {
  const line = failure.message.split(/[\r\n]/, 1)[0]!
  return cut(line === "" ? failure.type : `${failure.type}: ${line}`, statusLength)
}

const text = (value: unknown): string | undefined => typeof value === "string" && value !== "" ? value : undefined
