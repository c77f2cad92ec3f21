import { ConfigurationError, ObservabilityConfig, type ObservabilityInput, type ObservabilitySettings } from "@effect-observability/core"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { formatOf, lineOf, maxBytes, parse } from "./file.ts"

/** Where settings come from: later ones lie over earlier ones, code, file, mounted secrets, environment. */
export interface Sources {
  readonly input: ObservabilityInput
  readonly file: string | undefined
}

export interface Found {
  readonly settings: Result.Result<ObservabilitySettings, ConfigurationError>
  /** Files that were read, and their folder where it says which: when one changes, the settings may. */
  readonly files: ReadonlyArray<string>
  /** What was in them, for comparison with `signature`. */
  readonly signature: string
}

interface Problem {
  readonly path: string
  readonly message: string
}

/** Bytes of one secret. */
const maxSecret = 64 * 1024

const variables = new Map<string, Effect.Effect<string | undefined>>()

/** Made once for each name: a reload asks for all of them. */
const variable = (name: string): Effect.Effect<string | undefined> => {
  let one = variables.get(name)
  if (one === undefined) variables.set(name, one = Config.option(Config.String(name)).pipe(Effect.map(Option.getOrUndefined), Effect.catch(() => Effect.succeed(undefined))))
  return one
}

/** Reads all sources; the error has all that is wrong in them, each with its file and line or its variable. */
export const read = ({ file, input }: Sources): Effect.Effect<Found> =>
  Effect.gen(function*() {
    const problems: Array<Problem> = []
    const files: Files = new Map()
    let text = ""
    let said: ObservabilityInput = {}
    if (file !== undefined) {
      const found = yield* readFile(file, files)
      if (Result.isFailure(found)) problems.push({ path: file, message: found.failure })
      else {
        text = found.success.text
        said = found.success.fields as ObservabilityInput
      }
    }
    const secrets = yield* mounted(problems, files)
    const provider = yield* ConfigProvider.ConfigProvider
    const settings = yield* ObservabilityConfig.fromEnv(ObservabilityConfig.merge(input, said)).pipe(
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.orElse(provider, ConfigProvider.fromEnvRecord(secrets))),
      Effect.catch((error) =>
        Effect.sync(() => {
          for (const { message, path } of error.problems) {
            const line = text === "" || /^[A-Z_]+$/.test(path) ? 0 : lineOf(text, path)
            problems.push({ path: line === 0 ? path : `${path} (${file}:${line})`, message })
          }
          return undefined
        })
      )
    )
    return {
      settings: problems.length > 0 || settings === undefined ? Result.fail(new ConfigurationError({ problems })) : Result.succeed(settings),
      files: [...files.keys()],
      signature: [...files.values()].join("\n")
    }
  })

/** By path: what was found there, in short. */
type Files = Map<string, string>

const readFile = (path: string, files: Files): Effect.Effect<Result.Result<{ readonly text: string; readonly fields: object }, string>> =>
  Effect.gen(function*() {
    const format = formatOf(path)
    if (format === undefined) return Result.fail("expected a file that ends in .yaml, .yml, .json or .toml")
    const bytes = yield* contents(path, maxBytes)
    files.set(path, markOf(bytes))
    if (Result.isFailure(bytes)) return Result.fail(bytes.failure)
    return Result.map(parse(bytes.success, format), (fields) => ({ text: new TextDecoder().decode(bytes.success), fields }))
  })

const contents = (path: string, most: number): Effect.Effect<Result.Result<Uint8Array, string>> =>
  Effect.gen(function*() {
    const fs = Option.getOrUndefined(yield* Effect.serviceOption(FileSystem.FileSystem))
    if (fs === undefined) return Result.fail("no file can be read: provide a FileSystem, as NodeServices.layer of @effect/platform-node")
    return yield* fs.stat(path).pipe(
      Effect.flatMap((info): Effect.Effect<Result.Result<Uint8Array, string>, Error> =>
        info.type !== "File"
          ? Effect.succeed(Result.fail("is not a file"))
          : Number(info.size) > most
          ? Effect.succeed(Result.fail(`is larger than ${most} bytes: it is hardly a configuration`))
          : Effect.map(fs.readFile(path), Result.succeed)
      ),
      Effect.catch((error) => Effect.succeed(Result.fail(`cannot be read: ${reasonOf(error)}`)))
    )
  })

