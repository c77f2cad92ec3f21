import { assert, describe, it } from "@effect/vitest"
import { MetricDefinition, NamingConventions, OtelMetrics, StandardMetrics } from "../../src/index.ts"

describe("the two conventions", () => {
  it("pair metrics that can be computed from each other", () => {
    for (const { countOf, labels, otel, standard } of NamingConventions.counterparts) {
      for (const [ours, theirs] of Object.entries(labels)) {
        assert.include(standard.labelNames, ours)
        assert.include(otel.labelNames, theirs)
      }
      assert.strictEqual(Object.keys(labels).length, standard.labelNames.length, standard.name)
      if (countOf === true) assert.deepStrictEqual([standard.type, otel.type], ["counter", "histogram"])
      else {
        assert.deepStrictEqual(otel.buckets, standard.buckets)
        assert.strictEqual(otel.unit, standard.unit)
      }
    }
  })

  it("cover all of the standard set but caches, errors and spans, which have no convention, and the toolkit's own", () => {
    const paired = new Set(NamingConventions.counterparts.map(({ standard }) => standard.name))
    const left = StandardMetrics.all.map(({ name }) => name).filter((name) => !paired.has(name) && !name.startsWith("obs_"))
    assert.deepStrictEqual(left, ["cache_hits_total", "cache_misses_total", "cache_operation_duration_seconds", "errors_total", "span_duration_seconds"])
    assert.deepStrictEqual(OtelMetrics.all.filter((metric) => !NamingConventions.counterparts.some(({ otel }) => otel === metric)), [])
  })

  it("keep to good names; one is fixed by OpenTelemetry", () => {
    assert.deepStrictEqual(OtelMetrics.all.flatMap(MetricDefinition.lint).map(({ metric }) => metric), ["db_client_connection_count"])
  })

  it("make rules whose every name is one of a metric, each recorded once", () => {
    const samples = (definitions: ReadonlyArray<MetricDefinition.MetricDefinition>) =>
      new Set(definitions.flatMap(({ name, type }) => type === "histogram" ? ["_bucket", "_sum", "_count"].map((suffix) => name + suffix) : [name]))
    for (const [target, to, from] of [["standard", StandardMetrics.all, OtelMetrics.all], ["otel", OtelMetrics.all, StandardMetrics.all]] as const) {
      const text = NamingConventions.recordingRules(target)
      const recorded = [...text.matchAll(/record: (\S+)/g)].map(([, name]) => name!)
      assert.strictEqual(new Set(recorded).size, recorded.length)
      for (const name of recorded) assert.isTrue(samples(to).has(name), name)
      for (const [, name] of text.matchAll(/\(([a-z_]+)(?:\{[^}]*\})?, "/g)) assert.isTrue(samples(from).has(name!), name)
    }
  })

  it("put the prefix before every name", () => {
    const text = NamingConventions.recordingRules("standard", { prefix: "shop", interval: "30s" })
    assert.include(text, "interval: 30s")
    assert.include(text, "record: shop_http_requests_total\n")
    assert.include(text, "shop_http_server_request_duration_seconds_count")
    assert.notMatch(text, /[^_]http_server_request/)
    assert.strictEqual(NamingConventions.recordingRules("otel", { prefix: "shop_" }), NamingConventions.recordingRules("otel", { prefix: "shop" }))
  })
})
