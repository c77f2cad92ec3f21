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

  it("says plainly what it cannot do", () => {
    const empty = join(dir, "empty.mjs")
    writeFileSync(empty, "export const nothing = 1")
    const broken = join(dir, "broken.mjs")
    writeFileSync(broken, "throw new Error('no way')")
    for (const [args, says] of [
      [["--definitions", empty], /exports neither a metric definition nor an alert rule/],
      [["--definitions", broken], /cannot be loaded: no way/],
      [["--definitions", join(dir, "absent.mjs")], /absent\.mjs/],
      [["--schema", "x\"; drop"], /schema: .*must be a lower-case PostgreSQL name/],
      [["--prefix", "1"], /prefix: /]
    ] as const) {
      const { status, stderr, stdout } = run("generate", "--out", "never", ...args)
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