const reasonOf = (error: unknown): string => {
  const text = String(error instanceof Error ? error.message : error)
  return /NotFound|ENOENT/.test(text) ? "there is no such file" : /PermissionDenied|EACCES/.test(text) ? "permission denied" : text.split("\n")[0]!.slice(0, 200)
}

/** `POSTGRES_CONNECTION_FILE=/run/secrets/db` and its like, and a folder of files that are named as variables. */
const mounted = (problems: Array<Problem>, files: Files): Effect.Effect<Record<string, string>> =>
  Effect.gen(function*() {
    const found: Record<string, string> = {}
    const take = (name: string, path: string, label: string) =>
      Effect.map(contents(path, maxBytes), (bytes) => {
        files.set(path, markOf(bytes))
        if (Result.isFailure(bytes)) problems.push({ path: label, message: bytes.failure })
        else if (bytes.success.length > maxSecret) problems.push({ path: label, message: `is larger than ${maxSecret} bytes: it is hardly a secret` })
        else if (bytes.success.includes(0)) problems.push({ path: label, message: "is not text" })
        // Editors and `echo` end files with a line break.
        else found[name] = new TextDecoder().decode(bytes.success).replace(/\r?\n$/, "")
      })
    const folder = yield* variable("OBSERVABILITY_SECRETS_DIR")
    const fs = Option.getOrUndefined(yield* Effect.serviceOption(FileSystem.FileSystem))
    if (folder !== undefined && folder !== "") {
      const listed = fs === undefined
        ? Result.fail("no folder can be read: provide a FileSystem, as NodeServices.layer of @effect/platform-node")
        : yield* Effect.result(Effect.mapError(fs.readDirectory(folder), (error) => `cannot be read: ${reasonOf(error)}`))
      files.set(folder, folderMark(listed))
      if (Result.isFailure(listed)) problems.push({ path: "OBSERVABILITY_SECRETS_DIR", message: listed.failure })
      else {
        for (const name of ObservabilityConfig.environmentNames) {
          if (listed.success.includes(name)) yield* take(name, `${folder}/${name}`, `${folder}/${name}`)
        }
      }
    }
    for (const name of ObservabilityConfig.environmentNames) {
      const path = yield* variable(`${name}_FILE`)
      if (path === undefined || path === "") continue
      const own = yield* variable(name)
      if (own !== undefined && own !== "") problems.push({ path: `${name}_FILE`, message: `is given beside ${name}: leave one of them out` })
      else yield* take(name, path, `${name}_FILE`)
    }
    return found
  })

/** Changes when what is in one of the files did. They are small, and neither time nor size tells of every change. */
export const signature = (files: ReadonlyArray<string>): Effect.Effect<string> =>
  Effect.gen(function*() {
    const folder = yield* variable("OBSERVABILITY_SECRETS_DIR")
    const fs = Option.getOrUndefined(yield* Effect.serviceOption(FileSystem.FileSystem))
    const marks = yield* Effect.forEach(files, (path) =>
      path === folder && fs !== undefined
        ? Effect.map(Effect.result(fs.readDirectory(path)), folderMark)
        : Effect.map(contents(path, maxBytes), markOf))
    return marks.join("\n")
  })

/** Names of the secrets in a folder. */
const folderMark = (listed: Result.Result<ReadonlyArray<string>, unknown>): string =>
  Result.isFailure(listed) ? "unreadable" : ObservabilityConfig.environmentNames.filter((name) => listed.success.includes(name)).join(" ")

/** Length and hash (FNV-1a, twice, 64 bits in all): two files in a row that differ and have the same are not to be expected. */
const markOf = (bytes: Result.Result<Uint8Array, string>): string => {
  if (Result.isFailure(bytes)) return bytes.failure
  let one = 0x811c9dc5
  let other = 0x9e3779b9
  for (const byte of bytes.success) {
    one = Math.imul(one ^ byte, 0x01000193)
    other = Math.imul(other ^ byte, 0x85ebca6b)
  }
  return `${bytes.success.length} ${one >>> 0} ${other >>> 0}`
}
