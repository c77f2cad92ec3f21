import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { Shop } from "../e2e/Shop.ts"
import { eventually, PrometheusServer } from "../tools/realServers.ts"

// Debian's Prometheus scrapes the demo. `.ci/run` installs it; here it must be there.

describe("a real Prometheus", () => {
  let shop: Shop
  let prometheus: PrometheusServer
  let page: string

  beforeAll(async () => {
    shop = new Shop(["--requests", "500", "--hold"])
    const url = await shop.url()
    prometheus = await PrometheusServer.start({ job: "shop", target: url.slice("http://".length) })
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

  it("sees what the process itself does", async () => {
    for (const query of ["process_cpu_seconds_total", "nodejs_heap_size_used_bytes", "sum(effect_fibers_ended_total)"]) {
      assert.isAbove(await eventually(query, () => prometheus.value(query)), 0)
    }
  })

  it("promtool finds nothing to refuse on the page", () => {
    const { status, stderr, stdout } = spawnSync("promtool", ["check", "metrics"], { input: page, encoding: "utf8" })
    // 3 is lint: an opinion, not a parse error.
    assert.include([0, 3], status, stdout + stderr)
  })
})
