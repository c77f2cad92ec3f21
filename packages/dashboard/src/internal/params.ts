import type { ResourceQuery } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import { type Refused, refuse } from "./answers.ts"

const day = 86_400_000

/** Longest stretch of time one question may be about, milliseconds. */
export const maxRange = 92 * day
const maxText = 1_024

/** The query of a URL, read field by field; what is wrong is said with the field's name. */
export class Params {
  readonly #params: URLSearchParams
  readonly #now: number

  constructor(url: string, now: number) {
    const at = url.indexOf("?")
    this.#params = new URLSearchParams(at < 0 ? "" : url.slice(at + 1))
    this.#now = now
  }

  text(name: string): Effect.Effect<string | undefined, Refused> {
    const value = this.#params.get(name)
    if (value === null || value === "") return Effect.succeed(undefined)
    return value.length > maxText ? refuse(400, `${name}: is longer than ${maxText} characters`) : Effect.succeed(value)
  }

  needed(name: string): Effect.Effect<string, Refused> {
    return Effect.flatMap(this.text(name), (value) => value === undefined ? refuse(400, `${name}: is missing`) : Effect.succeed(value))
  }

  oneOf<const A extends string>(name: string, choices: ReadonlyArray<A>): Effect.Effect<A | undefined, Refused> {
    return Effect.flatMap(this.text(name), (value) => {
      if (value === undefined) return Effect.succeed(undefined)
      const found = choices.find((choice) => choice === value)
      return found === undefined ? refuse(400, `${name}: must be one of ${choices.join(", ")}`) : Effect.succeed(found)
    })
  }

  number(name: string, least: number, most: number): Effect.Effect<number | undefined, Refused> {
    return Effect.flatMap(this.text(name), (text) => {
      if (text === undefined) return Effect.succeed(undefined)
      const value = Number(text)
      return value >= least && value <= most ? Effect.succeed(value) : refuse(400, `${name}: must be a number from ${least} to ${most}`)
    })
  }

  /** `key=value` pairs: every `name` in the URL is one. */
  pairs(name: string): Effect.Effect<Readonly<Record<string, string>> | undefined, Refused> {
    const all = this.#params.getAll(name).filter((pair) => pair !== "")
    if (all.length === 0) return Effect.succeed(undefined)
    if (all.length > 16) return refuse(400, `${name}: at most 16 of them`)
    const wrong = all.find((pair) => pair.indexOf("=") < 1 || pair.length > maxText)
    if (wrong !== undefined) return refuse(400, `${name}: must be key=value, of at most ${maxText} characters`)
    return Effect.succeed(Object.fromEntries(all.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)])))
  }

  /** `resource=cluster=east`: only what processes of this kind recorded. The histories know which words there are. */
  get resource(): Effect.Effect<{ readonly resource?: ResourceQuery }, Refused> {
    return Effect.map(this.pairs("resource"), (resource) => resource === undefined ? {} : { resource })
  }

  /** `from` and `to` in milliseconds since the epoch; the last hour when left out. */
  get range(): Effect.Effect<{ readonly startTime: number; readonly endTime: number }, Refused> {
    return Effect.gen({ self: this }, function*() {
      const endTime = (yield* this.number("to", 0, 8.64e15)) ?? this.#now
      const startTime = (yield* this.number("from", 0, 8.64e15)) ?? endTime - 3_600_000
      if (startTime >= endTime) return yield* refuse(400, "from: must be before to")
      if (endTime - startTime > maxRange) return yield* refuse(400, `from: at most ${maxRange / day} days before to`)
      return { startTime, endTime }
    })
  }
}
