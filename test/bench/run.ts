import { spawn } from "node:child_process"
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import { type Case, collect, type Declare, median, type Result, verdict } from "./Bench.ts"
import { measureGroup, type ProcessResult } from "./measure.ts"

const root = Path.resolve(import.meta.dirname, "../..")
const results = Path.join(import.meta.dirname, "results")
const processes = 3

const help = `npm run bench [-- <name> …] [--list] [--help]

Measures the cases of packages/*/bench/*.bench.ts and test/bench/*.bench.ts whose name begins with one of the names
given (all without any), each group of cases in ${processes} fresh processes, and writes test/bench/results/<name>.json.
Ends with exit code 1 when a case misses its "must".

  npm run bench -- A1         A1, A1.gauge, A1.histogram, A1.s1000
  npm run bench -- --list     names only, nothing measured
`

/** What a declaring process tells of its cases: everything but the code. */
type Declared = Pick<Result, "name" | "unit" | "budget" | "better" | "must" | "moonshot"> & { readonly baseline: string | undefined }

interface BenchFile {
  readonly file: string
  readonly cases: ReadonlyArray<Declared>
}

const main = async (args: ReadonlyArray<string>): Promise<number> => {
  if (args.includes("--help")) {
    process.stdout.write(help)
    return 0
  }
  const unknown = args.find((arg) => arg.startsWith("-") && arg !== "--list")
  if (unknown !== undefined) {
    process.stderr.write(`unknown option ${unknown}\n\n${help}`)
    return 2
  }
  const prefixes = args.filter((arg) => !arg.startsWith("-"))
  const files: Array<BenchFile> = []
  for (const file of globSync(["packages/*/bench/*.bench.ts", "test/bench/*.bench.ts"], { cwd: root }).toSorted()) {
    const cases = await child<ReadonlyArray<Declared>>(file, "declare", [])
    files.push({ file, cases: cases.filter(({ name }) => prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix))) })
  }
  const names = files.flatMap(({ cases }) => cases.map(({ name }) => name))
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new Error(`bench case ${twice} is declared in two files`)
  if (names.length === 0) {
    process.stderr.write(`no bench case begins with ${prefixes.join(" or ")}; --list shows the names\n`)
    return 2
  }
  if (args.includes("--list")) {
    process.stdout.write(`${names.join("\n")}\n`)
    return 0
  }
  mkdirSync(results, { recursive: true })
  const measured: Array<Result> = []
  for (const { cases, file } of files) {
    for (const group of groups(cases)) {
      for (const result of await measure(file, group)) {
        measured.push(result)
        writeFileSync(Path.join(results, `${result.name}.json`), `${JSON.stringify(result, undefined, 2)}\n`)
      }
    }
  }
  process.stdout.write(`${table(measured)}\n`)
  return measured.some((result) => verdict(result) === "MISSED") ? 1 : 0
}

const groups = (cases: ReadonlyArray<Declared>): ReadonlyArray<ReadonlyArray<Declared>> =>
  Object.values(Object.groupBy(cases, ({ name }) => name.split(".")[0]!)).filter((group) => group !== undefined)

const measure = async (file: string, group: ReadonlyArray<Declared>): Promise<ReadonlyArray<Result>> => {
  const names = group.map(({ name }) => name)
  const runs: Array<ReadonlyArray<ProcessResult>> = []
  for (let i = 1; i <= processes; i++) {
    process.stderr.write(`${names.join(" ")}: process ${i} of ${processes}\n`)
    runs.push(await child<ReadonlyArray<ProcessResult>>(file, "measure", names))
  }
  const versions = versionsOf(file)
  return group.map((declared) => {
    const mine = runs.flatMap((run) => run.filter(({ name }) => name === declared.name))
    const medians = mine.map((one) => one.median)
    const baselines = mine.flatMap((one) => one.baseline ?? [])
    const ratios = mine.flatMap((one) => one.ratio ?? [])
    return {
      name: declared.name,
      unit: declared.unit,
      median: rounded(median(medians)),
      runs: medians.map(rounded),
      baseline: declared.baseline === undefined ? undefined : { name: declared.baseline, median: rounded(median(baselines)) },
      ratio: ratios.length === 0 ? undefined : rounded(median(ratios)),
      budget: declared.budget,
      better: declared.better,
      must: declared.must,
      moonshot: declared.moonshot,
      versions,
      cpu: `${Os.cpus()[0]?.model ?? "unknown"} × ${Os.availableParallelism()}`,
      date: new Date().toISOString().slice(0, 10)
    }
  })
}

