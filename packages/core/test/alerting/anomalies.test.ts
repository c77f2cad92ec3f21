import { Alerts, AnomalyRule, Ledger, MetricDefinition, MetricsRecorder, Telemetry } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { measure } from "./measureAnomalies.ts"
import { recording } from "./support.ts"

const Depth = MetricDefinition.gauge("queue_depth", { help: "Jobs waiting", labelNames: ["queue"] })

describe("anomalies", () => {
  it("precision and recall on labelled series stay above 0.9", () => {
    const { all, precision, recall } = measure(8)
    assert.isAbove(all.all, 15)
    assert.isAtLeast(precision, 0.9)
    assert.isAtLeast(recall, 0.9)
  }, 60_000)

  it.effect("are alerts that say what was expected, what was seen and since when", () => {
    const sink = recording()
    const rule = AnomalyRule.make({ name: "DepthUnusual", metric: "queue_depth", groupBy: ["queue"], last: true })
    return Effect.gen(function*() {
      const metrics = yield* MetricsRecorder
      for (let i = 0; i < 4 * 96; i++) {
        yield* metrics.setGauge(Depth, 100 + 50 * Math.sin((2 * Math.PI * i) / 96) + (i % 3), { queue: "mail" })
        yield* TestClock.adjust("15 minutes")
      }
      assert.deepStrictEqual(sink.sent, [])
      yield* metrics.setGauge(Depth, 0, { queue: "mail" })
      yield* TestClock.adjust("30 minutes")
      const [alert] = sink.sent[0]!.alerts
      assert.deepStrictEqual([alert!.alertname, alert!.origin, alert!.labels["queue"], alert!.value], ["DepthUnusual", "anomaly", "mail", 0])
      assert.match(alert!.description ?? "", /queue_depth \(last\) is 0, expected \d+\.?\d* to \d+\.?\d* at this time of the day, .* since 1970-01-05T/)
      for (const { name, signals } of (yield* Telemetry).reports()) for (const { ledger } of signals) assert.isUndefined(Ledger.imbalance(ledger), name)
    }).pipe(Effect.provide(Alerts.layer({ anomalies: [rule], sinks: [sink], interval: "15 minutes" })))
  })

  it("a rule that makes no sense names the field", () => {
    assert.throws(() => AnomalyRule.make({ name: "X", metric: "m", last: true, sensitivity: 1 }), /rule.sensitivity/)
    assert.throws(() => AnomalyRule.make({ name: "X", metric: "m", last: true, season: "year" as never }), /rule.season/)
    assert.throws(() => AnomalyRule.make({ name: "X", metric: "m" }), /one figure/)
  })
})
