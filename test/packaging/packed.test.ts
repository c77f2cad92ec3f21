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
})
