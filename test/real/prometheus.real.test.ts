import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Shop } from "../e2e/Shop.ts"

// Debian's Prometheus scrapes the demo. `.ci/run` installs it; here it must be there.

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { readonly port: number }
      server.close(() => resolve(port))
    })
  })

const eventually = async <A>(what: string, ask: () => Promise<A | undefined>, seconds = 60): Promise<A> => {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const answer = await ask().catch(() => undefined)
    if (answer !== undefined) return answer
    if (Date.now() > end) throw new Error(`waited ${seconds} s for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

/** A Prometheus of the test's own, scraping one target every second. */
class Prometheus {
  readonly dir = mkdtempSync(join(tmpdir(), "obs-prometheus-"))
  private readonly port: number
  private readonly child: ChildProcess
  private readonly ended: Promise<void>

  constructor(port: number, target: string) {
    this.port = port
    const config = join(this.dir, "prometheus.yml")
    writeFileSync(
      config,
      `global:\n  scrape_interval: 1s\n  external_labels: { owner: "${this.dir}" }\n` +
        `scrape_configs:\n  - job_name: shop\n    static_configs:\n      - targets: ["${target}"]\n`
    )
    this.child = spawn("prometheus", [`--config.file=${config}`, `--storage.tsdb.path=${join(this.dir, "data")}`, `--web.listen-address=127.0.0.1:${port}`], {
      stdio: "ignore"
    })
    this.ended = new Promise((resolve) => this.child.once("close", () => resolve()))
  }

  async get(path: string): Promise<any> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`)
    return response.json()
  }

  /** Whether the server that answers is the one started here. */
  async isOurs(): Promise<true | undefined> {
    const { data } = await this.get("/api/v1/status/config")
    return data.yaml.includes(this.dir) ? true : undefined
  }

  async value(query: string): Promise<number | undefined> {
    const { data } = await this.get(`/api/v1/query?query=${encodeURIComponent(query)}`)
    const sample = data.result[0]?.value[1]
    return sample === undefined ? undefined : Number(sample)
  }

  async dispose(): Promise<void> {
    this.child.kill("SIGTERM")
    await this.ended
    rmSync(this.dir, { recursive: true, force: true })
  }
}

describe("a real Prometheus", () => {
  let shop: Shop
  let prometheus: Prometheus
  let page: string

  beforeAll(async () => {
    shop = new Shop(["--requests", "500", "--hold"])
    const url = await shop.url()
    prometheus = new Prometheus(await freePort(), url.slice("http://".length))
    await eventually("our Prometheus", () => prometheus.isOurs())
    await shop.until(/All requests are answered/)
    page = await (await fetch(`${url}/metrics`)).text()
  })
  afterAll(async () => {
    await prometheus?.dispose()
    await shop?.dispose()
  })

  it("sees the demo up", async () => {
    assert.strictEqual(await eventually("up", () => prometheus.value("up{job=\"shop\"}")), 1)
    const { data } = await prometheus.get("/api/v1/targets")
    assert.deepStrictEqual(data.activeTargets.map((target: any) => [target.health, target.lastError]), [["up", ""]])
  })

  it("counts what the generator sent and PostgreSQL keeps", async () => {
    const [, sent] = /requests sent (\d+), answered 500, failed 0/.exec(shop.output)!
    const [, stored] = /on the Prometheus page, (\d+) in PostgreSQL/.exec(shop.output)!
    const scraped = await eventually("500 requests", async () => {
      const value = await prometheus.value("sum(http_requests_total)")
      return value === 500 ? value : undefined
    })
    assert.deepStrictEqual([Number(sent), Number(stored), scraped], [500, 500, 500])
  })

  it("reads quantiles from the histogram", async () => {
    const p95 = await eventually("a quantile", () =>
      prometheus.value("histogram_quantile(0.95, sum by (le) (http_request_duration_seconds_bucket{path=\"/reports/turnover\"}))"))
    assert.isAbove(p95, 0.05)
    assert.isBelow(p95, 2.5)
  })

  it("promtool finds nothing to refuse on the page", () => {
    const { status, stderr, stdout } = spawnSync("promtool", ["check", "metrics"], { input: page, encoding: "utf8" })
    // 3 is lint: an opinion, not a parse error.
    assert.include([0, 3], status, stdout + stderr)
  })
})
