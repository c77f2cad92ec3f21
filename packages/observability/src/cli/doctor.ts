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
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import { type Finding, ofProgram, ofStore } from "./findings.ts"

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
    else yield* Console.log(textOf(findings))
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
/** Characters of a report that are read: a program of 100,000 series has a few hundred kilobytes. */
const longest = 50_000_000

const readProgram = (url: string, tokenFile: Option.Option<string>) =>
  Effect.gen(function*() {
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) return yield* new CannotLook({ message: "--url: expected http://host:port/diagnostics" })
    const { password, username } = new URL(url)
    if (username !== "" || password !== "") return yield* new CannotLook({ message: "--url: credentials do not belong there, everybody sees them: set OBSERVABILITY_TOKEN, or use --token-file" })
    const token = yield* readToken(tokenFile)
    const client = yield* HttpClient.HttpClient
    const answer = yield* client.get(url, { headers: { accept: "application/json", ...(token === "" ? {} : { authorization: `Bearer ${token}` }) } }).pipe(
      Effect.flatMap((response) => Effect.map(response.text, (text) => ({ status: response.status, text }))),
      Effect.timeout(timeout),
      Effect.mapError((error) => new CannotLook({ message: `--url: ${error._tag === "TimeoutError" ? "no answer within 10 seconds" : "the program cannot be reached: is it running, and is the address right?"}` }))
    )
    if (answer.status === 401) return yield* new CannotLook({ message: "--url: the program wants credentials (401): set OBSERVABILITY_TOKEN, or use --token-file" })
    if (answer.status !== 200) return yield* new CannotLook({ message: `--url: the answer is ${answer.status}: is this the path of /diagnostics, and may this address ask?` })
    const report = answer.text.length > longest ? undefined : reportOf(answer.text)
    return report ?? (yield* new CannotLook({ message: "--url: the answer is no report of effect-observability of this version: is this the path of /diagnostics?" }))
  }).pipe(Effect.provide(FetchHttpClient.layer))

const readToken = (file: Option.Option<string>) =>
  Effect.gen(function*() {
    if (Option.isNone(file)) return Option.match(yield* Effect.orDie(Config.option(Config.Redacted("OBSERVABILITY_TOKEN"))), { onNone: () => "", onSome: Redacted.value })
    const fs = yield* FileSystem.FileSystem
    return yield* Effect.mapBoth(fs.readFileString(file.value), {
      onFailure: () => new CannotLook({ message: `--token-file ${file.value}: cannot be read` }),
      onSuccess: (text) => text.trim()
    })
  })

/** By its shape: it comes from another process. */
const reportOf = (text: string): DiagnosticsReport | undefined => {
  try {
    const value = JSON.parse(text) as DiagnosticsReport
    const lists: ReadonlyArray<unknown> = [value.components, value.queues, value.imbalances, value.metrics.cardinality, value.metrics.problems]
    const whole = lists.every((one) => Array.isArray(one)) && value.components.every((one) => Array.isArray(one.signals)) && typeof value.openSpans === "object"
    return whole ? { ...value, load: value.load ?? null } : undefined
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
