import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { afterAll, assert, describe, it } from "vitest"

const root = resolve(import.meta.dirname, "../../../..")
const dir = mkdtempSync(join(tmpdir(), "obs-cli-"))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const main = join(root, "packages/observability/src/cli/main.ts")
const limited = (before: string, ...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync("sh", ["-c", `${before}; exec "$0" "$@"`, process.execPath, "--conditions=source", main, ...args], {
    cwd: dir, encoding: "utf8", env: { ...process.env, NO_COLOR: "1" }, timeout: 25_000
  })
  return { status, stderr, stdout }
}
const run = (...args: ReadonlyArray<string>) => limited(":", ...args)

const listed = (folder: string) => readdirSync(join(dir, folder), { recursive: true, encoding: "utf8" }).toSorted()

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
    assert.match(check.stderr, /not up to date.*\n {2}metrics\.md differs\n/)
    assert.strictEqual(readFileSync(join(dir, "ops/metrics.md"), "utf8"), "changed by hand")
  })

  it("says what to install when the packages it stands on are not there", () => {
    for (const name of ["@effect/platform-node", "@grafana/grafana-foundation-sdk"]) {
      const hooks = `import { registerHooks } from "node:module"
        registerHooks({ resolve(specifier, context, next) {
          if (specifier.startsWith("${name}")) throw Object.assign(new Error("Cannot find package '${name}' imported from x"), { code: "ERR_MODULE_NOT_FOUND" })
          return next(specifier, context)
        } })`
      const { status, stderr } = spawnSync(
        process.execPath,
        ["--import", `data:text/javascript,${encodeURIComponent(hooks)}`, "--conditions=source", main, "generate", "--out", "never"],
        { cwd: dir, encoding: "utf8" }
      )
      assert.strictEqual(status, 2)
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
    const wrong = join(dir, "wrong.mjs")
    writeFileSync(wrong, `export const inner = { one: { name: "bad-name", type: "counter", help: "", unit: "", labelNames: [] } }
      export const silent = { name: "silent_total", type: "counter", unit: "", labelNames: [] }
      export const endless = { name: "endless_total", type: "counter", help: "", unit: "", labelNames: [], alertThreshold: Infinity }
      export const rule = { name: "../../x", metric: "m", condition: { kind: "absent" }, inhibitedBy: [] }`)
    const enumerated = join(dir, "enumerated.ts")
    writeFileSync(enumerated, "export enum A { B }")
    writeFileSync(join(dir, "file"), "")
    symlinkSync("nowhere", join(dir, "dangling"))
    mkdirSync(join(dir, "taken/metrics.md"), { recursive: true })
    for (const [args, says] of [
      [["--definitions", silent], /silent\.mjs cannot be loaded: Error/],
      [["--definitions", getter], /getter\.mjs: its exports cannot be read: not today/],
      [["--definitions", wrong], /wrong\.mjs:\n {2}endless: metric "endless_total": alertThreshold .*\n {2}rule: is no alert rule: make it with AlertRule\.make\n {2}silent: metric "silent_total": help must be a text.*\n {2}inner\.one: metric "bad-name": name must match/],
      [["--definitions", enumerated], /enumerated\.ts cannot be loaded: .*compile the file/],
      [["--out", "file"], /--out file: .*file\/grafana cannot be read \(ENOTDIR\): give a folder/],
      [["--out", ""], /--out is empty/],
      [["--out", "/proc/x"], /--out \/proc\/x: \/proc\/x cannot be written \(ENOENT\)/],
      [["--out", "dangling"], /dangling is a link that leads nowhere/],
      [["--out", "taken"], /metrics\.md is there and is no file/],
      [["--definitions", empty], /exports neither a metric definition nor an alert rule/],
      [["--definitions", broken], /cannot be loaded: no way/],
      [["--definitions", join(dir, "absent.mjs")], /absent\.mjs/],
      [["--schema", "x\"; drop"], /schema: .*must be a lower-case PostgreSQL name/],
      [["--prefix", "1"], /prefix: /]
    ] as const) {
      const { status, stderr, stdout } = run("generate", ...(args[0] === "--out" ? [] : ["--out", "never"]), ...args)
      assert.strictEqual(status, 2, args.join(" "))
      assert.match(`${stdout}${stderr}`, says)
      assert.notMatch(stderr, /\n\s+at /)
    }
    assert.deepStrictEqual(listed("taken"), ["metrics.md"])
    assert.isFalse(existsSync(join(dir, "never")))
  }, 60_000)

  it("writes all or nothing when the disk has no room", () => {
    const full = limited("ulimit -f 64", "generate", "--out", "full/of/files")
    assert.strictEqual(full.status, 2)
    assert.match(full.stderr, /--out full\/of\/files: grafana\/\w+\.json cannot be written \(EFBIG\): make room on its disk, nothing was changed\n/)
    assert.isFalse(existsSync(join(dir, "full")))
    assert.strictEqual(run("generate", "--out", "room").status, 0)
    const contents = () => listed("room").filter((name) => name.includes(".")).map((name) => [name, readFileSync(join(dir, "room", name), "utf8")])
    const before = contents()
    assert.strictEqual(limited("ulimit -f 64", "generate", "--out", "room", "--title", "Other", "--definitions", metrics).status, 2)
    assert.deepStrictEqual(contents(), before)
  }, 60_000)

  it("writes through links, takes other line ends for none, and leaves what is not its own", () => {
    mkdirSync(join(dir, "place"))
    symlinkSync("place", join(dir, "linked"))
    writeFileSync(join(dir, "elsewhere.md"), "")
    symlinkSync("../elsewhere.md", join(dir, "place/metrics.md"))
    assert.strictEqual(run("generate", "--out", "linked", "--definitions", metrics).status, 0)
    assert.strictEqual(readlinkSync(join(dir, "place/metrics.md")), "../elsewhere.md")
    assert.match(readFileSync(join(dir, "elsewhere.md"), "utf8"), /orders_placed_total/)

    for (const name of listed("place").filter((one) => one.includes("."))) {
      writeFileSync(join(dir, "place", name), readFileSync(join(dir, "place", name), "utf8").replaceAll("\n", "\r\n"))
    }
    writeFileSync(join(dir, "place/runbooks/ours.md"), "# Ours")
    writeFileSync(join(dir, "place/notes.txt"), "ours")
    assert.strictEqual(run("generate", "--out", "linked", "--definitions", metrics, "--check").status, 0)

    // Without the definition its alert is gone, and with it what was generated for it.
    const check = run("generate", "--out", "linked", "--check")
    assert.strictEqual(check.status, 1)
    assert.match(check.stderr, /prometheus\/tests\/OrdersPlacedTotalHigh\.yml is no longer generated: delete it\n.*runbooks\/OrdersPlacedTotalHigh\.md is no longer/)
    assert.notMatch(check.stderr, /ours|notes/)
    assert.match(run("generate", "--out", "linked").stdout, /No longer generated, delete them:\n {2}prometheus\/tests\/OrdersPlacedTotalHigh\.yml\n/)
    assert.isTrue(existsSync(join(dir, "place/runbooks/ours.md")))
  }, 60_000)

  it("reads modules that hold circles, classes and much, and ends though they go on", () => {
    const busy = join(dir, "busy.mjs")
    writeFileSync(busy, `setInterval(() => {}, 1000)
      export const circle = { name: "x" }; circle.self = circle
      export class Metrics { static Placed = { name: "placed_total", type: "counter", help: "", unit: "", labelNames: [] } }
      export const many = Array.from({ length: 10_000 }, (_, i) => ({ name: "m" + i + "_total", type: "counter", help: "", unit: "", labelNames: ["a"] }))`)
    const { status, stderr } = run("generate", "--out", "busy", "--definitions", busy)
    assert.strictEqual(status, 0, stderr)
    const reference = readFileSync(join(dir, "busy/metrics.md"), "utf8")
    for (const name of ["placed_total", "m9999_total"]) assert.include(reference, `\`${name}\``)
  }, 60_000)

  it("helps", () => {
    assert.match(run("generate", "--help").stdout, /--definitions[\s\S]*--check/)
  })

  it("the files of docs/generated are those the standard definitions give (npm run generate)", () => {
    const { status, stderr } = run("generate", "--out", join(root, "docs/generated"), "--check")
    assert.strictEqual(status, 0, stderr)
  })
})
