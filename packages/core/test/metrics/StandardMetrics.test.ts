import { assert, describe, it } from "@effect/vitest"
import { MetricDefinition } from "../../src/metrics/MetricDefinition.ts"
import * as StandardMetrics from "../../src/metrics/StandardMetrics.ts"

// The document's 2.3 (标准指标集) and 2.4 (StandardMetrics), typed in by hand: name, type, labels, buckets, alert threshold.
type Row = readonly [name: string, type: string, labels: ReadonlyArray<string>, buckets?: ReadonlyArray<number> | undefined, threshold?: number | undefined]
const document: ReadonlyArray<Row> = [
  ["obs_metrics_processing_seconds", "histogram", ["backend"], [0.001, 0.005, 0.01, 0.05, 0.1], 1],
  ["obs_dropped_metrics_total", "counter", ["backend", "signal", "reason"], undefined, 100],
  ["http_requests_total", "counter", ["method", "path", "status"]],
  ["http_request_duration_seconds", "histogram", ["method", "path"], [0.01, 0.05, 0.1, 0.5, 1]],
  ["http_request_size_bytes", "histogram", ["method", "path"]],
  ["http_response_size_bytes", "histogram", ["method", "path"]],
  ["db_connections", "gauge", ["pool_name", "state"]],
  ["db_operation_duration_seconds", "histogram", ["operation", "table"], [0.001, 0.005, 0.01, 0.05, 0.1]],
  ["db_errors_total", "counter", ["operation", "error_type"]],
  ["cache_hits_total", "counter", ["cache_name"]],
  ["cache_misses_total", "counter", ["cache_name"]],
  ["cache_operation_duration_seconds", "histogram", ["operation"]],
  ["message_published_total", "counter", ["topic"]],
  ["message_consumed_total", "counter", ["topic", "consumer_group"]],
  ["message_processed_total", "counter", ["topic", "consumer_group"]],
  ["message_processing_duration_seconds", "histogram", ["topic"]]
]

/** Added to the document's list: what spans of any kind have in common (decision 0014). */
const added = new Set(["span_duration_seconds", "errors_total"])

describe("the standard metrics", () => {
  it.each(document.map((row) => ({ name: row[0], row })))("$name is as the document has it", ({ row: [name, type, labels, buckets, threshold] }) => {
    const found = StandardMetrics.all.find((metric) => metric.name === name)
    assert.isDefined(found)
    assert.strictEqual(found!.type, type)
    assert.deepStrictEqual(found!.labelNames, labels)
    if (buckets !== undefined) assert.deepStrictEqual(found!.buckets!.slice(0, buckets.length), buckets)
    assert.strictEqual(found!.alertThreshold, threshold)
    // A threshold above every bucket could never be seen crossed.
    if (threshold !== undefined && found!.buckets !== undefined) assert.include(found!.buckets, threshold)
  })

  it("holds every exported definition once, and others only under obs_", () => {
    const exported = Object.values(StandardMetrics).filter((value) => value instanceof MetricDefinition)
    assert.deepStrictEqual(StandardMetrics.all.map((metric) => metric.name).sort(), exported.map((metric) => metric.name).sort())
    const known = new Set(document.map(([name]) => name))
    for (const { help, name, unit } of StandardMetrics.all) {
      assert.isTrue(known.has(name) || added.has(name) || name.startsWith("obs_"), name)
      assert.isAbove(help.length, 0)
      for (const base of ["seconds", "bytes"]) if (name.endsWith(`_${base}`)) assert.strictEqual(unit, base)
    }
  })
})
