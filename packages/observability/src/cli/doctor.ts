import type { DiagnosticsReport } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { type Finding, ofProgram, ofStore, told } from "./findings.ts"

/** Looked, and something is wrong: exit code 1. */
class Unwell extends Schema.TaggedError<Unwell>()("Unwell", {}) {
  override readonly [Runtime.errorReported] = false
  override readonly [Runtime.errorExitCode] = 1
}

/** Could not look: exit code 2. */
class CannotLook extends Schema.TaggedError<CannotLook>()("CannotLook", { message: Schema.String }) {
  override readonly [Runtime.errorReported] = false
  override readonly [Runtime.errorExitCode] = 2
}

const flags = {
  url: Flag.String("url").pipe(Flag.optional, Flag.withDescription("/diagnostics of a running program, as http://127.0.0.1:3000/diagnostics")),
  tokenFile: Flag.String("token-file").pipe(Flag.optional, Flag.withDescription("File with the bearer token; default: the variable OBSERVABILITY_TOKEN")),
  database: Flag.String("database").pipe(Flag.optional, Flag.withDescription("postgresql://… of the store itself; `env` takes it from POSTGRES_CONNECTION, which keeps a password out of the list of processes")),
  schema: Flag.String("schema").pipe(Flag.withDefault("observability"), Flag.withDescription("Schema of the store")),
  capacity: Flag.Int("capacity").pipe(Flag.optional, Flag.withDescription("Bytes the database may take: then it is said when the disk is full")),
  json: Flag.Boolean("json").pipe(Flag.withDefault(false), Flag.withDescription("One JSON object instead of text"))
}

/** `effect-observability doctor`. */
export const doctor = Command.make("doctor", flags, ({ capacity, database, json, schema, tokenFile, url }) =>
  Effect.gen(function*() {
    if (Option.isNone(url) && Option.isNone(database)) return yield* new CannotLook({ message: "give --url of a running program's /diagnostics, or --database of its store" })
    const program = Option.isNone(url) ? undefined : yield* readProgram(url.value, tokenFile)
    const store = Option.isNone(database) ? undefined : yield* readStore(database.value, schema, Option.getOrUndefined(capacity))
    const findings = [...(program === undefined ? [] : ofProgram(program)), ...(store === undefined ? [] : ofStore(store, yield* Clock.currentTimeMillis))]
    if (json) yield* Console.log(JSON.stringify({ healthy: findings.length === 0, findings, program, store }, null, 2))
    else {
      const facts = [...(program?.capacity ?? []).map((one) => told(one.backend, one)), ...(store?.storage.estimate === undefined ? [] : [told("store", store.storage.estimate)])]
      yield* Console.log([textOf(findings), ...facts].join("\n"))
    }
    if (findings.length > 0) return yield* new Unwell()
  })
).pipe(
  Command.withDescription("Says what is wrong with a running program or its store, why, and what to do. Ends with 0: nothing; 1: something; 2: it could not look"),
  Command.withExamples([
    { command: "OBSERVABILITY_TOKEN=… effect-observability doctor --url http://127.0.0.1:3000/diagnostics", description: "a running program" },
    { command: "POSTGRES_CONNECTION=postgresql://… effect-observability doctor --database env --json", description: "its store, for a script" }
  ])
)

const textOf = (findings: ReadonlyArray<Finding>): string =>
  findings.length === 0
    ? "nothing is wrong"
    : findings.map(({ fix, severity, what, why }) => `${severity}: ${what}\n  why: ${why}\n  do:  ${fix}`).join("\n")

const timeout = 10_000
/** Bytes of a report that are read: a program of 100,000 series has a few hundred kilobytes. */
const longest = 20_000_000

