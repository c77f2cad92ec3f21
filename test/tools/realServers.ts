import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

// Debian's Prometheus and Pushgateway as children of a test: on a free port of 127.0.0.1, with data of their own.

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { readonly port: number }
      server.close(() => resolve(port))
    })
  })

/** Asks again and again until the answer is not `undefined`. */
export const eventually = async <A>(what: string, ask: () => Promise<A | undefined>, seconds = 60, every = 200): Promise<A> => {
  const end = Date.now() + seconds * 1000
  let last: unknown = "no answer"
  for (;;) {
    const answer = await ask().catch((error: unknown) => void (last = error))
    if (answer !== undefined) return answer
    if (Date.now() > end) throw new Error(`waited ${seconds} s for ${what}: ${String(last)}`)
    await new Promise((resolve) => setTimeout(resolve, every))
  }
}

class Server {
  readonly dir: string
  readonly port: number
  private readonly child: ChildProcess
  private readonly ended: Promise<void>

  constructor(program: string, port: number, dir: string, flags: ReadonlyArray<string>) {
    this.port = port
    this.dir = dir
    this.child = spawn(program, [`--web.listen-address=127.0.0.1:${port}`, ...flags], { stdio: "ignore" })
    this.ended = new Promise((resolve) => {
      this.child.once("error", () => resolve())
      this.child.once("close", () => resolve())
    })
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async get(path: string): Promise<any> {
    const response = await fetch(`${this.url}${path}`)
    return response.json()
  }

  async dispose(): Promise<void> {
    this.child.kill("SIGTERM")
    await this.ended
    rmSync(this.dir, { recursive: true, force: true })
  }
}

const temporary = () => mkdtempSync(join(tmpdir(), "obs-real-"))

export interface Scrape {
  readonly job: string
  /** `host:port`. */
  readonly target: string
  readonly interval?: string
  /** Whether the page's own `job` and `instance` labels are kept. */
  readonly honorLabels?: boolean
  /** More targets, each a job of its own. */
  readonly beside?: ReadonlyArray<{ readonly job: string; readonly target: string }>
  /** Rule files by name; evaluated as often as targets are scraped. */
  readonly rules?: Readonly<Record<string, string>>
}

/** A Prometheus that scrapes one target, every second unless told otherwise. */
export class PrometheusServer extends Server {
  /** Returns when the server answers and is seen to be the one started here. */
  static async start({ beside = [], honorLabels = false, interval = "1s", job, rules = {}, target }: Scrape): Promise<PrometheusServer> {
    const dir = temporary()
    const config = join(dir, "prometheus.yml")
    writeFileSync(
      config,
      `global:\n  scrape_interval: ${interval}\n  scrape_timeout: ${interval}\n  evaluation_interval: ${interval}\n  external_labels: { owner: "${dir}" }\n` +
        `rule_files: ${JSON.stringify(Object.keys(rules).map((name) => join(dir, name)))}\nscrape_configs:\n` +
        [{ job, target }, ...beside].map((one) => `  - job_name: ${one.job}\n    honor_labels: ${honorLabels}\n    static_configs:\n      - targets: ["${one.target}"]\n`).join("")
    )
    for (const [name, content] of Object.entries(rules)) writeFileSync(join(dir, name), content)
    const flags = [`--config.file=${config}`, `--storage.tsdb.path=${join(dir, "data")}`, "--enable-feature=exemplar-storage"]
    const server = new PrometheusServer("prometheus", await freePort(), dir, flags)
    await eventually("our Prometheus", async () => {
      const { data } = await server.get("/api/v1/status/config")
      return data.yaml.includes(dir) ? true : undefined
    })
    return server
  }

  /** All samples a query finds, with the value as a number. */
  async query(query: string): Promise<ReadonlyArray<{ readonly labels: Readonly<Record<string, string>>; readonly value: number }>> {
    const { data } = await this.get(`/api/v1/query?query=${encodeURIComponent(query)}`)
    return data.result.map(({ metric, value: [, text] }: any) => ({ labels: metric, value: text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text) }))
  }

  async value(query: string): Promise<number | undefined> {
    return (await this.query(query))[0]?.value
  }

  /** The exemplars of the last hour, of all series a selector finds. */
  async exemplars(selector: string): Promise<ReadonlyArray<{ readonly seriesLabels: Record<string, string>; readonly exemplars: ReadonlyArray<{ readonly labels: Record<string, string>; readonly value: string; readonly timestamp: number }> }>> {
    const now = Date.now() / 1000
    const { data } = await this.get(`/api/v1/query_exemplars?query=${encodeURIComponent(selector)}&start=${now - 3600}&end=${now + 3600}`)
    return data
  }
}

/** A Pushgateway that keeps what it has in memory. */
export class PushgatewayServer extends Server {
  static async start(): Promise<PushgatewayServer> {
    const dir = temporary()
    const file = join(dir, "unused")
    const server = new PushgatewayServer("prometheus-pushgateway", await freePort(), dir, ["--web.enable-admin-api", `--persistence.file=${file}`])
    await eventually("our Pushgateway", async () => {
      const { data } = await server.get("/api/v1/status")
      return data.flags["persistence.file"] === file ? true : undefined
    })
    return server
  }

  /** What it holds: each group's labels and its metrics by name. */
  async groups(): Promise<ReadonlyArray<Record<string, any> & { readonly labels: Record<string, string> }>> {
    return (await this.get("/api/v1/metrics")).data
  }

  /** Everything it would show to a scrape. */
  async page(): Promise<string> {
    return (await fetch(`${this.url}/metrics`)).text()
  }
}
