import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { encode, isToken, parse } from "./internal/baggageText.ts"

/** One entry of the baggage. */
export interface BaggageEntry {
  /** Any text. */
  readonly value: string
  /** Properties as they came (`;ttl=30;flag`), checked; empty when there are none. They are passed on untouched. */
  readonly properties: string
}

/**
 * What a program sends along with a request through all the services it reaches (W3C Baggage): names and values. Names are tokens
 * (RFC 9110, 5.6.2). At most 64 entries and 8,192 bytes leave or are read.
 *
 * Baggage is neither secret nor trustworthy: whoever is called reads it, and whoever calls writes it. It goes to internal targets only,
 * unless `tracing.baggageTo` says otherwise.
 */
export type Baggage = ReadonlyMap<string, BaggageEntry>

export const empty: Baggage = new Map()

/** The baggage of the running fiber. */
export const Baggage: Context.Reference<Baggage> = Context.Reference<Baggage>("@effect-observability/core/Baggage", { defaultValue: () => empty })

/** The baggage of the running fiber; empty where there is none. */
export const current: Effect.Effect<Baggage> = Effect.withFiber((fiber) => Effect.succeed(fiber.getRef(Baggage)))

/** The value of one entry; `undefined` when there is none. */
export const get = (name: string): Effect.Effect<string | undefined> => Effect.map(current, (baggage) => baggage.get(name)?.value)

/**
 * Runs an effect with more entries in its baggage; `undefined` takes one out. An entry whose name is no token is left out.
 *
 * @example
 * ```ts
 * checkout(order).pipe(Baggage.with({ tenant: order.tenant }))
 * ```
 */
const withEntries = (entries: Readonly<Record<string, string | undefined>>) =>
<A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => Effect.provideService(self, Baggage, edit(fiber.getRef(Baggage), entries)))

export { withEntries as with }

/** The baggage with some entries changed. */
export const edit = (baggage: Baggage, entries: Readonly<Record<string, string | undefined>>): Baggage => {
  const out = new Map(baggage)
  try {
    for (const name of Object.keys(entries)) {
      const value = entries[name]
      if (value === undefined) out.delete(name)
      else if (isToken(name)) out.set(name, { value: String(value).toWellFormed(), properties: out.get(name)?.properties ?? "" })
    }
  } catch {
    // A getter that throws: what was read so far stands.
  }
  return out
}

/** Reads a `baggage` header within the limits: what breaks a rule is left out entry by entry. Never throws. */
export const decode = (header: unknown): Baggage => typeof header === "string" ? parse(header) : empty

/** The header of a baggage, within the limits: whole entries in their order, as many as fit. Empty when there are none. */
export const toHeader = (baggage: Baggage): string => encode(baggage)