const readProgram = (url: string, tokenFile: Option.Option<string>) =>
  Effect.gen(function*() {
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) return yield* new CannotLook({ message: "--url: expected http://host:port/diagnostics" })
    const { password, username } = new URL(url)
    if (username !== "" || password !== "") return yield* new CannotLook({ message: "--url: credentials do not belong there, everybody sees them: set OBSERVABILITY_TOKEN, or use --token-file" })
    const token = yield* readToken(tokenFile)
    const client = yield* HttpClient.HttpClient
    const answer = yield* client.get(url, { headers: { accept: "application/json", ...(token === "" ? {} : { authorization: `Bearer ${token}` }) } }).pipe(
      Effect.flatMap((response) => Effect.map(bodyOf(response), (text) => ({ status: response.status, text }))),
      Effect.timeout(timeout),
      Effect.mapError((error) => new CannotLook({ message: `--url: ${error._tag === "TimeoutError" ? "no answer within 10 seconds" : unreachable(error)}` }))
    )
    if (answer.status === 401) return yield* new CannotLook({ message: "--url: the program wants credentials (401): set OBSERVABILITY_TOKEN, or use --token-file" })
    // A redirect of `manual` has no status in a browser's fetch, and its own in Node's.
    if (answer.status === 0 || (answer.status >= 300 && answer.status < 400)) {
      return yield* new CannotLook({ message: "--url: the answer leads elsewhere (a redirect), where the token must not go: give the address itself" })
    }
    if (answer.status !== 200) return yield* new CannotLook({ message: `--url: the answer is ${answer.status}: is this the path of /diagnostics, and may this address ask?` })
    if (answer.text === undefined) return yield* new CannotLook({ message: "--url: the answer is longer than 20 MB: that is no report" })
    return reportOf(answer.text) ?? (yield* new CannotLook({ message: "--url: the answer is no report of effect-observability of this version: is this the path of /diagnostics?" }))
  }).pipe(Effect.provide(FetchHttpClient.layer), Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" }))

/** `undefined`: longer than a report. What comes after is not read. */
const bodyOf = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<string | undefined, HttpClientError.HttpClientError> =>
  Effect.suspend(() => {
    const parts: Array<Uint8Array> = []
    let size = 0
    return response.stream.pipe(
      Stream.takeWhile((part) => {
        parts.push(part)
        return (size += part.length) <= longest
      }),
      Stream.runDrain,
      Effect.map(() => {
        if (size > longest) return undefined
        const decoder = new TextDecoder()
        return parts.map((part) => decoder.decode(part, { stream: true })).join("") + decoder.decode()
      }),
      // An empty answer is an empty text.
      Effect.catchIf((error) => error.reason._tag === "EmptyBodyError", () => Effect.succeed(""))
    )
  })

/** Node's word for what happened on the way, from below the client's errors. */
const codeOf = (error: unknown): string | undefined => {
  for (let one = error, i = 0; i < 8 && typeof one === "object" && one !== null; i++) {
    if ("code" in one && typeof one.code === "string" && /^[A-Z][A-Z0-9_]{2,60}$/.test(one.code)) return one.code
    one = "cause" in one && one.cause !== undefined ? one.cause : "reason" in one ? one.reason : undefined
  }
  return undefined
}

const unreachable = (error: unknown): string => {
  const code = codeOf(error)
  return code !== undefined && /CERT|SIGNED|SIGNATURE|ISSUER|ALTNAME/.test(code)
    ? `the certificate of the program is not trusted (${code}): name its authority in NODE_EXTRA_CA_CERTS, and its host as the certificate does`
    : `the program cannot be reached${code === undefined ? "" : ` (${code})`}: is it running, and is the address right?`
}

const readToken = (file: Option.Option<string>) =>
  Effect.gen(function*() {
    if (Option.isNone(file)) return Option.match(yield* Effect.orDie(Config.option(Config.Redacted("OBSERVABILITY_TOKEN"))), { onNone: () => "", onSome: Redacted.value })
    const fs = yield* FileSystem.FileSystem
    return yield* Effect.mapBoth(fs.readFileString(file.value), {
      onFailure: () => new CannotLook({ message: `--token-file ${file.value}: cannot be read` }),
      onSuccess: (text) => text.trim()
    })
  })

const unknownConfiguration: DiagnosticsReport["configuration"] = { version: 0, since: 0, reloads: 0, failures: 0, problem: undefined, needsRestart: [] }

/** By its shape: it comes from another process. */
const reportOf = (text: string): DiagnosticsReport | undefined => {
  try {
    const value = JSON.parse(text) as DiagnosticsReport
    const lists: ReadonlyArray<unknown> = [value.components, value.queues, value.imbalances, value.metrics.cardinality, value.metrics.problems]
    const whole = lists.every((one) => Array.isArray(one)) && value.components.every((one) => Array.isArray(one.signals)) && typeof value.openSpans === "object"
    if (!whole) return undefined
    // What an older version does not tell yet.
    const { alerts = [], capacity = [], configuration = unknownConfiguration, load = null, upkeep = [] } = value as Partial<DiagnosticsReport>
    return [alerts, capacity, upkeep].every((one) => Array.isArray(one)) ? { ...value, alerts, capacity, configuration, load, upkeep } : undefined
  } catch {
    return undefined
  }
}

const readStore = (given: string, schema: string, capacity: number | undefined) =>
  Effect.gen(function*() {
    const connection = given === "env" ? Option.getOrElse(yield* Effect.orDie(Config.option(Config.Redacted("POSTGRES_CONNECTION"))), () => Redacted.make("")) : Redacted.make(given)
    if (Redacted.value(connection) === "") return yield* new CannotLook({ message: "--database env: POSTGRES_CONNECTION is not set" })
    const { Inspection } = yield* Effect.tryPromise({
      try: () => import("@effect-observability/postgres"),
      catch: () => new CannotLook({ message: "--database: npm install @effect-observability/postgres" })
    })
    const found = yield* Effect.mapError(
      Inspection.inspect({ connection, schema, ...(capacity === undefined ? {} : { capacity }) }),
      (error) => new CannotLook({ message: `--database: ${error.message}` })
    )
    return found ?? (yield* new CannotLook({ message: `--database: there is no store in the schema "${schema}": name another with --schema` }))
  })

/** For the end of the command. */
export const saysItself = (error: unknown): error is CannotLook => error instanceof CannotLook