/** Node, Effect and every pinned package the bench file imports. */
const versionsOf = (file: string): Readonly<Record<string, string>> => {
  const text = readFileSync(Path.join(root, file), "utf8")
  const { devDependencies } = JSON.parse(readFileSync(Path.join(root, "package.json"), "utf8")) as {
    readonly devDependencies: Readonly<Record<string, string>>
  }
  const imported = Object.entries(devDependencies).filter(([name]) => name === "effect" || text.includes(`"${name}"`) || text.includes(`"${name}/`))
  return { node: process.versions.node, ...Object.fromEntries(imported) }
}

/** Runs one mode of this file in a fresh process and takes its answer over the IPC channel; what a bench prints goes to stderr. */
const child = <A>(file: string, mode: "declare" | "measure", names: ReadonlyArray<string>): Promise<A> =>
  new Promise((resolve, reject) => {
    const args = ["--conditions=source", "--expose-gc", "--no-warnings", import.meta.filename, "--child", mode, file, ...names]
    const started = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", 2, 2, "ipc"] })
    let answer: A | undefined
    started.on("message", (message) => {
      answer = message as A
    })
    started.on("error", reject)
    started.on("close", (code) => {
      if (code === 0 && answer !== undefined) resolve(answer)
      else reject(new Error(`${file}: the process that should ${mode} ${names.join(" ")} ended with code ${code}`))
    })
  })

const childMain = async (mode: string, file: string, names: ReadonlyArray<string>): Promise<void> => {
  const module = (await import(pathToFileURL(Path.join(root, file)).href)) as { readonly default: Declare }
  const answer = mode === "declare" ? (await collect(module.default)).map(declared) : await measureGroup(module.default, names)
  // A bench may leave timers or sockets behind: the answer is what the process was for.
  process.send!(answer, () => process.exit(0))
}

const declared = (one: Case): Declared => ({
  name: one.name,
  unit: one.unit,
  budget: one.budget ?? (one.baseline === undefined ? "value" : "ratio"),
  better: one.better ?? (one.unit.endsWith("/s") ? "higher" : "lower"),
  must: one.must,
  moonshot: one.moonshot,
  baseline: one.baseline?.name
})

const rounded = (value: number): number => Number(value.toPrecision(4))

const table = (all: ReadonlyArray<Result>): string => {
  const rows = [
    ["name", "unit", "subject", "baseline", "ratio", "must", "moonshot", "verdict", "against"],
    ...all.map((one) => {
      const bound = (value: number | undefined) => (value === undefined ? "" : one.budget === "value" ? `${value} ${one.unit}` : `${value} ×`)
      return [
        one.name,
        one.unit,
        String(one.median),
        String(one.baseline?.median ?? ""),
        one.ratio === undefined ? "" : `${one.ratio} ×`,
        bound(one.must),
        bound(one.moonshot),
        verdict(one),
        one.baseline?.name ?? ""
      ]
    })
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) => row.map((cell, column) => (isFigure(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!))).join("  ").trimEnd()).join("\n")
}

const isFigure = (column: number): boolean => column >= 2 && column <= 6

const [flag, mode, file, ...names] = process.argv.slice(2)
if (flag === "--child") {
  await childMain(mode!, file!, names)
} else {
  process.exitCode = await main(process.argv.slice(2))
}
