import { AlertRule, MetricDefinition, StandardMetrics } from "@effect-observability/core"
import { assert, describe, it } from "vitest"

const base = { name: "Errors", metric: "errors_total" }
const problemsOf = (input: unknown): ReadonlyArray<string> => {
  const problems: Array<{ readonly path: string; readonly message: string }> = []
  AlertRule.decodeRule(input, "alerting.rules.0", problems)
  return problems.map(({ path }) => path)
}

describe("an alert rule", () => {
  it("takes its condition from the words that are given, and fills in the rest", () => {
    assert.deepStrictEqual(AlertRule.make({ ...base, increase: "5 minutes", above: 10, clear: 5, for: "1 minute", labels: { status: { prefix: "5" } } }), {
      name: "Errors",
      metric: "errors_total",
      labels: { status: { prefix: "5" } },
      groupBy: [],
      condition: { kind: "threshold", figure: { of: "increase", window: 300_000 }, comparison: ">", threshold: 10, clear: 5 },
      for: 60_000,
      keepFor: 0,
      severity: "warning",
      summary: "",
      inhibitedBy: []
    })
    assert.deepStrictEqual(AlertRule.make({ ...base, absent: "10 minutes" }).condition, { kind: "absent", window: 600_000 })
    assert.deepStrictEqual(AlertRule.make({ ...base, quantile: 0.9, atLeast: 2, window: 60 }).condition, {
      kind: "threshold",
      figure: { of: "quantile", quantile: 0.9, window: 60_000 },
      comparison: ">=",
      threshold: 2,
      clear: undefined
    })
    const burn = AlertRule.make({ ...base, burnRate: { objective: 0.999, bad: { labels: { status: { prefix: "5" } } } } }).condition
    assert.deepStrictEqual(burn.kind === "burnRate" && burn.windows.map(({ factor, long, short }) => [long, short, factor]), [
      [3_600_000, 300_000, 14.4],
      [21_600_000, 1_800_000, 6]
    ])
  })

  it("names every field that is wrong, at once", () => {
    for (
      const [input, paths] of [
        [{}, ["name", "name", "metric"]],
        [{ ...base, last: true }, ["above"]],
        [{ ...base, above: 1 }, ["last"]],
        [{ ...base, last: true, above: 1, below: 2 }, ["below"]],
        [{ ...base, last: true, rate: "1 minute", above: 1 }, ["last"]],
        [{ ...base, last: true, above: 1, absent: "1 minute" }, ["name"]],
        [{ ...base, last: true, above: NaN }, ["above"]],
        [{ ...base, last: true, above: 1, clear: 2 }, ["clear"]],
        [{ ...base, last: true, below: 1, clear: 0 }, ["clear"]],
        [{ ...base, last: true, above: 1, window: 60 }, ["window"]],
        [{ ...base, quantile: 2, above: 1 }, ["quantile"]],
        [{ ...base, increase: -1, above: 1 }, ["increase"]],
        [{ ...base, last: true, above: 1, for: "soon" }, ["for"]],
        [{ ...base, last: true, above: 1, groupBy: ["le"] }, ["groupBy"]],
        [{ ...base, last: true, above: 1, labels: { "a b": "x", c: { in: [] } } }, ["labels.a b", "labels.c"]],
        [{ ...base, last: true, above: 1, severty: "info" }, ["severty"]],
        [{ ...base, name: "no spaces", last: true, above: 1 }, ["name"]],
        [{ ...base, metric: "a{b}", last: true, above: 1 }, ["metric"]],
        [{ ...base, burnRate: { objective: 1, bad: { labels: {} } } }, ["burnRate.bad.labels", "burnRate.objective"]],
        [{ ...base, burnRate: { objective: 0.9, bad: { above: 1 }, windows: [{ long: 60, short: 60, factor: 0 }] } }, [
          "burnRate.windows.0.factor", "burnRate.windows.0.short"
        ]]
      ] as const
    ) {
      assert.deepStrictEqual(problemsOf(input).toSorted(), paths.map((path) => `alerting.rules.0.${path}`).toSorted(), JSON.stringify(input))
    }
    assert.throws(() => AlertRule.make({ ...base, last: true, above: 1, clear: 2 }), /rule\.clear: must be at most the threshold 1/)
  })

  it("of a definition is its alertThreshold over the whole metric", () => {
    const rules = StandardMetrics.all.map(AlertRule.ofDefinition).filter((rule) => rule !== undefined)
    assert.deepStrictEqual(rules.map(({ name }) => name), ["ObsMetricsProcessingSecondsHigh", "ObsDroppedMetricsTotalHigh", "ObsConfigReloadFailuresTotalHigh"])
    const gauge = MetricDefinition.gauge("queue_depth", { help: "Jobs waiting", labelNames: ["queue"], alertThreshold: 7 })
    assert.deepStrictEqual(AlertRule.ofDefinition(gauge)?.condition, {
      kind: "threshold", figure: { of: "last" }, comparison: ">", threshold: 7, clear: undefined
    })
    assert.strictEqual(AlertRule.ofDefinition(StandardMetrics.CacheHits), undefined)
  })
})
