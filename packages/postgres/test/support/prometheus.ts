import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"

/** One series of an answer: labels and `[seconds, value]`. */
export interface PrometheusSeries {
  readonly metric: Readonly<Record<string, string>>
  readonly values: ReadonlyArray<readonly [number, string]>
}

export interface Prometheus {
  /** Seconds. */
  readonly queryRange: (query: string, start: number, end: number, step: number) => Effect.Effect<ReadonlyArray<PrometheusSeries>>
  /** Bytes of its blocks. */
  readonly blockBytes: () => number
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = Net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as Net.AddressInfo
      server.close(() => resolve(port))
    })
  })

/**
 * A real Prometheus server over blocks that `promtool` made of OpenMetrics text; stopped, and its folder removed, with the scope.
 * A value is looked for `lookback` back, in Prometheus's words.
 */
export const startPrometheus = (openMetrics: Iterable<string>, lookback: string): Effect.Effect<Prometheus, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const dir = Fs.mkdtempSync(Path.join(Os.tmpdir(), "obs-prometheus-"))
        const input = Path.join(dir, "samples.om")
        const file = Fs.openSync(input, "w")
        for (const part of openMetrics) Fs.writeSync(file, part)
        Fs.closeSync(file)
        const made = spawnSync("promtool", ["tsdb", "create-blocks-from", "openmetrics", "--quiet", input, Path.join(dir, "data")], { encoding: "utf8" })
        if (made.status !== 0) throw new Error(`promtool: ${made.error?.message ?? made.stderr}`)
        Fs.rmSync(input)
        const config = Path.join(dir, "prometheus.yml")
        Fs.writeFileSync(config, `global:\n  external_labels: { owner: "${dir}" }\n`)
        const port = await freePort()
        const child = spawn("prometheus", [
          `--config.file=${config}`, `--storage.tsdb.path=${Path.join(dir, "data")}`, "--storage.tsdb.retention.time=30y",
          `--web.listen-address=127.0.0.1:${port}`, `--query.lookback-delta=${lookback}`, "--log.level=error"
        ], { stdio: "ignore" })
        await isOurs(port, dir, child)
        return { dir, port, child }
      }),
      ({ child, dir }) =>
        Effect.promise(async () => {
          if (child.exitCode === null) {
            const ended = new Promise((resolve) => child.once("close", resolve))
            child.kill("SIGTERM")
            await ended
          }
          Fs.rmSync(dir, { recursive: true, force: true })
        })
    ),
    ({ dir, port }) => ({
      queryRange: (query, start, end, step) =>
        Effect.promise(async () => {
          const response = await fetch(`http://127.0.0.1:${port}/api/v1/query_range`, {
            method: "POST",
            body: new URLSearchParams({ query, start: String(start), end: String(end), step: String(step) })
          })
          const answer = await response.json() as { readonly status: string; readonly error?: string; readonly data: { readonly result: ReadonlyArray<PrometheusSeries> } }
          if (answer.status !== "success") throw new Error(`${query}: ${answer.error}`)
          return answer.data.result
        }),
      blockBytes: () => sizeOf(Path.join(dir, "data"))
    })
  )

/** Waits until the server that answers is the one started here. */
const isOurs = async (port: number, dir: string, child: ChildProcess): Promise<void> => {
  for (let tries = 0; tries < 600; tries++) {
    if (child.exitCode !== null) throw new Error(`prometheus ended with ${child.exitCode}`)
    const ready = await fetch(`http://127.0.0.1:${port}/-/ready`).then((response) => response.ok, () => false)
    if (ready) {
      const config = await fetch(`http://127.0.0.1:${port}/api/v1/status/config`).then((response) => response.json()) as { readonly data: { readonly yaml: string } }
      if (config.data.yaml.includes(dir)) return
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error("prometheus did not come up")
}

/** Of the blocks alone: the folders whose names are ULIDs. */
const sizeOf = (data: string): number =>
  Fs.readdirSync(data, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && /^[0-9A-Z]{26}$/.test(entry.name))
    .flatMap((entry) => Fs.readdirSync(Path.join(data, entry.name), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + Fs.statSync(Path.join(entry.parentPath, entry.name)).size, 0)
