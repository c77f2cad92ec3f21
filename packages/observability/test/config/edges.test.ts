import { assert, describe, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import { ConfigProvider, Effect, Exit, Result } from "effect"
import * as Toml from "effect/encoding/Toml"
import * as Yaml from "effect/encoding/Yaml"
import { ObservabilityConfig } from "effect-observability"

// Every field of the configuration with every kind of value that people and programs get wrong. The list of fields is the JSON Schema itself, so that a new field is
// asked too.

interface Shape {
  readonly type?: string | ReadonlyArray<string>
  readonly properties?: Readonly<Record<string, Shape>>
  readonly anyOf?: ReadonlyArray<Shape>
}

const leaves = (shape: Shape, path: ReadonlyArray<string> = []): ReadonlyArray<readonly [path: ReadonlyArray<string>, shape: Shape]> =>
  shape.properties === undefined
    ? [[path, shape]]
    : Object.entries(shape.properties).filter(([key]) => !key.includes("_") && !key.startsWith("$")).flatMap(([key, one]) => leaves(one, [...path, key]))

const fields = leaves(ObservabilityConfig.jsonSchema as Shape)
const inputOf = (path: ReadonlyArray<string>, value: unknown): any => path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value)
const isNumeric = ({ anyOf = [], type }: Shape): boolean => type === "number" || type === "integer" || anyOf.some(isNumeric)
const isDuration = ({ anyOf = [] }: Shape): boolean => anyOf.some(isNumeric) && anyOf.some((one) => one.type === "string")

const strange: ReadonlyArray<unknown> = [
  NaN, Infinity, -Infinity, -1, -0, 0, 0.5, 1, 2, 1.5, 64, 1_000, 65_535, 65_536, 2 ** 31, 2 ** 53, 1e300, Number.MIN_VALUE, 10n, "", " ", " 5 ", "5", "1e3", "0x10", "١٢", "5ms", "5 minutes",
  "-5 seconds", "Infinity", "NaN", "9".repeat(400), "true", true, false, null, [], [1], {}, { __proto__: null }, new Date(0), Symbol.iterator, () => 1, "\0", "\ud800"
]
const shown = (value: unknown): string => typeof value === "bigint" || typeof value === "symbol" || typeof value === "function" ? String(value) : `${typeof value} ${JSON.stringify(value)}`.slice(0, 60)

/** Every number in settings that came out is one that can be reckoned with. */
const numbersIn = (value: unknown, path = ""): ReadonlyArray<readonly [string, number]> =>
  typeof value === "number" ? [[path, value]]
    : typeof value === "object" && value !== null ? Object.entries(value).flatMap(([key, one]) => numbersIn(one, `${path}.${key}`)) : []

describe("every field at its edges", () => {
  it("is refused with its place, or gives settings without a strange number; nothing is thrown", () => {
    assert.isAbove(fields.length, 100)
    for (const [path, shape] of fields) {
      for (const value of strange) {
        const result = ObservabilityConfig.decode(inputOf(path, value))
        const what = `${path.join(".")}: ${shown(value)}`
        if (result._tag === "Failure") {
          const { message } = result.failure
          // What is switched on and needs another field names that one.
          assert.include(message, value === true ? path[0]! : path.join("."), what)
          // Long and invisible text is not repeated whole.
          assert.isBelow(message.length, 1_000, what)
          continue
        }
        for (const [at, number] of numbersIn(result.success)) assert.isFalse(Number.isNaN(number) || number === -Infinity, `${what} gives ${at} ${number}`)
        if (isNumeric(shape) && typeof value === "number") assert.isTrue(Number.isFinite(value) && value >= 0 || path.join(".").startsWith("alerting."), what)
      }
    }
  })

  it("the JSON Schema takes what the decoder takes, as far as a file can say it", () => {
    const valid = new Ajv2020({ strict: false }).compile(ObservabilityConfig.jsonSchema)
    const differ: Array<string> = []
    for (const [path, shape] of fields) {
      for (const value of strange) {
        // What JSON has no word for, and durations as text, which the schema cannot read.
        if (["bigint", "symbol", "function"].includes(typeof value) || value instanceof Date || (typeof value === "number" && !Number.isFinite(value))) continue
        if (typeof value === "string" && isDuration(shape)) continue
        const input = inputOf(path, value)
        const decoded = ObservabilityConfig.decode(input)._tag === "Success"
        // The schema may take more (a URL that cannot be, a field that needs another), never less: an editor must not mark what works.
        // A group, list or table that is `null` (`headers:` with nothing after it) is left out.
        if (decoded && value !== null && !valid(input)) differ.push(`${path.join(".")}: ${shown(value)} works, the schema refuses it`)
        if (!decoded && valid(input) && isNumeric(shape)) differ.push(`${path.join(".")}: ${shown(value)} is refused, the schema takes it`)
      }
    }
    assert.deepStrictEqual(differ, [])
  })

  it("numbers mean the same from code, YAML, JSON and TOML", () => {
    for (const [path, shape] of fields) {
      if (!isNumeric(shape)) continue
      for (const value of [0, 0.5, 1, 2, 64, 1_000, 70_000]) {
        const json = JSON.stringify(inputOf(path, value))
        const toml = `${path.length > 1 ? `[${path.slice(0, -1).join(".")}]\n` : ""}${path.at(-1)} = ${value}\n`
        const results = [inputOf(path, value), JSON.parse(json), Yaml.parse(json), Result.getOrThrow(Toml.parse(toml))].map((input) => {
          const result = ObservabilityConfig.decode(input as never)
          return result._tag === "Success" ? JSON.stringify(result.success) : result.failure.message
        })
        assert.strictEqual(new Set(results).size, 1, `${path.join(".")}: ${value}: ${results.join(" | ").slice(0, 400)}`)
      }
    }
  })

  it.effect("every variable of the environment is refused by name, or gives settings without a strange number", () =>
    Effect.gen(function*() {
      for (const name of ObservabilityConfig.environmentNames) {
        for (const value of strange.filter((one) => typeof one === "string")) {
          const exit = yield* Effect.exit(Effect.provideService(ObservabilityConfig.fromEnv(), ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord({ [name]: value })))
          const what = `${name}=${shown(value)}`
          if (Exit.isFailure(exit)) {
            assert.notInclude(String(exit), "Die", what)
            // By the variable, or by the place it leads to.
            assert.isTrue(String(exit).includes(name) || fields.some(([path]) => String(exit).includes(path.join("."))) || value === "true", `${what}: ${String(exit)}`)
          } else for (const [at, number] of numbersIn(exit.value)) assert.isFalse(Number.isNaN(number) || number === -Infinity, `${what} gives ${at} ${number}`)
        }
      }
    }))
})
