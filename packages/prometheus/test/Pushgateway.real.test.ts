import { Ledger, MetricDefinition, MetricsRecorder, Telemetry } from "@effect-observability/core"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { eventually, PrometheusServer, PushgatewayServer } from "../../../test/tools/realServers.ts"
import { Pushgateway } from "../src/index.ts"

describe("a real Pushgateway", () => {
  let server: PushgatewayServer
  beforeAll(async () => {
    server = await PushgatewayServer.start()
  })
  afterAll(() => server?.dispose())

  type Options = Omit<Pushgateway.PushgatewayOptions, "url">

  const run = <A, E>(program: Effect.Effect<A, E, MetricsRecorder | Telemetry>, options: Options): Promise<A> =>
    program.pipe(Effect.provide(Layer.fresh(Pushgateway.layerOnClose({ url: server.url, ...options }))), Effect.scoped, Effect.runPromise)

  const count = (name: string, n: number, labels: Record<string, string> = {}) => Effect.flatMap(MetricsRecorder, (metrics) => metrics.incrementCounter(name, n, labels))
  const flush = Effect.flatMap(Telemetry, (telemetry) => telemetry.flush)
  const report = Effect.map(Telemetry, (telemetry) => {
    const report = telemetry.reports().find(({ kind }) => kind === "pushgateway")!
    assert.isUndefined(Ledger.imbalance(report.signals[0]!.ledger))
    return { ...report, ledger: report.signals[0]!.ledger }
  })
  const ask = <A>(question: () => Promise<A>) => Effect.promise(question)
  const group = async (job: string) => (await server.groups()).find(({ labels }) => labels["job"] === job)
  const value = async (job: string, name: string) => (await group(job))?.[name]?.metrics[0].value

  it("takes a push, replaces the group by the next, and lets it go with the scope", async () => {
    await run(
      Effect.gen(function*() {
        yield* count("first_total", 2)
        yield* flush
        assert.strictEqual(yield* ask(() => value("cycle", "first_total")), "2")
        yield* count("first_total", 3)
        yield* flush
        assert.strictEqual(yield* ask(() => value("cycle", "first_total")), "5")
        assert.deepStrictEqual((yield* report).ledger.exported, 2)
      }),
      { job: "cycle", groupingKey: { instance: "one" }, deleteOnClose: true }
    )
    assert.isUndefined(await group("cycle"))
  })

  it("keeps what a batch job pushed at its end, and a second run replaces it", async () => {
    await run(count("first_total", 1), { job: "batch" })
    await run(count("second_total", 1), { job: "batch" })
    assert.deepStrictEqual([await value("batch", "first_total"), await value("batch", "second_total")], [undefined, "1"])
    await run(count("third_total", 1), { job: "batch", method: "pushAdd" })
    assert.deepStrictEqual([await value("batch", "second_total"), await value("batch", "third_total")], ["1", "1"])
  })

  it("refuses what is inconsistent: a counted, explained failure, and the group is right again afterwards", async () => {
    // The grouping key replaces the label that tells these two apart.
    const Clashing = MetricDefinition.counter("clashing_total", { help: "Clash", labelNames: ["zone"] })
    await run(
      Effect.gen(function*() {
        yield* count("good_total", 1)
        yield* flush
        yield* (yield* MetricsRecorder).incrementCounter(Clashing, 1, { zone: "a" })
        yield* (yield* MetricsRecorder).incrementCounter(Clashing, 1, { zone: "b" })
        yield* flush
        const { ledger, reason, status } = yield* report
        assert.deepStrictEqual([ledger.exported, ledger.dropped], [1, { "rejected:400": 1 }])
        assert.strictEqual(status, "degraded")
        assert.match(reason!, /400, the metrics do not fit what it holds.*(clashing_total|inconsistent)/)
        assert.strictEqual(yield* ask(() => value("clash", "good_total")), "1")
        const { store } = yield* Telemetry
        const dropped = store.family("obs_dropped_metrics_total")!
        assert.deepStrictEqual(dropped.series.map((series) => [series.labelValues[2], dropped.value(series)]), [["rejected:400", 1]])
      }),
      { job: "clash", groupingKey: { zone: "z" } }
    )
    await run(Effect.andThen(count("good_total", 7), flush), { job: "clash", groupingKey: { zone: "z" } })
    assert.strictEqual(await value("clash", "good_total"), "7")
    assert.isUndefined(await value("clash", "clashing_total"))
  })

  it("keeps hostile job names and labels to their own group", async () => {
    const hostile = ["../../admin", "..", "a/b", "job@base64/x", "@base64", "%2e%2e%2f", "x?y#z", "a b", "请求\u202e", "\"} 1\nevil 1"]
    for (const [i, job] of hostile.entries()) {
      await run(count("hostile_total", i + 1), { job, groupingKey: { empty: "", path: job } })
      assert.strictEqual(await value(job, "hostile_total"), String(i + 1), job)
      assert.deepInclude((await group(job))!.labels, { job, path: job })
    }
    assert.notInclude(await server.page(), "\nevil")
    for (const job of hostile) {
      await run(count("hostile_total", 1), { job, groupingKey: { empty: "", path: job }, deleteOnClose: true })
      assert.isUndefined(await group(job), job)
    }
  })

  it("is scraped by a Prometheus, which sees the push under its own labels", async () => {
    await run(count("scraped_total", 11, { kind: "x" }), { job: "scraped", groupingKey: { instance: "me" } })
    const prometheus = await PrometheusServer.start({ job: "pushgateway", target: server.url.slice("http://".length), honorLabels: true })
    try {
      const [sample] = await eventually("the pushed counter", async () => {
        const found = await prometheus.query("scraped_total")
        return found.length > 0 ? found : undefined
      })
      assert.deepInclude(sample!.labels, { job: "scraped", instance: "me", kind: "x" })
      assert.strictEqual(sample!.value, 11)
    } finally {
      await prometheus.dispose()
    }
  })
})
