import { AlertRule, Alerts, Exposition, Ledger, MetricDefinition, MetricsRecorder, Telemetry } from "@effect-observability/core"
import { Prometheus } from "@effect-observability/prometheus"
import { assert, it } from "@effect/vitest"
import { Generate } from "effect-observability/generate"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Yaml from "effect/encoding/Yaml"
import { TestClock } from "effect/testing"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

// The same samples through the evaluator in the process and, by Debian's promtool, through Prometheus with the generated rules: alerts fire
// over the same intervals. Tolerance: one evaluation (15 s) at each edge, and from when the longest window is full (before, Prometheus
// extrapolates). No limit lies where figures of the samples lie exactly: there the last bit decides.

const step = 15
const steps = 200

const Orders = MetricDefinition.counter("orders_total", { help: "Orders", labelNames: ["channel", "status"] })
const Depth = MetricDefinition.gauge("depth", { help: "Depth", labelNames: ["queue", "shard"] })
const Open = MetricDefinition.upDownCounter("sessions_open", { help: "Sessions", labelNames: ["region"] })
const Took = MetricDefinition.histogram("took_seconds", { help: "Took", unit: "seconds", labelNames: ["route"], buckets: [0.1, 0.5, 1, 5] })

const Render = MetricDefinition.summary("render_seconds", { help: "Render", unit: "seconds", labelNames: ["route"], objectives: { "0.5": 0.01, "0.9": 0.01 }, maxAge: 120 })

const rules: ReadonlyArray<AlertRule.AlertRule> = [
  AlertRule.make({ name: "IncreaseAbove", metric: Orders, groupBy: ["channel"], increase: "5 minutes", above: 100, for: "30 seconds" }),
  AlertRule.make({ name: "IncreaseWhole", metric: Orders, labels: { channel: { neq: "app" } }, increase: "2 minutes", atLeast: 45 }),
  AlertRule.make({ name: "IncreaseBelow", metric: Orders, groupBy: ["channel"], increase: "3 minutes", below: 20, keepFor: "45 seconds" }),
  AlertRule.make({ name: "RateAbove", metric: Orders, rate: "4 minutes", above: 0.8, keepFor: "1 minute" }),
  AlertRule.make({ name: "LastMost", metric: Depth, groupBy: ["queue"], last: true, above: 60, clear: 30, for: "1 minute" }),
  AlertRule.make({ name: "LastLeast", metric: Depth, last: true, atMost: 10, for: "30 seconds", keepFor: "30 seconds" }),
  AlertRule.make({ name: "SumAbove", metric: Open, last: true, above: 90 }),
  AlertRule.make({ name: "QuantileAbove", metric: Took, groupBy: ["route"], quantile: 0.9, window: "3 minutes", above: 0.8 }),
  AlertRule.make({ name: "QuantileBelow", metric: Took, quantile: 0.5, window: "2 minutes", below: 0.31 }),
  // Of a summary only what the page says is known: the figure of its own window, whatever the rule's.
  AlertRule.make({ name: "SummaryAbove", metric: Render, groupBy: ["route"], quantile: 0.9, above: 0.8 }),
  AlertRule.make({ name: "SummaryBelow", metric: Render, quantile: 0.5, below: 0.31, for: "30 seconds" }),
  AlertRule.make({ name: "RenderFew", metric: Render, groupBy: ["route"], rate: "3 minutes", below: 0.25 }),
  AlertRule.make({ name: "CounterStopped", metric: Orders, groupBy: ["channel"], absent: "3 minutes" }),
  AlertRule.make({ name: "GaugeGone", metric: Depth, labels: { queue: { prefix: "g" } }, absent: "2 minutes", for: "30 seconds" }),
  AlertRule.make({ name: "BurnLabels", metric: Orders, burnRate: { objective: 0.9, bad: { labels: { status: { prefix: "5" } } }, windows: [{ long: "10 minutes", short: "2 minutes", factor: 3 }, { long: "5 minutes", short: "1 minute", factor: 5 }] } }),
  AlertRule.make({ name: "BurnSlow", metric: Took, burnRate: { objective: 0.8, bad: { above: 0.5 }, windows: [{ long: "8 minutes", short: "2 minutes", factor: 2.03 }] } })
]
const warm = 10 * 60 / step

