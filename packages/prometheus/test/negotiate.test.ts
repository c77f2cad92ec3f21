import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { acceptsGzip, negotiate } from "../src/internal/negotiate.ts"

describe("the format a scraper gets", () => {
  const open = "openMetrics" as const
  const cases: ReadonlyArray<readonly [why: string, accept: string | undefined, format: "text" | typeof open]> = [
    ["no header", undefined, "text"],
    ["an empty header", "", "text"],
    ["anything", "*/*", "text"],
    ["a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text"],
    ["Prometheus 2.42", "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", open],
    ["Prometheus 2.42 with native histograms", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", open],
    ["Prometheus 3", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1", open],
    ["Prometheus 3 asked for text first", "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1", "text"],
    ["Prometheus 2.0", "text/plain;version=0.0.4;q=1,*/*;q=0.1", "text"],
    ["OpenMetrics without a version", "application/openmetrics-text", open],
    ["OpenMetrics of a version there is not", "application/openmetrics-text;version=2.0.0", "text"],
    ["OpenMetrics 0.0.1 alone", "application/openmetrics-text;version=0.0.1", "text"],
    ["equal weights", "text/plain;q=0.5, application/openmetrics-text;q=0.5", open],
    ["OpenMetrics refused", "application/openmetrics-text;q=0, */*", "text"],
    ["one version refused, the rest wanted", "application/openmetrics-text;version=1.0.0;q=0, application/openmetrics-text;q=1", "text"],
    ["a range of types", "application/*", open],
    ["a range below text", "application/*;q=0.4, text/plain;q=0.5", "text"],
    ["upper case, spaces and quotes", " APPLICATION/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=0.9 , text/plain ; q=0.8", open],
    ["a weight that is none", "application/openmetrics-text;q=2, text/plain;q=0.1", "text"],
    ["a negative weight", "application/openmetrics-text;q=-1", "text"],
    ["four digits of weight", "application/openmetrics-text;q=0.12345, text/plain;q=0.1", "text"],
    ["rubbish", ";;;,,,===;q=,\u0000", "text"]
  ]
  for (const [why, accept, format] of cases) {
    it(`${why}: ${format}`, () => assert.strictEqual(negotiate(accept), format))
  }

  it("reads any header without a fault, and no further than it must", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (header) => {
      assert.include(["text", "openMetrics"], negotiate(header))
      assert.isBoolean(acceptsGzip(header))
    }))
    assert.strictEqual(negotiate(`${"a/b,".repeat(100_000)}application/openmetrics-text`), "text")
  })
})

describe("gzip", () => {
  const cases: ReadonlyArray<readonly [string | undefined, boolean]> = [
    [undefined, false],
    ["", false],
    ["gzip", true],
    ["x-gzip", true],
    ["GZIP;q=0.5", true],
    ["gzip;q=0", false],
    ["*", true],
    ["*;q=0", false],
    ["gzip;q=0, *", false],
    ["deflate, br", false],
    ["gzip, deflate, br", true],
    ["identity;q=1, gzip;q=0.5", false],
    ["identity;q=0.5, gzip;q=0.5", true]
  ]
  for (const [header, wanted] of cases) {
    it(`${header}: ${wanted}`, () => assert.strictEqual(acceptsGzip(header), wanted))
  }
})
