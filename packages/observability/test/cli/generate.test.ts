import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { afterAll, assert, describe, it } from "vitest"

const root = resolve(import.meta.dirname, "../../../..")
const dir = mkdtempSync(join(tmpdir(), "obs-cli-"))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const run = (...args: ReadonlyArray<string>) => {
  const main = join(root, "packages/observability/src/cli/main.ts")
  const { status, stderr, stdout } = spawnSync(process.execPath, ["--conditions=source", main, ...args], { cwd: dir, encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } })
  return { status, stderr, stdout }
}

const metrics = join(dir, "metrics.mjs")
writeFileSync(metrics, `
export const OrdersPlaced = { name: "orders_placed_total", type: "counter", help: "Orders", unit: "", labelNames: ["channel"], alertThreshold: 10 }
export const more = [{ name: "queue_depth", type: "gauge", help: "Jobs", unit: "", labelNames: [] }]
export const unrelated = { name: "no metric" }
`)

describe("effect-observability generate", () => {
  it("writes everything, once, and checks it", () => {
    const first = run("generate", "--out", "ops", "--definitions", metrics, "--prefix", "shop")
    assert.strictEqual(first.status, 0, first.stderr)
    assert.match(first.stdout, /ops: (\d+) files, \1 of them changed/)
    assert.match(readFileSync(join(dir, "ops/prometheus/alerts.yml"), "utf8"), /shop_orders_placed_total\[5m\]/)
    assert.match(readFileSync(join(dir, "ops/metrics.md"), "utf8"), /`shop_queue_depth`/)
    assert.include(readdirSync(join(dir, "ops/runbooks")), "OrdersPlacedTotalHigh.md")
    assert.match(run("generate", "--out", "ops", "--definitions", metrics, "--prefix", "shop").stdout, /, 0 of them changed/)
    assert.strictEqual(run("generate", "--out", "ops", "--definitions", metrics, "--prefix", "shop", "--check").status, 0)

    writeFileSync(join(dir, "ops/metrics.md"), "changed by hand")
    const check = run("generate", "--out", "ops", "--definitions", metrics, "--prefix", "shop", "--check")
    assert.strictEqual(check.status, 1)
    assert.match(check.stderr, /not up to date.*\n {2}metrics\.md/)
    assert.strictEqual(readFileSync(join(dir, "ops/metrics.md"), "utf8"), "changed by hand")
  })

  it("says what to install when the packages it stands on are not there", () => {
    for (const name of ["@effect/platform-node", "@grafana/grafana-foundation-sdk"]) {
      const hooks = `import { registerHooks } from "node:module"
        registerHooks({ resolve(specifier, context, next) {
          if (specifier.startsWith("${name}")) throw Object.assign(new Error("Cannot find package '${name}' imported from x"), { code: "ERR_MODULE_NOT_FOUND" })
          return next(specifier, context)
        } })`
      const main = join(root, "packages/observability/src/cli/main.ts")
      const { status, stderr } = spawnSync(
        process.execPath,
        ["--import", `data:text/javascript,${encodeURIComponent(hooks)}`, "--conditions=source", main, "generate", "--out", "never"],
        { cwd: dir, encoding: "utf8" }
      )
      assert.strictEqual(status, 1)
      assert.match(stderr, new RegExp(`npm install --save-dev ${name}@`))
      assert.notMatch(stderr, /\n\s+at /)
    }
  })

  it("says plainly what it cannot do", () => {
    const empty = join(dir, "empty.mjs")
    writeFileSync(empty, "export const nothing = 1")
    const broken = join(dir, "broken.mjs")
    writeFileSync(broken, "throw new Error('no way')")
    const silent = join(dir, "silent.mjs")
    writeFileSync(silent, "throw new Error('')")
    const getter = join(dir, "getter.mjs")
    writeFileSync(getter, "export const a = { get b() { throw new Error('not today') } }")
    writeFileSync(join(dir, "file"), "")
    for (const [args, says] of [
      [["--definitions", silent], /silent\.mjs cannot be loaded: Error/],
      [["--definitions", getter], /getter\.mjs: its exports cannot be read: not today/],
      [["--out", "file"], /--out file: grafana\/prometheus\.json cannot be written \(\w+\): give a folder/],
      [["--definitions", empty], /exports neither a metric definition nor an alert rule/],
      [["--definitions", broken], /cannot be loaded: no way/],
      [["--definitions", join(dir, "absent.mjs")], /absent\.mjs/],
      [["--schema", "x\"; drop"], /schema: .*must be a lower-case PostgreSQL name/],
      [["--prefix", "1"], /prefix: /]
    ] as const) {
      const { status, stderr, stdout } = run("generate", ...(args[0] === "--out" ? [] : ["--out", "never"]), ...args)
      assert.strictEqual(status, 1, args.join(" "))
      assert.match(`${stdout}${stderr}`, says)
      assert.notMatch(stderr, /\n\s+at /)
    }
  })

  it("helps", () => {
    assert.match(run("generate", "--help").stdout, /--definitions[\s\S]*--check/)
  })

  it("the files of docs/generated are those the standard definitions give (npm run generate)", () => {
    const { status, stderr } = run("generate", "--out", join(root, "docs/generated"), "--check")
    assert.strictEqual(status, 0, stderr)
  })
})