/** Numbers from a seed, the same every time (mulberry32). */
const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

type Labels = Record<string, string>

/** A level that jumps now and then. */
const levels = (next: () => number, most: number): ReadonlyArray<number> => {
  let level = 0
  let left = 0
  return Array.from({ length: steps + 1 }, () => {
    if (left-- <= 0) {
      level = next() < 0.3 ? 0 : Math.round(next() * most)
      left = 8 + Math.floor(next() * 30)
    }
    return level
  })
}

const dir = mkdtempSync(join(tmpdir(), "obs-replay-"))
const alerts = Generate.files({ definitions: [Orders, Depth, Open, Took, Render], rules }).find(({ path }) => path === "prometheus/alerts.yml")!.content
const generated: any = Yaml.parse(alerts)

const replay = (seed: number) =>
  Effect.gen(function*() {
    const next = random(seed)
    const recorder = yield* MetricsRecorder
    const service = yield* Alerts
    const samples = new Map<string, Array<string>>()
    const show = (name: string, labels: Labels) => `${name}{${Object.entries(labels).map(([label, value]) => `${label}="${value}"`).join(", ")}}`
    const put = (name: string, labels: Labels, value: number | undefined) => {
      const key = show(name, labels)
      const values = samples.get(key) ?? []
      if (values.length === 0) samples.set(key, values)
      // What goes from a page is marked stale once.
      values.push(value !== undefined ? String(value) : values.length > 0 && /^[0-9]/.test(values.at(-1)!) ? "stale" : "_")
    }
    const counters = ["web", "app"].flatMap((channel) => ["200", "500"].map((status) => ({ labels: { channel, status }, rates: levels(next, status === "500" ? 8 : 14), total: 0 })))
    const gauges = [["mail", "1"], ["mail", "2"], ["gate", "1"]].map(([queue, shard]) => ({ labels: { queue: queue!, shard: shard! }, levels: levels(next, 100), gone: levels(next, 10) }))
    const open = ["eu", "us"].map((region) => ({ labels: { region }, levels: levels(next, 80), now: 0 }))
    const took = ["a", "b"].map((route) => ({ labels: { route }, mixes: levels(next, 10), buckets: [0, 0, 0, 0, 0], sum: 0 }))
    const renders = ["a", "b"].map((route) => ({ route, mixes: levels(next, 10), pace: levels(next, 10) }))
    const exposition = yield* Exposition
    const record = (k: number): ReadonlyArray<Labels> => {
      const ended: Array<Labels> = []
      for (const one of counters) {
        const by = k === 0 ? 0 : one.rates[k]!
        one.total += by
        recorder.incrementCounterUnsafe(Orders, by, one.labels)
        put("orders_total", one.labels, one.total)
      }
      for (const { gone, labels, levels } of gauges) {
        const absent = labels.queue === "gate" && gone[k]! > 5
        if (absent) ended.push(labels)
        else recorder.setGaugeUnsafe(Depth, levels[k]!, labels)
        put("depth", labels, absent ? undefined : levels[k]!)
      }
      for (const one of open) {
        recorder.incrementCounterUnsafe(Open, one.levels[k]! - one.now, one.labels)
        one.now = one.levels[k]!
        put("sessions_open", one.labels, one.now)
      }
      for (const one of took) {
        // Ten a step; the mix says how many of them are slow.
        for (let i = 0; k > 0 && i < 10; i++) {
          const value = i < one.mixes[k]! ? [0.7, 3][i % 2]! : [0.05, 0.3][i % 2]!
          recorder.observeHistogramUnsafe(Took, value, one.labels)
          one.buckets[[0.1, 0.5, 1, 5].findIndex((bound) => value <= bound)]!++
          one.sum += value
        }
        let below = 0
        ;[0.1, 0.5, 1, 5].forEach((bound, b) => put("took_seconds_bucket", { ...one.labels, le: String(bound) }, below += one.buckets[b]!))
        put("took_seconds_bucket", { ...one.labels, le: "+Inf" }, below)
        put("took_seconds_count", one.labels, below)
      }
      for (const { mixes, pace, route } of renders) {
        recorder.observeSummaryUnsafe(Render, 0.05, { route })
        for (let i = 1; k > 0 && i < pace[k]!; i++) recorder.observeSummaryUnsafe(Render, i < mixes[k]! ? [0.7, 3][i % 2]! : [0.05, 0.4][i % 2]!, { route })
      }
      return ended
    }
    /** What a scrape finds now. */
    const scrape = Effect.map(exposition.page, ({ body }) => {
      for (const line of body.split("\n")) {
        const [, name, labels, value] = /^(render_seconds(?:_count)?)\{(.*)\} (\S+)$/.exec(line) ?? []
        if (name !== undefined) put(name, JSON.parse(`{${labels!.replaceAll(/(\w+)=/g, "\"$1\":")}}`), Number(value))
      }
    })
    const end = (ended: ReadonlyArray<Labels>) => Effect.forEach(ended, (labels) => recorder.remove(Depth, labels as { queue: string; shard: string }))
    const fired: Array<Map<string, ReadonlyArray<Labels>>> = [new Map()]
    yield* end(record(0))
    yield* TestClock.adjust(0)
    yield* scrape
    for (let k = 1; k <= steps; k++) {
      yield* end(record(k))
      yield* TestClock.adjust(`${step} seconds`)
      yield* scrape
      const list = (yield* service.list).filter(({ state }) => state === "firing")
      fired.push(new Map(rules.map((rule) => [
        rule.name,
        list.filter(({ alertname }) => alertname === rule.name).map(({ labels }) => ({ severity: rule.severity, ...Object.fromEntries(rule.groupBy.map((label) => [label, labels[label]!])) }))
      ])))
    }
    for (const { signals } of (yield* Telemetry).reports()) for (const { ledger } of signals) assert.isUndefined(Ledger.imbalance(ledger))
    const key = (k: number, name: string) => JSON.stringify(fired[k]!.get(name))
    const checks = rules.flatMap((rule) => {
      const { annotations } = generated.groups[0].rules.find(({ alert }: any) => alert === rule.name)
      return Array.from({ length: steps - 1 - warm }, (_, i) => i + warm)
        .filter((k) => key(k, rule.name) === key(k - 1, rule.name) && key(k, rule.name) === key(k + 1, rule.name))
        .map((k) => ({ eval_time: `${k * step}s`, alertname: rule.name, exp_alerts: fired[k]!.get(rule.name)!.map((exp_labels) => ({ exp_labels, exp_annotations: annotations })) }))
    })
    return { samples, checks, fired }
  }).pipe(Effect.provide(Layer.merge(Alerts.layer({ rules, thresholds: false, sinks: [] }), Prometheus.layer())))

