import { Exposition, MetricsRecorder, Telemetry } from "@effect-observability/core"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as fc from "fast-check"
import { spawnSync } from "node:child_process"
import { createServer, type Server } from "node:http"
import { eventually, PrometheusServer } from "../../../test/tools/realServers.ts"
import { Prometheus } from "../src/index.ts"
import { differences, expectedSamples, type HostileMetric, hostileMetric, record, sampleKey } from "./support/hostile.ts"
import { parseOpenMetrics } from "./support/parseOpenMetrics.ts"

const batches = 20
const perBatch = 5_000

interface Batch {
  readonly text: string
  readonly openMetrics: string
  readonly expected: ReadonlyMap<string, number>
}

/** Records a batch into a hub of its own, inside a sampled span so that there are exemplars, and renders both pages. */
const batchOf = (number: number, hostile: ReadonlyArray<HostileMetric>): Promise<Batch> =>
  Effect.gen(function*() {
    const metrics = yield* MetricsRecorder
    const { register, store } = yield* Telemetry
    yield* register({ name: "spans", kind: "test", onSpan: () => {}, report: () => ({ name: "spans", kind: "test", status: "up", reason: undefined, signals: [] }) })
    metrics.setGaugeUnsafe("fuzz_batch", number)
    yield* Effect.withSpan(Effect.sync(() => hostile.forEach((one) => record(metrics, one))), "fuzz")
    const exposition = yield* Exposition
    const { body: text } = yield* exposition.page
    const { body } = yield* exposition.render("application/openmetrics-text")
    const openMetrics = yield* Stream.mkString(Stream.decodeText(body))
    return { text, openMetrics, expected: expectedSamples(store) }
  }).pipe(Effect.provide(Prometheus.layer({ targetInfo: false, createdTimestamps: number % 2 === 0 })), Effect.scoped, Effect.runPromise)

/** Most names are made unique, so that there are families enough; hostile ones stay as they are. */
const distinct = (metric: HostileMetric, i: number): HostileMetric =>
  /^[a-z][a-z0-9_]*$/.test(metric.name) && i % 10 !== 0 ? { ...metric, name: `f${i}_${metric.name}` } : metric

/** What Prometheus makes itself. */
const ownNames = /^(up|scrape_.*|obs_.*)$/

describe(`${batches * perBatch} hostile families`, () => {
  let page = "# EOF\n"
  let server: Server
  let target: string
  let prometheus: PrometheusServer

  beforeAll(async () => {
    server = createServer((_, response) => {
      response.writeHead(200, { "content-type": "application/openmetrics-text; version=1.0.0; charset=utf-8" })
      response.end(page)
    })
    const port = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as { readonly port: number }).port))
    })
    target = `127.0.0.1:${port}`
    prometheus = await PrometheusServer.start({ job: "fuzz", target, interval: "1s", honorLabels: true })
  })
  afterAll(async () => {
    await prometheus?.dispose()
    server?.closeAllConnections()
    server?.close()
  })

  it("are read by promtool and by a Prometheus, every value and exemplar of them", async () => {
    let families = 0
    let samples = 0
    let exemplars = 0
    for (let number = 1; number <= batches; number++) {
      const seed = number * 7919
      const hostile = fc.sample(hostileMetric, { numRuns: perBatch, seed }).map(distinct)
      const batch = await batchOf(number, hostile)
      const why = `seed ${seed}`

      const { status, stderr, stdout } = spawnSync("promtool", ["check", "metrics"], { input: batch.text, encoding: "utf8", maxBuffer: 256 * 1024 * 1024 })
      // 3 is lint: an opinion, not a parse error.
      assert.include([0, 3], status, `${why}: ${(stderr + stdout).slice(0, 2_000)}`)

      page = batch.openMetrics
      await eventually(`the scrape of batch ${number} (${why})`, async () => await prometheus.value("fuzz_batch") === number ? true : undefined, 60, 100)
      const found = new Map<string, number>()
      for (const { labels: { __name__, ...labels }, value } of await prometheus.query("{__name__=~\".+\"}")) {
        if (!ownNames.test(__name__!)) found.set(sampleKey(__name__!, labels), value)
      }
      const expected = new Map<string, number>()
      for (const [key, value] of batch.expected) {
        const [name, labels] = JSON.parse(key) as [string, ReadonlyArray<[string, string]>]
        if (!ownNames.test(name)) expected.set(sampleKey(name, { job: "fuzz", instance: target, ...Object.fromEntries(labels) }), value)
      }
      const parsed = parseOpenMetrics(batch.openMetrics)
      for (const { family, labels, name, value } of parsed.samples) {
        const created = name === `${family}_created` && ["counter", "histogram", "summary"].includes(parsed.types.get(family)!)
        if (created && !ownNames.test(name)) expected.set(sampleKey(name, { job: "fuzz", instance: target, ...Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== "")) }), value)
      }
      assert.deepStrictEqual(differences(expected, found), [], why)
      const traces = new Set(parsed.samples.flatMap(({ exemplar }) => exemplar === undefined ? [] : [exemplar.labels["trace_id"]]))
      const given = parsed.samples.filter(({ exemplar }) => exemplar !== undefined)
      const read = (await prometheus.exemplars("{__name__=~\".+\"}"))
        .flatMap((series) => series.exemplars)
        .filter(({ labels }) => traces.has(labels["trace_id"]))
      const sorted = (values: ReadonlyArray<number>) => values.map((value) => value + 0).sort((a, b) => a - b)
      assert.deepStrictEqual(sorted(read.map(({ value }) => Number(value))), sorted(given.map(({ exemplar }) => exemplar!.value)), why)
      families += parsed.types.size
      samples += expected.size
      exemplars += read.length
    }
    console.log(`${families} families, ${samples} samples and ${exemplars} exemplars read back`)
    assert.isAbove(families, batches * perBatch / 2)
    assert.isAbove(exemplars, batches * perBatch / 20)
    // About a minute on two cores that nobody else wants.
  }, 600_000)
})
