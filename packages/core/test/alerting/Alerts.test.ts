import {
  AlertHealth, AlertHistory, AlertRule, Alerts, AlertSinks, Diagnostics, Exporter, Health, Ledger, Memory, MemoryHistory, MetricDefinition, MetricsRecorder, StandardMetrics, Telemetry
} from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { recording } from "./support.ts"

const Depth = MetricDefinition.gauge("queue_depth", { help: "Jobs waiting", labelNames: ["queue"] })
const Orders = MetricDefinition.counter("orders_placed_total", { help: "Orders", labelNames: ["channel"], alertThreshold: 100 })
const Deep = AlertRule.make({ name: "QueueDeep", metric: Depth, groupBy: ["queue"], last: true, above: 10, clear: 5, for: "30 seconds" })

/** Sent, failed, waiting: nothing else may have happened to a notification. */
const balanced = Effect.gen(function*() {
  const telemetry = yield* Telemetry
  for (const report of telemetry.reports()) for (const { ledger } of report.signals) assert.isUndefined(Ledger.imbalance(ledger), report.name)
})

const composed = (options: Parameters<typeof Alerts.layer>[0]) => Alerts.layerBackend(options).pipe(Layer.provideMerge(MemoryHistory.layerBackend()), Layer.provideMerge(Memory.layer()))

