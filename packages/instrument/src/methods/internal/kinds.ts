import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** What a member of a service, or what its method returned, is to the one who observes it. */
export type Kind = "effect" | "stream" | "other"

/**
 * Whether a value may be replaced by one that is measured. An Effect that is more than that (a tag, a config, an SQL statement with its
 * `stream` and `raw`) would lose the rest: it is left alone.
 */
export const kindOf = (value: unknown): Kind => {
  if (typeof value !== "object" || value === null) return "other"
  if (Stream.isStream(value)) return "stream"
  return Effect.isEffect(value) && isPlain(value) ? "effect" : "other"
}

/** Effects are made of few prototypes: the answer of each is kept. */
const plain = new WeakMap<object, boolean>()

const isPlain = (value: object): boolean => {
  const prototype: object = Object.getPrototypeOf(value)
  let known = plain.get(prototype)
  if (known === undefined) plain.set(prototype, known = isPlainPrototype(prototype))
  return known
}

/** Only what Effect itself gives every primitive and every Exit: others add a mark of their own, an `asEffect` or methods. */
const isPlainPrototype = (prototype: object): boolean => {
  for (let at: object | null = prototype; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    if (!Object.getOwnPropertyNames(at).every((key) => key.startsWith("~effect/Effect") || common.has(key))) return false
  }
  return true
}

const common: ReadonlySet<string> = new Set([
  "pipe", "toJSON", "toString", "_tag", "value", "cause", "~effect/Exit", "~effect/Equal", "~effect/Hash"
])
