import * as Cause from "effect/Cause"
import { describe } from "../../tracing/internal/failure.ts"
import type { Values } from "../../tracing/internal/values.ts"
import type { ErrorCause } from "../ErrorData.ts"

const maxCauses = 16
const maxStack = 16_384

/** Something that failed: an expected error, or a defect. */
export interface Failed {
  readonly reason: Cause.Fail<unknown> | Cause.Die
  readonly error: unknown
  readonly defect: boolean
}

/** What failed in a cause: interruptions are left out, and a cause that was thrown as an error is opened. Never throws. */
export const failuresOf = (cause: Cause.Cause<unknown>, depth = 0): ReadonlyArray<Failed> => {
  const out: Array<Failed> = []
  for (const reason of cause.reasons) {
    if (reason._tag === "Interrupt" || out.length >= maxCauses) continue
    const error = reason._tag === "Fail" ? reason.error : reason.defect
    const inner = depth < 4 ? causeIn(error) : undefined
    if (inner !== undefined) out.push(...failuresOf(inner, depth + 1))
    else out.push({ reason, error, defect: reason._tag === "Die" })
  }
  return out
}

/** A cause that was thrown or failed with as if it were an error. */
const causeIn = (error: unknown): Cause.Cause<unknown> | undefined => {
  try {
    return Cause.isCause(error) ? error : undefined
  } catch {
    return undefined
  }
}

/** The tree of errors below some failures, as a list; see `ErrorData.causes`. Never throws. */
export const causesOf = (failures: ReadonlyArray<Failed>, values: Values): ReadonlyArray<ErrorCause> => {
  const out: Array<ErrorCause> = []
  const seen = new Set<unknown>()
  const visit = (error: unknown, parent: number | undefined, stack: string | undefined): void => {
    if (out.length >= maxCauses || (typeof error === "object" && error !== null && seen.has(error))) return
    seen.add(error)
    const { message, stack: own, type } = describe(error, values)
    const at = out.length
    out.push({ type: typeName(type), message, stack: stack ?? own, parent })
    for (const one of below(error)) visit(one, at, undefined)
  }
  for (const { error, reason } of failures) visit(error, undefined, stackOf(error, reason, values))
  return out
}

/** The type of an error alone. */
export const typeOf = (error: unknown, values: Values): string => typeName(describe(error, values).type)

/** `(FiberFailure) X`, as older Effects throw it, is an X. */
const typeName = (type: string): string => type.startsWith("(FiberFailure) ") ? type.slice(15) || "Error" : type

const below = (error: unknown): ReadonlyArray<unknown> => {
  if (typeof error !== "object" || error === null) return []
  try {
    const { cause, errors } = error as { readonly cause?: unknown; readonly errors?: unknown }
    const inner = causeIn(cause)
    const first = cause === undefined || cause === null ? [] : inner === undefined ? [cause] : failuresOf(inner).map((one) => one.error)
    return error instanceof AggregateError && Array.isArray(errors) ? [...first, ...errors.slice(0, maxCauses)] : first
  } catch {
    return []
  }
}

/** The stack with the spans and functions that Effect wrote into the reason. */
const stackOf = (error: unknown, reason: Failed["reason"], values: Values): string | undefined => {
  if (typeof error !== "object" || error === null) return undefined
  try {
    const stack = Cause.prettyErrors(Cause.fromReasons([reason]))[0]?.stack
    return stack === undefined ? undefined : values.text(stack, maxStack)
  } catch {
    return undefined
  }
}
