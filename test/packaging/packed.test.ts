import { execFile } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { promisify } from "node:util"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { sourceFacts } from "../architecture/sourceFacts.ts"
import { folders, readJson, root } from "../architecture/tree.ts"
import { packagesOf, tenLines } from "./tenLines.ts"

// What users get is not this tree but what `npm pack` puts into the tarballs: built files, no `source` condition.

const run = promisify(execFile)
const bin = (name: string) => Path.join(root, "node_modules/.bin", name)
const manifests = folders("packages").map((folder) => ({ folder, ...readJson(`packages/${folder}/package.json`) }))
const folder = mkdtempSync(Path.join(Os.tmpdir(), "packed-"))
const tarballs = Path.join(folder, "tarballs")
const app = Path.join(folder, "app")
const env = { ...process.env, npm_config_audit: "false", npm_config_fund: "false", npm_config_update_notifier: "false" }

/** What a reader of the ten lines installs beside our packages: what they import, and the optional peers of ours they use. */
const beside = (): ReadonlyArray<string> => {
  const { devDependencies } = readJson("package.json")
  const imported = packagesOf(tenLines())
  const peers = manifests.filter(({ name }) => imported.includes(name)).flatMap(({ peerDependencies }) => Object.keys(peerDependencies))
  return [...new Set([...imported, ...peers])].filter((name) => name in devDependencies).map((name) => `${name}@${devDependencies[name]}`)
}

beforeAll(async () => {
  await run(bin("tsc"), ["-b", ...manifests.map((manifest) => `packages/${manifest.folder}`)], { cwd: root })
  mkdirSync(tarballs)
  mkdirSync(app)
  await run("npm", ["pack", "--silent", "--pack-destination", tarballs, ...manifests.flatMap(({ name }) => ["--workspace", name])], { cwd: root, env })
  writeFileSync(Path.join(app, "package.json"), JSON.stringify({ private: true, type: "module" }))
  const packed = readdirSync(tarballs).map((file) => Path.join(tarballs, file))
  assert.strictEqual(packed.length, manifests.length)
  await run("npm", ["install", "--prefer-offline", "--loglevel=error", ...packed, ...beside()], { cwd: app, env })
}, 180_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const installed = (name: string, path: string) => Path.join(app, "node_modules", name, path)

describe("packed and installed in an empty folder", () => {
  for (const { exports, name } of manifests) {
    it(`${name}: every export is there, built and in its sources`, () => {
      for (const target of Object.values<string | Record<string, string>>(exports)) {
        for (const file of typeof target === "string" ? [target] : Object.values(target)) {
          assert.isTrue(existsSync(installed(name, file)), `${name} ${file}`)
        }
      }
    })

    it(`${name}: carries what it needs and nothing else`, () => {
      const files = readdirSync(installed(name, "."), { recursive: true, encoding: "utf8" })
      assert.deepStrictEqual(files.filter((file) => /(^|\/)(test|bench|node_modules|\.tsbuildinfo)(\/|$)/.test(file)), [])
      const built = files.filter((file) => /^dist\/.*\.js$/.test(file))
      assert.isAbove(built.length, 0)
      for (const file of built) {
        const unbuilt = sourceFacts(readFileSync(installed(name, file), "utf8")).imports.filter(({ specifier }) => specifier.endsWith(".ts"))
        assert.deepStrictEqual(unbuilt, [], `${name}/${file} imports sources`)
      }
    })
  }

  it("every entry that needs no optional peer loads", async () => {
    const entries = manifests.flatMap(({ exports, name }) =>
      Object.keys(exports).filter((subpath) => subpath === ".").map(() => name as string)
    )
    writeFileSync(Path.join(app, "load.mjs"), entries.map((entry) => `await import(${JSON.stringify(entry)})\n`).join(""))
    await run(process.execPath, ["load.mjs"], { cwd: app })
  })

  it("the ten lines of the README compile, run, and read back from PostgreSQL what they recorded", async () => {
    writeFileSync(Path.join(app, "start.ts"), tenLines())
    writeFileSync(
      Path.join(app, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          target: "ES2023",
          lib: ["ES2024", "DOM", "DOM.Iterable"],
          module: "NodeNext",
          strict: true,
          exactOptionalPropertyTypes: true,
          noEmit: true,
          skipLibCheck: true,
          types: ["node"],
          typeRoots: [Path.join(root, "node_modules/@types")]
        },
        files: ["start.ts"]
      })
    )
    await run(bin("tsc"), ["-p", "."], { cwd: app }).catch(({ stdout }) => assert.fail(stdout))
    const { stdout } = await run(process.execPath, ["start.ts"], { cwd: app, timeout: 60_000 })
    for (const fact of [/name: 'orders_total'/, /channel: 'web'/, /value: 3\b/]) assert.match(stdout, fact)
  }, 120_000)

  it("docs/generate.md word for word: dashboards, rules and reference of a program's own definitions", async () => {
    const guide = readFileSync(Path.join(root, "docs/generate.md"), "utf8")
    const block = (language: string) => new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "m").exec(guide)![1]!
    writeFileSync(Path.join(app, "metrics.ts"), block("ts"))
    const [install, ...commands] = block("sh").trim().split("\n")
    assert.includeMembers([...beside()], install!.split(" ").filter((word) => word.startsWith("@")))
    assert.strictEqual(commands.length, 2)
    const here = { cwd: app, env: { ...env, PATH: `${Path.dirname(process.execPath)}${Path.delimiter}${process.env["PATH"]}` } }
    const [written, checked] = [await run("sh", ["-c", commands[0]!], here), await run("sh", ["-c", commands[1]!], here)]
    assert.match(written.stdout, /ops: (\d+) files, \1 of them changed/)
    assert.match(checked.stdout, /are up to date/)
    const file = (name: string) => readFileSync(Path.join(app, "ops", name), "utf8")
    for (const alert of ["CheckoutSlow", "QueueDeep", "Budget", "Stopped", "OrdersPlacedTotalHigh"]) {
      assert.include(file("prometheus/alerts.yml"), `alert: ${alert}\n`)
      assert.match(file(`runbooks/${alert}.md`), new RegExp(`^# ${alert}\n`))
    }
    for (const name of ["orders_placed_total", "queue_depth", "checkout_duration_seconds"]) {
      for (const place of ["metrics.md", "grafana/prometheus.json", "grafana/postgres.json", "grafana/prometheus.svg", "postgres/metadata.sql"]) assert.include(file(place), name)
    }

    // Compiled, the same.
    await run(bin("tsc"), ["--ignoreConfig", "--module", "nodenext", "--target", "es2023", "--skipLibCheck", "--typeRoots", Path.join(root, "node_modules/@types"), "--outDir", "dist", "metrics.ts"], here).catch(({ stdout }) => assert.fail(stdout))
    const compiled = await run("npx", ["effect-observability", "generate", "--out", "ops", "--definitions", "dist/metrics.js", "--check"], here)
    assert.match(compiled.stdout, /are up to date/)
  }, 120_000)
})