it.effect.each([1, 2, 3, 4])("samples of seed %i fire in the process when they fire in Prometheus", (seed) =>
  Effect.gen(function*() {
    const { checks, fired, samples } = yield* replay(seed)
    writeFileSync(join(dir, "alerts.yml"), alerts)
    writeFileSync(join(dir, `${seed}.yml`), JSON.stringify({
      rule_files: ["alerts.yml"],
      evaluation_interval: `${step}s`,
      tests: [{ interval: `${step}s`, input_series: [...samples].map(([series, values]) => ({ series, values: values.join(" ") })), alert_rule_test: checks }]
    }))
    const { error, status, stderr, stdout } = spawnSync("promtool", ["test", "rules", `${seed}.yml`], { cwd: dir, encoding: "utf8" })
    if (error !== undefined) throw new Error(`promtool (Debian's package prometheus) is needed: ${error.message}`)
    assert.strictEqual(status, 0, `${stdout}${stderr}`.slice(0, 6_000))
    // Most moments are compared, and most rules do fire and end.
    assert.isAbove(checks.length, rules.length * (steps - warm) * 0.75)
    const lively = rules.filter(({ name }) => new Set(fired.slice(warm).map((at) => at.get(name)!.length > 0)).size === 2)
    assert.isAbove(lively.length, rules.length / 2, lively.map(({ name }) => name).join())
    for (const { name } of lively) everLively.add(name)
    if (seed < 4) return
    // Over the four seeds every rule has.
    assert.sameMembers([...everLively], rules.map(({ name }) => name))
    rmSync(dir, { recursive: true, force: true })
  }), 120_000)

const everLively = new Set<string>()
