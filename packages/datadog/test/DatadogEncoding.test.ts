import { assert, describe, it } from "@effect/vitest"
import { MetricsRecorder, ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { Effect, Layer } from "effect"
import * as fc from "fast-check"
import { metricName, seriesName, tag, tagField, tagsOf } from "../src/DatadogEncoding.ts"
import { Datadog } from "../src/index.ts"
import { arrive, balanced, udp, until } from "./support/scoped.ts"
import { listenUdp, parse } from "./support/statsd.ts"

describe("names and tags", () => {
  it("never end a field, a line or a tag early, whatever the text", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", minLength: 1 }), fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (name, key, value) => {
      const made = tag(`k${key}`, value)
      const sample = parse(`${metricName(`n${name}`)}:1|c${tagField([{ key: "a", text: "a:1" }], [made])}`)
      assert.deepStrictEqual(sample.tags, made.key === "a" ? [made.text] : ["a:1", made.text])
      assert.isAtMost(made.text.length, 200)
      assert.isTrue(made.text.isWellFormed() || !`k${key}${value}`.isWellFormed())
    }), { numRuns: 500 })
  })

  it("of metrics begin with a letter and stay apart when they are cut", () => {
    assert.strictEqual(seriesName("_a"), "x_a")
    const long = "a".repeat(255)
    const [one, other] = [seriesName(`${long}b`), seriesName(`${long}c`)]
    assert.deepStrictEqual([one.length, other.length], [200, 200])
    assert.notStrictEqual(one, other)
    assert.strictEqual(seriesName(long), seriesName(long))
  })

  it("of all messages give way to a message's own", () => {
    const all = tagsOf([["env", "a"], ["service", "s"], ["solo", ""], ["env", "prod"], ["", "x"]])
    assert.strictEqual(tagField(all, []), "|#service:s,solo,env:prod")
    assert.strictEqual(tagField(all, [tag("service", "other")]), "|#solo,env:prod,service:other")
    assert.strictEqual(tagField([], []), "")
  })
})

const settings = ObservabilityConfig.layer({ metrics: { prefix: "app" }, env: "prod", tracing: { serviceName: "shop", serviceVersion: "7" } })

describe("the lines of frames", () => {
  it.live("10,000 hostile names and labels: every line is one a strict reader takes, no datagram is too long", () =>
    Effect.gen(function*() {
      const receiver = yield* udp
      const evil = ["a\n# b:1|c", "x:1|g", "请求", "_", "__proto__", "9a", "a b", "a{b=\"c\"}", "x".repeat(1000), "", "\u0000", "a|b", "constructor", "_a", "obs_x"]
      let kept = 0
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        const telemetry = yield* Telemetry
        for (let i = 0; i < 10_000; i++) {
          const bad = evil[i % evil.length]!
          yield* metrics.incrementCounter(i % 3 === 0 ? `${bad}${i}` : `m${i}_total`, 1, i % 2 === 0 ? { label: `${bad}${i}` } : { [bad]: "v" } as Record<string, string>)
        }
        yield* telemetry.flush
        yield* arrive
        yield* arrive
        kept = telemetry.store.families().filter(({ definition, series }) => definition.type === "counter" && series.length > 0 && !definition.name.startsWith("obs_rejected")).length
        balanced(telemetry)
      }).pipe(Effect.provide(Datadog.layer({ dogstatsd: receiver.address, traces: false, containerId: false })))
      const samples = receiver.samples()
      assert.isTrue(samples.every(({ name }) => /^[a-zA-Z][a-zA-Z0-9_.]{0,199}$/.test(name)))
      assert.isTrue(receiver.datagrams.every((one) => Buffer.byteLength(one) <= 1432))
      assert.isAtLeast(new Set(samples.filter(({ kind }) => kind === "c").map(({ name }) => name)).size, kept)
      assert.isAbove(kept, 3_500)
    }).pipe(Effect.scoped), 60_000)

  it.live("carry prefix, unified tags, origin, and the labels of the series over them", () =>
    Effect.gen(function*() {
      const receiver = yield* udp
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        yield* metrics.incrementCounter("orders_total", 2, { channel: "web", env: "override" })
        yield* metrics.setGauge("_depth", 3)
        yield* metrics.setGauge("x_depth", 4)
        yield* (yield* Telemetry).flush
        yield* arrive
      }).pipe(Effect.provide(Datadog.layer({
        dogstatsd: receiver.address, traces: false, prefix: "acme.", tags: { team: "pay,ment" }, entityId: "pod-1", externalData: "it-false,cn-x|y", cardinality: "low"
      }).pipe(Layer.provide(settings))))
      const lines = receiver.lines()
      assert.include(lines, "acme.app_orders_total:2|c|#team:pay_ment,dd.internal.entity_id:pod-1,service:shop,version:7,channel:web,env:override|e:it-false,cn-xy|card:low")
      assert.isTrue(lines.some((line) => line.startsWith("acme.app__depth:3|g")))
      assert.isTrue(lines.filter((line) => line.startsWith("obs_")).length > 0)
    }).pipe(Effect.scoped))

  it.live("tell apart two names that would become one", () =>
    Effect.gen(function*() {
      const receiver = yield* udp
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        yield* metrics.setGauge("_depth", 3)
        yield* metrics.setGauge("x_depth", 4)
        yield* (yield* Telemetry).flush
        yield* arrive
      }).pipe(Effect.provide(Datadog.layer({ dogstatsd: receiver.address, traces: false })))
      const names = new Set(receiver.samples().map(({ name }) => name).filter((name) => name.startsWith("x_depth")))
      assert.strictEqual(names.size, 2)
    }).pipe(Effect.scoped))

  it.live("a late counter carries its time where that was asked for; it begins as the agent wants it", () =>
    Effect.gen(function*() {
      const { close, port } = yield* Effect.promise(() => listenUdp())
      yield* Effect.promise(close)
      yield* Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        const telemetry = yield* Telemetry
        const began = Math.floor(Date.now() / 1000)
        yield* metrics.setGauge("first", 1)
        // A frame that was attempted keeps its contents; those behind it are late.
        yield* until(() => telemetry.reports()[0]?.status === "degraded", "degraded")
        yield* metrics.incrementCounter("late_total", 5)
        yield* Effect.sleep("500 millis")
        const receiver = yield* Effect.acquireRelease(Effect.promise(() => listenUdp(port)), (one) => Effect.promise(() => one.close()))
        yield* metrics.incrementCounter("late_total", 2)
        yield* telemetry.flush
        yield* arrive
        const late = receiver.samples().filter(({ name }) => name === "late_total")
        assert.strictEqual(late.reduce((total, { values }) => total + Number(values[0]), 0), 7)
        assert.isTrue(late.some(({ time, values }) => values[0] === 5 && time !== undefined && time >= began && time <= began + 2))
        assert.isTrue(late.some(({ time, values }) => values[0] === 2 && time === undefined))
        balanced(telemetry)
      }).pipe(Effect.provide(Datadog.layer({ dogstatsd: `udp://127.0.0.1:${port}`, traces: false, timestamps: true, flushInterval: "100 millis" })))
    }).pipe(Effect.scoped))
})
