import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { installed } from "./support/npmPostgres.ts"

/**
 * The store's own tests, unchanged, against other versions of PostgreSQL: 14, 16 and 17 from npm, 15 from Debian. `npm test` runs
 * them against 18.
 */
const root = Path.resolve(import.meta.dirname, "../../..")
/** Those that send SQL of every kind; the rest tests the pipe and the hub. */
const suites = ["PostgresStore", "PostgresHistory", "PostgresSpans", "PostgresMigrations", "PostgresExemplars", "packing/", "Storage", "capacity", "upkeep"]

const run = (programs: string): void => {
  const dir = Fs.mkdtempSync(Path.join(tmpdir(), "versions-"))
  try {
    const report = Path.join(dir, "report.json")
    const tests = spawnSync(
      process.execPath,
      [Path.join(root, "node_modules/vitest/vitest.mjs"), "run", ...suites.map((suite) => `packages/postgres/test/${suite}`), "--retry=1", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
      { cwd: root, encoding: "utf8", env: { ...process.env, TEST_POSTGRES_PROGRAMS: programs, NO_COLOR: "1" }, maxBuffer: 1 << 28 }
    )
    assert.strictEqual(tests.status, 0, tests.stdout.slice(-8_000) + tests.stderr.slice(-4_000))
    const { numPassedTests } = JSON.parse(Fs.readFileSync(report, "utf8")) as { readonly numPassedTests: number }
    assert.isAbove(numPassedTests, 30)
  } finally {
    Fs.rmSync(dir, { recursive: true, force: true })
  }
}

const timeout = 600_000

describe("the store on other versions of PostgreSQL", () => {
  for (const major of [14, 16, 17] as const) it(`${major}, from npm`, { timeout }, () => run(installed(major)))
  it("15, from Debian", { timeout }, () => run("/usr/lib/postgresql/15"))
})
