import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import type { Bench } from "../../../test/bench/Bench.ts"
import { openSink, type Sink } from "./support/sink.ts"

// Spans from a program to an agent (which takes and forgets), each side in processes of its own. Ours are spans of Effects, with all that running
// one costs; dd-trace's are made and ended by plain calls: a floor rather than a peer. It lies outside the lockfile: OUTSIDE_MODULES names
// the folder with it; without it our own figures stand alone.

const traces = 20_000
const outside = process.env["OUTSIDE_MODULES"] ?? ""
const there = outside !== "" && existsSync(Path.join(outside, "node_modules/dd-trace/package.json"))

interface Figures {
  /** Microseconds of processor time per span, and spans per second. */
  readonly cpu: number
  readonly rate: number
}

const run = (program: URL, port: number): Promise<Figures> =>
  new Promise((done, fail) => {
    const child = spawn(process.execPath, ["--conditions=source", fileURLToPath(program), String(port), String(traces)], { stdio: ["ignore", "pipe", "inherit"] })
    let out = ""
    child.stdout.on("data", (chunk) => out += String(chunk))
    child.on("exit", (code) => code === 0 ? done(JSON.parse(out) as Figures) : fail(new Error(`${program.pathname} ended with ${code}`)))
  })

export default (bench: Bench): void => {
  let sink: Sink | undefined
  const ours: Array<Figures> = []
  const theirs: Array<Figures> = []
  const setup = async (): Promise<void> => {
    if (sink !== undefined) return
    sink = await openSink()
  }
  const teardown = (): void => {
    sink?.close()
    sink = undefined
  }
  // One run gives both figures: the second case reads what the first measured.
  const next = async (list: Array<Figures>, program: URL): Promise<Figures> => {
    const made = await run(program, sink!.agentPort)
    list.push(made)
    return made
  }
  if (!there) process.stderr.write("datadog.export: dd-trace is missing (OUTSIDE_MODULES), so there is nothing to compare with\n")
  const baseline = <K extends keyof Figures>(key: K, fresh: boolean) =>
    there
      ? { baseline: { name: "dd-trace 6 startSpan … finish", run: async () => fresh ? (await next(theirs, new URL("./support/ddTraceSpans.cjs", import.meta.url)))[key] : theirs.at(-1)![key] } }
      : { budget: "value" as const }
  bench.measure({
    name: "datadog.export.cpu", unit: "us/span", samples: 3, setup, teardown, ...(there ? { moonshot: 1 } : {}), ...baseline("cpu", true),
    run: async () => (await next(ours, new URL("./support/ourSpans.ts", import.meta.url))).cpu
  })
  bench.measure({
    name: "datadog.export.rate", unit: "spans/s", samples: 3, setup, better: "higher", ...(there ? { moonshot: 1 } : {}), ...baseline("rate", false),
    run: () => ours.at(-1)!.rate
  })
}
