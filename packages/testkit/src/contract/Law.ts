import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** A backend does not do what every backend does. */
export class LawBroken extends Schema.TaggedError<LawBroken>()("LawBroken", { message: Schema.String }) {}

/** One thing that holds for every backend. Laws share no names, so that all of them may run against one store. */
export interface Law<R> {
  readonly name: string
  readonly check: Effect.Effect<void, LawBroken, R>
}

export const equal = <A>(what: string, actual: A, expected: A): Effect.Effect<void, LawBroken> =>
  same(actual, expected)
    ? Effect.void
    : Effect.fail(new LawBroken({ message: `${what}: expected ${show(expected)}, got ${show(actual)}` }))

export const near = (what: string, actual: number, expected: number): Effect.Effect<void, LawBroken> =>
  Math.abs(actual - expected) <= Math.max(1e-9, Math.abs(expected) * 1e-9)
    ? Effect.void
    : Effect.fail(new LawBroken({ message: `${what}: expected ${expected}, got ${actual}` }))

const same = (a: unknown, b: unknown): boolean => {
  if (Object.is(a, b)) return true
  if (!Array.isArray(a) || !Array.isArray(b)) return false
  return a.length === b.length && a.every((one, i) => same(one, b[i]))
}

const show = (value: unknown): string =>
  JSON.stringify(value, (_, one) => typeof one === "bigint" ? `${one}n` : one === undefined ? "undefined" : one) ?? String(value)
