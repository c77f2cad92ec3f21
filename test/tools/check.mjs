// `npm run check`: every gate in turn, one line for each, the first errors of those that fail. Exit code 1 when any fails.
// `npm run check -- lint types` runs only those named.
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import * as Path from "node:path"

const root = Path.resolve(import.meta.dirname, "../..")
const bin = (name) => Path.join(root, "node_modules/.bin", name)
const projects = [
  ...readdirSync(Path.join(root, "packages")).map((folder) => `packages/${folder}/tsconfig.json`),
  "tsconfig.test.json"
]
const shown = 30
// TypeScript's compiler with Effect's own rules in it. It exists for few platforms, so the package is optional; its rules and
// their severities stand in tsconfig.base.json.
const effectCompiler = Path.join(root, `node_modules/@effect/tsgo-${process.platform}-${process.arch}/lib/tsc`)

/** @type {ReadonlyArray<{ name: string, what: string, needs?: string, commands: ReadonlyArray<ReadonlyArray<string>> }>} */
const gates = [
  { name: "types", what: "tsc -b", commands: [[bin("tsc"), "-b", "--pretty", "false"]] },
  {
    name: "effect",
    what: "Effect diagnostics",
    needs: effectCompiler,
    commands: projects.map((project) => [effectCompiler, "-p", project, "--noEmit", "--pretty", "false"])
  },
  { name: "lint", what: "oxlint", commands: [[bin("oxlint"), "--format", "unix"]] },
  {
    name: "imports",
    what: "import table and public names",
    commands: [[bin("vitest"), "run", "test/architecture", "test/public-api", "--reporter", "dot"]]
  },
  { name: "dead code", what: "knip", commands: [[bin("knip"), "--no-progress", "--no-config-hints"]] }
]

const wanted = process.argv.slice(2)
const unknown = wanted.find((name) => !gates.some((gate) => gate.name.startsWith(name)))
if (unknown !== undefined) {
  console.error(`no gate named ${unknown}; there are: ${gates.map(({ name }) => name).join(", ")}`)
  process.exit(2)
}

let failures = 0
for (const { commands, name, needs, what } of gates) {
  if (wanted.length > 0 && !wanted.some((prefix) => name.startsWith(prefix))) continue
  if (needs !== undefined && !existsSync(needs)) {
    console.log(`-      ${name.padEnd(10)} ${what}: not available for ${process.platform}-${process.arch}, left out`)
    continue
  }
  const start = Date.now()
  const failed = commands.map((command) => run(command)).filter(({ status }) => status !== 0)
  const seconds = ((Date.now() - start) / 1000).toFixed(1)
  console.log(`${failed.length === 0 ? "ok    " : "FAILED"} ${name.padEnd(10)} ${what} (${seconds} s)`)
  if (failed.length > 0) {
    failures++
    // Projects see each other's sources: what two of them report is said once.
    const lines = [...new Set(failed.flatMap(({ output }) => output.split("\n")))].filter((line) => line.trim() !== "")
    for (const line of lines.slice(0, shown)) console.log(`         ${line}`)
    if (lines.length > shown) console.log(`         … and ${lines.length - shown} lines more`)
  }
}
console.log(failures === 0 ? "all gates passed" : `${failures} of ${gates.length} gates failed`)
process.exitCode = failures === 0 ? 0 : 1

/** @param {ReadonlyArray<string>} command */
function run([file, ...args]) {
  const env = { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" }
  const { error, status, stderr, stdout } = spawnSync(file, args, { cwd: root, encoding: "utf8", env, maxBuffer: 64 * 1024 * 1024 })
  return { status, output: `${error === undefined ? "" : `${error.message}\n`}${stdout ?? ""}${stderr ?? ""}` }
}
