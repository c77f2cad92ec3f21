import { spawn, spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { AlertRule, MetricDefinition } from "effect-observability"
import { Generate } from "effect-observability/generate"
import * as Yaml from "effect/encoding/Yaml"
import * as fc from "fast-check"
import { afterAll, assert, describe, it } from "vitest"
import { own, rules } from "./support.ts"
import { awkward } from "./texts.ts"

// Debian's promtool reads what is generated, and the generated tests notice what is changed in the generated rules.

const dir = mkdtempSync(join(tmpdir(), "obs-promtool-"))
mkdirSync(join(dir, "tests"))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const files = new Map(Generate.files({ definitions: own, rules }).map(({ content, path }) => [path, content]))
const alerts = files.get("prometheus/alerts.yml")!
const groups: any = Yaml.parse(alerts)

const promtool = (...args: ReadonlyArray<string>) => {
  const { error, status, stderr, stdout } = spawnSync("promtool", args, { cwd: dir, encoding: "utf8", timeout: 100_000 })
  if (error !== undefined) throw new Error(`promtool (Debian's package prometheus) is needed: ${error.message}`)
  return { status, output: `${stdout}${stderr}` }
}

interface Mutant {
  readonly what: string
  readonly rule: any
}

/** One change each, to a number that is compared with, a window, a comparison, or a waiting time. */
const mutants = (rule: any): ReadonlyArray<Mutant> => {
  const found: Array<Mutant> = []
  const { expr } = rule
  const swap = (at: number, before: string, after: string) =>
    found.push({ what: `${rule.alert}: ${before} -> ${after} at ${at}`, rule: { ...rule, expr: expr.slice(0, at) + after + expr.slice(at + before.length) } })
  for (const match of expr.matchAll(/(>=|<=|==|>|<) (-?[0-9.]+)/g)) {
    const [whole, comparison, limit] = match
    const other = comparison === ">" ? [">=", "<"] : comparison === ">=" ? [">", "<"] : comparison === "<" ? ["<=", ">"] : comparison === "<=" ? ["<", ">"] : [">"]
    for (const one of other) swap(match.index, whole, `${one} ${limit}`)
    for (const factor of Number(limit) === 0 ? [] : [0.9, 1.1, 2]) swap(match.index, whole, `${comparison} ${Number((Number(limit) * factor).toPrecision(12))}`)
    if (Number(limit) === 0) swap(match.index, whole, `${comparison} 1`)
  }
  for (const match of expr.matchAll(/\[([0-9]+)([smhd])\]/g)) {
    const seconds = Number(match[1]) * { s: 1, m: 60, h: 3_600, d: 86_400 }[match[2] as "s" | "m" | "h" | "d"]
    for (const factor of [0.5, 2]) swap(match.index, match[0], `[${seconds * factor}s]`)
  }
  for (const field of ["for", "keep_firing_for"]) {
    if (rule[field] === undefined) continue
    const seconds = Number.parseInt(rule[field], 10) * (rule[field].endsWith("m") ? 60 : rule[field].endsWith("h") ? 3_600 : 1)
    for (const factor of [0.5, 2]) found.push({ what: `${rule.alert}: ${field} x ${factor}`, rule: { ...rule, [field]: `${seconds * factor}s` } })
  }
  return found
}

/** JSON is YAML. */
const caught = async ({ rule }: Mutant, lane: number): Promise<boolean> => {
  const tests: any = Yaml.parse(files.get(`prometheus/tests/${rule.alert}.yml`)!)
  writeFileSync(join(dir, `mutant${lane}.yml`), JSON.stringify({ groups: [{ name: "mutant", rules: [rule] }] }))
  writeFileSync(join(dir, `mutant${lane}.test.yml`), JSON.stringify({ ...tests, rule_files: [`mutant${lane}.yml`] }))
  return new Promise((resolve, reject) => {
    const child = spawn("promtool", ["test", "rules", `mutant${lane}.test.yml`], { cwd: dir, stdio: "ignore" })
    child.on("error", reject)
    child.on("close", (code) => resolve(code !== 0))
  })
}

/** Those that the tests do not notice; two at a time. */
const survivors = async (all: ReadonlyArray<Mutant>): Promise<ReadonlyArray<string>> => {
  const left = [...all]
  const survived: Array<string> = []
  await Promise.all([0, 1].map(async (lane) => {
    for (let mutant = left.pop(); mutant !== undefined; mutant = left.pop()) if (!await caught(mutant, lane)) survived.push(mutant.what)
  }))
  return survived
}

describe("promtool", () => {
  for (const [path, content] of files) if (path.startsWith("prometheus/")) writeFileSync(join(dir, path.slice("prometheus/".length)), content)

  it("accepts every rule file", () => {
    const { output, status } = promtool("check", "rules", "alerts.yml", "figures.yml", "standard-names.yml")
    assert.strictEqual(status, 0, output)
  })

  it("agrees with the generated tests about when each alert fires", () => {
    const { output, status } = promtool("test", "rules", ...[...files.keys()].filter((path) => path.startsWith("prometheus/tests/")).map((path) => path.slice("prometheus/".length)))
    assert.strictEqual(status, 0, output)
  })

  it("says literally what users wrote, whatever that means to its templates, to YAML and to PromQL", () => {
    const texts = ["", ...fc.sample(awkward, 40)]
    const definitions = texts.map((text, i) => MetricDefinition.counter(`m${i}_total`, { help: text, unit: text, labelNames: ["a"] }))
    const rules = texts.map((text, i) => AlertRule.make({ name: `Rule${i}`, metric: `m${i}_total`, labels: { a: { in: [text, "b"] } }, groupBy: ["a"], increase: "5 minutes", above: 1, summary: text }))
    const hostile = new Map(Generate.files({ definitions, rules, runbooks: "https://x/{{ $value }}/" }).map(({ content, path }) => [path, content]))
    mkdirSync(join(dir, "hostile"))
    for (const name of ["alerts.yml", "figures.yml"]) writeFileSync(join(dir, "hostile", name), hostile.get(`prometheus/${name}`)!)
    const checked = promtool("check", "rules", "hostile/alerts.yml", "hostile/figures.yml")
    assert.strictEqual(checked.status, 0, checked.output.slice(0, 2_000))
    // The tests of each rule in one file: Prometheus says the annotations, promtool compares them with the text.
    const tests = texts.map((_, i): any => Yaml.parse(hostile.get(`prometheus/tests/Rule${i}.yml`)!))
    const fired = tests.flatMap((one) => one.tests[0].alert_rule_test.flatMap(({ exp_alerts }: any) => exp_alerts.map(({ exp_annotations }: any) => exp_annotations.summary as string)))
    for (const text of texts) assert.include(fired, text === "" ? `Rule${texts.indexOf(text)}` : text)
    writeFileSync(join(dir, "hostile/tests.yml"), JSON.stringify({ rule_files: ["alerts.yml"], evaluation_interval: "15s", tests: tests.flatMap((one) => one.tests.slice(0, 1)) })
      // YAML has fewer characters than JSON.
      .replaceAll(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`))
    const { output, status } = promtool("test", "rules", "hostile/tests.yml")
    assert.strictEqual(status, 0, output.slice(0, 2_000))
  }, 120_000)

  it("notices at least 95 % of changed thresholds, windows, comparisons and waiting times", async () => {
    const untouched = groups.groups[0].rules.map((rule: any) => ({ what: rule.alert as string, rule }))
    // Not because the tests fail anyway.
    assert.sameMembers([...await survivors(untouched)], untouched.map(({ what }: Mutant) => what))
    const all = groups.groups[0].rules.flatMap(mutants) as ReadonlyArray<Mutant>
    assert.isAbove(all.length, 150)
    const survived = await survivors(all)
    console.log(`${all.length - survived.length} of ${all.length} changes noticed${survived.map((one) => `\n  not: ${one}`).join("")}`)
    assert.isAtMost(survived.length / all.length, 0.05, survived.join("\n"))
  }, 900_000)
})
