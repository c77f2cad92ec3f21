import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"

/** What went wrong, in words of low cardinality that hold nothing of keys and values. */
export interface CacheFailure {
  readonly type: string
  /** The code of Redis' answer: `WRONGTYPE`, `NOAUTH`, … */
  readonly code: string | undefined
}

/** Why an operation failed; `undefined` when it did not, or was interrupted. Never throws. */
export const classify = (exit: Exit.Exit<unknown, unknown>): CacheFailure | undefined =>
  exit._tag === "Success" || Cause.hasInterruptsOnly(exit.cause) ? undefined : failureOf(Cause.squash(exit.cause))

export const failureOf = (error: unknown): CacheFailure => {
  try {
    const tag = word(field(error, "_tag"))
    // What wraps a client's error says less than that.
    const inner = tag === "RedisError" || tag === "PersistenceError" || tag === "KeyValueStoreError" ? field(error, "cause") : undefined
    const cause = inner === undefined ? error : field(inner, "_tag") === "RedisError" ? field(inner, "cause") ?? inner : inner
    const code = replyCode(cause)
    const type = code ?? connection(cause) ?? word(field(cause, "_tag")) ?? nameOf(cause) ?? tag ?? "Error"
    return { type, code }
  } catch {
    return { type: "Error", code: undefined }
  }
}

/** An error that Redis sent begins with its code (Redis protocol, simple errors). */
const replyCode = (error: unknown): string | undefined => {
  const name = constructorName(error)
  const message = field(error, "message")
  if (typeof message !== "string" || !(name === "ErrorReply" || name === "SimpleError" || name === "BlobError" || name === "ReplyError")) return undefined
  return /^-?([A-Z][A-Z0-9]{1,31})(?: |$)/.exec(message)?.[1] ?? "ERR"
}

const connection = (error: unknown): string | undefined => {
  const code = field(error, "code")
  if (typeof code === "string" && /^E[A-Z_]{2,}$/.test(code)) return "ConnectionError"
  const name = constructorName(error)
  return name !== undefined && /^(?:Socket|Connection|Client(?:Closed|Offline)|DisconnectsClient|Reconnect)/.test(name) ? "ConnectionError" : undefined
}

const nameOf = (error: unknown): string | undefined => {
  const name = word(field(error, "name"))
  return name === undefined || name === "Error" ? word(constructorName(error)) : name
}

const constructorName = (value: unknown): string | undefined => typeof value === "object" && value !== null ? value.constructor?.name : undefined
const field = (value: unknown, name: string): unknown => typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined
const word = (value: unknown): string | undefined => typeof value === "string" && /^[A-Za-z_][\w.-]{0,63}$/.test(value) ? value : undefined
