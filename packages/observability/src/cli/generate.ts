import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import type { GeneratedFile, GenerateOptions } from "../generate/Generate.ts"
import { CommandError, first, OutOfDate } from "./CommandError.ts"
import { load } from "./definitions.ts"
import { compare, write } from "./files.ts"

const flags = {
  out: Flag.String("out").pipe(Flag.withAlias("o"), Flag.withDefault("generated"), Flag.withDescription("Folder that is written")),
  definitions: Flag.File("definitions", { mustExist: true }).pipe(
    Flag.withAlias("d"),
    Flag.atLeast(0),
    Flag.withDescription("Module that exports metric definitions (and alert rules); may be given several times")
  ),
  prefix: Flag.String("prefix").pipe(Flag.withDefault(""), Flag.withDescription("metrics.prefix of the programs")),
  schema: Flag.String("schema").pipe(Flag.withDefault("observability"), Flag.withDescription("Schema of the PostgreSQL store")),
  title: Flag.String("title").pipe(Flag.withDefault("Service"), Flag.withDescription("What the dashboards are called")),
  runbooks: Flag.String("runbooks").pipe(Flag.withDefault("runbooks/"), Flag.withDescription("Address the alerts link to, ending in /")),
  check: Flag.Boolean("check").pipe(Flag.withDefault(false), Flag.withDescription("Write nothing; end with 1 when a file is missing or differs"))
}

/** `effect-observability generate`. */
export const generate = Command.make("generate", flags, ({ check, definitions, out, ...options }) =>
  Effect.gen(function*() {
    if (out === "") return yield* new CommandError({ message: "--out is empty: give a folder, `.` for this one" })
    const own = yield* Effect.forEach(definitions, load)
    const { files, marks } = yield* generated({ ...options, definitions: own.flatMap((one) => one.definitions), rules: own.flatMap((one) => one.rules) })
    const { differing, left, missing } = yield* compare(out, files, marks)
    if (check) {
      if (differing.length + left.length + missing.length === 0) return yield* Console.log(`${out}: ${files.length} files are up to date`)
      const list = [...missing.map(({ path }) => `  ${path} is missing`), ...differing.map(({ path }) => `  ${path} differs`), ...left.map((path) => `  ${path} is no longer generated: delete it`)]
      return yield* new OutOfDate({ message: `${out}: not up to date, run the command without --check:\n${list.join("\n")}` })
    }
    yield* write(out, [...missing, ...differing])
    yield* Console.log(`${out}: ${files.length} files, ${missing.length + differing.length} of them changed`)
    if (left.length > 0) yield* Console.log(`No longer generated, delete them:\n${left.map((path) => `  ${path}`).join("\n")}`)
  })
).pipe(
  Command.withDescription("Dashboards, alert rules with tests and runbooks, and the metric reference, from metric definitions"),
  Command.withExamples([
    { command: "effect-observability generate --out ops --definitions src/metrics.js", description: "for the metrics your program declares" },
    { command: "effect-observability generate --out ops --check", description: "in CI: are the files those the definitions give?" }
  ])
)

const generated = (options: GenerateOptions): Effect.Effect<{ readonly files: ReadonlyArray<GeneratedFile>; readonly marks: ReadonlyArray<string> }, CommandError> =>
  Effect.gen(function*() {
    const { Generate } = yield* Effect.tryPromise({
      try: () => import("../generate/index.ts"),
      catch: (error) => new CommandError({ message: `npm install --save-dev @grafana/grafana-foundation-sdk@0.0.21 (${first(error)})` })
    })
    return yield* Effect.try({ try: () => ({ files: Generate.files(options), marks: Generate.marks }), catch: (error) => new CommandError({ message: first(error) }) })
  })