describe("Alerts", () => {
  it.effect("an alert waits, fires, is told once, ends, and is in the history", () => {
    const sink = recording()
    return Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const alerts = yield* Alerts
      const seen = yield* Effect.forkChild(Stream.runCollect(Stream.take(alerts.changes, 2)), { startImmediately: true })
      yield* metrics.setGauge(Depth, 11, { queue: "mail" })
      yield* metrics.setGauge(Depth, 1, { queue: "print" })
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual((yield* alerts.list).map(({ labels, state, value }) => [labels["queue"], state, value]), [["mail", "pending", 11]])
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual((yield* alerts.list).map(({ state }) => state), ["firing"])
      // Between the two limits it goes on.
      yield* metrics.setGauge(Depth, 6, { queue: "mail" })
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(sink.sent.map(({ status }) => status), ["firing"])
      assert.strictEqual(yield* (yield* Memory.MemoryBackend).getGaugeValue(StandardMetrics.AlertsFiring, { alertname: "QueueDeep" }), 1)
      assert.deepStrictEqual((yield* (yield* Diagnostics).report).alerts.map(({ alertname }) => alertname), ["QueueDeep"])
      yield* metrics.setGauge(Depth, 5, { queue: "mail" })
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(sink.sent.map(({ alerts: [alert], status }) => [status, alert!.labels]), [
        ["firing", { alertname: "QueueDeep", severity: "warning", queue: "mail", service: "unknown_service", env: "dev" }],
        ["resolved", { alertname: "QueueDeep", severity: "warning", queue: "mail", service: "unknown_service", env: "dev" }]
      ])
      assert.deepStrictEqual([...yield* Fiber.join(seen)].map(({ state }) => state), ["firing", "resolved"])
      yield* (yield* Telemetry).flush
      const { events } = yield* (yield* AlertHistory).searchAlerts()
      assert.deepStrictEqual(events.map(({ alertname, state }) => [alertname, state]), [["QueueDeep", "resolved"], ["QueueDeep", "firing"]])
      assert.strictEqual(new Set(events.map(({ eventId }) => eventId)).size, 2)
      assert.deepStrictEqual(yield* alerts.list, [])
      yield* balanced
    }).pipe(Effect.provide(composed({ rules: [Deep], sinks: [sink] })))
  })

  it.effect("a rule may stand in the health report, in the group slo", () =>
    Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const health = yield* Health
      yield* metrics.setGauge(Depth, 1, { queue: "mail" })
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual((yield* health.check).groups["slo"]?.status, "up")
      yield* metrics.setGauge(Depth, 11, { queue: "mail" })
      yield* TestClock.adjust("1 minute")
      const report = yield* health.check
      assert.deepStrictEqual([report.groups["slo"]?.status, report.ready], ["degraded", true])
      yield* balanced
    }).pipe(Effect.provide(AlertHealth.layer(["QueueDeep"]).pipe(Layer.provideMerge(composed({ rules: [Deep], sinks: [recording()] }))))))

  it.effect("a definition's threshold is a rule", () => {
    const sink = recording()
    return Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      yield* metrics.incrementCounter(Orders, 60, { channel: "web" })
      yield* metrics.incrementCounter(Orders, 41, { channel: "app" })
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual((yield* (yield* Alerts).list).map(({ alertname, value }) => [alertname, value]), [["OrdersPlacedTotalHigh", 101]])
      yield* TestClock.adjust("6 minutes")
      assert.deepStrictEqual(sink.sent.map(({ status }) => status), ["firing", "resolved"])
      yield* balanced
    }).pipe(Effect.provide(composed({ sinks: [sink] })))
  })

  it.effect("silences and inhibitions keep people in peace, and what still fires is told afterwards", () => {
    const sink = recording()
    const rules = [Deep, AlertRule.make({ name: "QueueFull", metric: Depth, last: true, above: 100 }), AlertRule.make({ name: "QueueBusy", metric: Depth, last: true, above: 50, inhibitedBy: ["QueueFull"] })]
    return Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      const alerts = yield* Alerts
      const wrong = yield* Effect.flip(alerts.silence({ matchers: {}, endsAt: 1 }))
      assert.include(wrong.message, "matchers")
      assert.include((yield* Effect.flip(alerts.silence({ matchers: { queue: "mail" }, endsAt: -1 }))).message, "endsAt")
      yield* alerts.silence({ matchers: { alertname: "QueueDeep", queue: { prefix: "ma" } }, endsAt: 600_000 })
      yield* metrics.setGauge(Depth, 200, { queue: "mail" })
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(sink.sent.map(({ alertname }) => alertname), ["QueueFull"])
      const list = yield* alerts.list
      assert.strictEqual(list.find(({ alertname }) => alertname === "QueueBusy")?.inhibitedBy, "QueueFull")
      assert.isString(list.find(({ alertname }) => alertname === "QueueDeep")?.silencedBy)
      yield* metrics.setGauge(Depth, 60, { queue: "mail" })
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(sink.sent.slice(1).map(({ alertname, status }) => [alertname, status]).sort(), [["QueueBusy", "firing"], ["QueueFull", "resolved"]])
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(yield* alerts.silences, [])
      assert.deepStrictEqual(sink.sent.slice(3).map(({ alertname, status }) => [alertname, status]), [["QueueDeep", "firing"]])
      yield* balanced
    }).pipe(Effect.provide(composed({ rules, sinks: [sink] })))
  })

  it.effect("a sink that is away hears afterwards what is true then, and refusals are counted", () => {
    let away = true
    const sink = recording("away", () => away ? Exporter.unavailable("away") : undefined)
    const refusing = recording("refusing", () => Exporter.refused("no", "rejected:400", false))
    return Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      yield* metrics.setGauge(Depth, 11, { queue: "mail" })
      yield* TestClock.adjust("5 minutes")
      yield* metrics.setGauge(Depth, 0, { queue: "mail" })
      yield* metrics.setGauge(Depth, 12, { queue: "print" })
      yield* TestClock.adjust("5 minutes")
      away = false
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(sink.sent.map(({ alerts }) => alerts.map(({ labels, status }) => [labels["queue"], status])), [[["print", "firing"]]])
      const memory = yield* Memory.MemoryBackend
      assert.strictEqual(yield* memory.getCounterValue(StandardMetrics.AlertNotifications, { sink: "away", outcome: "sent" }), 1)
      assert.isAbove(yield* memory.getCounterValue(StandardMetrics.AlertNotifications, { sink: "away", outcome: "failed" }), 3)
      const dropped = yield* memory.getCounterValue(StandardMetrics.AlertNotifications, { sink: "refusing", outcome: "dropped" })
      assert.isAbove(dropped, 2)
      // At most one try a minute goes to who refuses.
      assert.isBelow(dropped, 16)
      yield* balanced
    }).pipe(Effect.provide(composed({ rules: [Deep], sinks: [sink, refusing] })))
  })

  it.effect.prop("however an alert flaps, a sink hears at most one notification a minute, and the last one is true", [Schema.Array(Schema.Boolean)], ([flaps]) => {
    const sink = recording()
    const rule = AlertRule.make({ name: "Flap", metric: Depth, last: true, above: 10 })
    return Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      for (const high of flaps) {
        yield* metrics.setGauge(Depth, high ? 20 : 0, { queue: "mail" })
        yield* TestClock.adjust("15 seconds")
      }
      assert.isAtMost(sink.sent.length, 1 + Math.ceil(flaps.length / 4))
      yield* TestClock.adjust("2 minutes")
      assert.isAtMost(sink.sent.length, 2 + Math.ceil(flaps.length / 4))
      assert.strictEqual(sink.sent.at(-1)?.status ?? "resolved", flaps.at(-1) === true ? "firing" : "resolved")
      // One beginning between two ends.
      sink.sent.forEach(({ status }, i) => assert.strictEqual(status, i % 2 === 0 ? "firing" : "resolved"))
      yield* balanced
    }).pipe(Effect.provide(composed({ rules: [rule], sinks: [sink] })), Effect.scoped)
  }, { arbitrary: { runs: 30 } })
})

describe("a sink's settings", () => {
  it("name the field and repeat no secret", () => {
    for (const url of ["ftp://x/s3cret", "s3cret", "https://u:s3cret@x/"]) {
      try {
        AlertSinks.webhook({ url: Redacted.make(url) })
        assert.fail(url)
      } catch (error) {
        assert.include(String(error), "webhook.url")
        assert.notInclude(String(error), "s3cret")
      }
    }
  })
})
