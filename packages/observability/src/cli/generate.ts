import { AlertRule, MetricDefinition } from "@effect-observability/core"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import type { GeneratedFile, GenerateOptions } from "../generate/Generate.ts"

/** What a command cannot do, in words for its user. */
export class CommandError extends Schema.TaggedError<CommandError>()("CommandError", {
  message: Schema.String
}) {
  /** The command has told it itself. */
  override readonly [Runtime.errorReported] = false
}

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
    const own = yield* Effect.forEach(definitions, load)
    const wanted = yield* filesOf({ ...options, definitions: own.flatMap((one) => one.definitions), rules: own.flatMap((one) => one.rules) })
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const differing = yield* Effect.filter(wanted, ({ content, path: file }) =>
      Effect.map(Effect.option(fs.readFileString(path.join(out, file))), (found) => found._tag === "None" || found.value !== content))
    if (check) {
      if (differing.length === 0) return yield* Console.log(`${out}: ${wanted.length} files are up to date`)
      return yield* new CommandError({ message: `${out}: not up to date, run the command without --check:\n${differing.map((one) => `  ${one.path}`).join("\n")}` })
    }
    for (const { content, path: file } of differing) {
      const target = path.join(out, file)
      yield* Effect.mapError(
        Effect.andThen(fs.makeDirectory(path.dirname(target), { recursive: true }), fs.writeFileString(target, content)),
        ({ reason }) => new CommandError({ message: `--out ${out}: ${file} cannot be written (${causeOf(reason.cause) ?? reason._tag}): give a folder that may be written` })
      )
    }
    yield* Console.log(`${out}: ${wanted.length} files, ${differing.length} of them changed`)
  })
).pipe(
  Command.withDescription("Dashboards, alert rules with tests and runbooks, and the metric reference, from metric definitions"),
  Command.withExamples([
    { command: "effect-observability generate --out ops --definitions src/metrics.js", description: "for the metrics your program declares" },
    { command: "effect-observability generate --out ops --check", description: "in CI: are the files those the definitions give?" }
  ])
)

const filesOf = (options: GenerateOptions): Effect.Effect<ReadonlyArray<GeneratedFile>, CommandError> =>
  Effect.gen(function*() {
    const { Generate } = yield* Effect.tryPromise({
      try: () => import("../generate/index.ts"),
      catch: (error) => new CommandError({ message: `npm install --save-dev @grafana/grafana-foundation-sdk@0.0.21 (${first(error)})` })
    })
    return yield* Effect.try({ try: () => Generate.files(options), catch: (error) => new CommandError({ message: first(error) }) })
  })

interface Own {
  readonly definitions: ReadonlyArray<MetricDefinition.MetricDefinition>
  readonly rules: ReadonlyArray<AlertRule.AlertRule>
}

/** The definitions and rules among a module's exports: values, lists and objects of them. */
const load = (file: string): Effect.Effect<Own, CommandError, Path.Path> =>
  Effect.gen(function*() {
    const path = yield* Path.Path
    const url = yield* Effect.mapError(path.toFileUrl(path.resolve(file)), (error) => new CommandError({ message: `--definitions ${file}: ${error.message}` }))
    const module: Record<string, unknown> = yield* Effect.tryPromise({
      try: () => import(url.href),
      catch: (error) => new CommandError({ message: `--definitions ${file} cannot be loaded: ${first(error)}` })
    })
    const definitions = new Set<MetricDefinition.MetricDefinition>()
    const rules = new Set<AlertRule.AlertRule>()
    const collect = (value: unknown, depth: number): void => {
      if (typeof value !== "object" || value === null || depth > 3) return
      if (isDefinition(value)) definitions.add(value)
      else if (isRule(value)) rules.add(value)
      else for (const one of Object.values(value)) collect(one, depth + 1)
    }
    yield* Effect.try({
      try: () => Object.values(module).forEach((value) => collect(value, 0)),
      catch: (error) => new CommandError({ message: `--definitions ${file}: its exports cannot be read: ${first(error)}` })
    })
    if (definitions.size + rules.size === 0) return yield* new CommandError({ message: `--definitions ${file}: exports neither a metric definition nor an alert rule` })
    return { definitions: [...definitions], rules: [...rules] }
  })

/** By shape: the module may have loaded another copy of the library. */
const isDefinition = (value: object): value is MetricDefinition.MetricDefinition =>
  "name" in value && "type" in value && "labelNames" in value && Array.isArray(value.labelNames) &&
  MetricDefinition.problem(value as MetricDefinition.MetricDefinition) === undefined

const isRule = (value: object): value is AlertRule.AlertRule => "metric" in value && "condition" in value && "inhibitedBy" in value

const first = (error: unknown): string => {
  const said = (error instanceof Error ? error.message : String(error)).split("\n")[0]!
  return said !== "" ? said : error instanceof Error ? error.name : "it threw"
}

/** `EACCES`, `ENOTDIR`, … */
const causeOf = (cause: unknown): string | undefined => {
  const code = (cause as { readonly code?: unknown } | undefined)?.code
  return typeof code === "string" ? code : undefined
}
