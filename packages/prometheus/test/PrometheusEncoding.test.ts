import { canonicalNumber, type Exemplar, MetricDefinition, type MetricFamily, type Series } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import { PrometheusEncoding } from "../src/index.ts"
import { PageFamilies } from "../src/internal/PageFamilies.ts"
import { parseOpenMetrics } from "./support/parseOpenMetrics.ts"

/** A family whose series can come and go, as a store may let them. */
class Family implements MetricFamily {
  readonly definition: MetricDefinition.MetricDefinition
  series: Array<Series> = []
  readonly values = new Map<Series, number>()
  readonly exemplars = new Map<string, Exemplar>()

  constructor(definition: MetricDefinition.MetricDefinition) {
    this.definition = definition
  }

  add(value: number, ...labelValues: ReadonlyArray<string>): Series {
    const series = { index: this.series.length, definition: this.definition, labelValues, createdAt: 1_700_000_000_123 }
    this.series.push(series)
    this.values.set(series, value)
    return series
  }

  value(series: Series) {
    return this.values.get(series)!
  }
  count(series: Series) {
    return this.values.get(series)! * (this.definition.buckets!.length + 1)
  }
  sum(series: Series) {
    return this.values.get(series)!
  }
  bucket(series: Series) {
    return this.values.get(series)!
  }
  quantile() {
    return 0
  }
  exemplar(series: Series, bucket = -1) {
    return this.exemplars.get(`${series.labelValues.join()} ${bucket}`)
  }
}

const Jobs = MetricDefinition.counter("jobs_total", { help: "Jobs", labelNames: ["kind"] })
const Duration = MetricDefinition.histogram("job_duration_seconds", { help: "Duration", unit: "seconds", labelNames: ["kind"], buckets: [0.5, 1e6] })
const span = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", time: 1_700_000_000_456 }

const render = (encoding: PrometheusEncoding, families: ReadonlyArray<MetricFamily>, created = false) => {
  const page = new PageFamilies("openMetrics", families.map((family) => encoding.exposedName(family)), created)
  const text = [...encoding.pieces(families, page)].join("")
  return { text, leftOut: page.leftOut, ...parseOpenMetrics(`${text}# EOF\n`) }
}
const make = () => new PrometheusEncoding({ prefix: "", constantLabels: {} })

describe("OpenMetrics", () => {
  it("puts exemplars on counters and buckets, and nowhere else", () => {
    const jobs = new Family(Jobs)
    jobs.add(3, "a")
    jobs.exemplars.set("a -1", { ...span, value: 2 })
    const duration = new Family(Duration)
    duration.add(1, "a")
    duration.exemplars.set("a 0", { ...span, value: 0.25 })
    duration.exemplars.set("a 2", { ...span, value: 2e6 })
    const { samples } = render(make(), [jobs, duration])
    assert.deepStrictEqual(
      samples.filter(({ exemplar }) => exemplar !== undefined).map(({ exemplar, labels, name }) => [name, labels["le"], exemplar!.value, exemplar!.timestamp, exemplar!.labels["trace_id"], exemplar!.labels["span_id"]]),
      [["jobs_total", undefined, 2], ["job_duration_seconds_bucket", "0.5", 0.25], ["job_duration_seconds_bucket", "+Inf", 2e6]]
        .map((row) => [...row, 1_700_000_000.456, span.traceId, span.spanId])
    )
  })

  it("puts no exemplar on the text format, nor on a counter that is unknown to OpenMetrics", () => {
    const odd = new Family(MetricDefinition.counter("odd_count", { help: "", labelNames: ["kind"] }))
    odd.add(3, "a")
    odd.exemplars.set("a -1", { ...span, value: 2 })
    const { samples, types } = render(make(), [odd])
    assert.deepStrictEqual([types.get("odd_count"), samples[0]!.exemplar], ["unknown", undefined])
    const page = new PageFamilies("text", ["odd_count"], true)
    assert.strictEqual([...make().pieces([odd], page)].join(""), "# TYPE odd_count counter\nodd_count{kind=\"a\"} 3\n")
  })

  it("keeps the name of a counter whose family is somebody else's", () => {
    const jobs = new Family(Jobs)
    jobs.add(3, "a")
    const running = new Family(MetricDefinition.gauge("jobs", { help: "Running" }))
    running.add(1)
    const { samples, types } = render(make(), [jobs, running])
    assert.deepStrictEqual(samples.map(({ name, value }) => [name, value]), [["jobs_total", 3], ["jobs", 1]])
    assert.deepStrictEqual([types.get("jobs_total"), types.get("jobs")], ["unknown", "gauge"])
  })

  it("says when a series began where that is asked for and the name is free", () => {
    const jobs = new Family(Jobs)
    jobs.add(3, "a")
    const duration = new Family(Duration)
    duration.add(1, "a")
    const blocker = new Family(MetricDefinition.gauge("job_duration_seconds_created", { help: "Somebody else's" }))
    blocker.add(7)
    const { samples, units } = render(make(), [jobs, duration, blocker], true)
    const created = samples.filter(({ name }) => name.endsWith("_created"))
    assert.deepStrictEqual(created.map(({ name, value }) => [name, value]), [["jobs_created", 1_700_000_000.123], ["job_duration_seconds_created", 7]])
    assert.strictEqual(units.get("job_duration_seconds"), "seconds")
    assert.isUndefined(render(make(), [jobs]).samples.find(({ name }) => name.endsWith("_created")))
  })
})

describe("a family whose series come and go", () => {
  it("shows each under its own labels, wherever it stands", () => {
    const encoding = make()
    const jobs = new Family(Jobs)
    for (const kind of ["a", "b\ud800", "c", "d\ud800"]) jobs.add(kind.charCodeAt(0), kind)
    const kinds = () => render(encoding, [jobs]).samples.map(({ labels, value }) => `${labels["kind"]} ${value}`)
    assert.deepStrictEqual(kinds(), ["a 97", "b\ufffd 98", "c 99", "d\ufffd 100"])
    jobs.series.splice(0, 1)
    assert.deepStrictEqual(kinds(), ["b\ufffd 98", "c 99", "d\ufffd 100"])
    jobs.series = jobs.series.slice(1)
    jobs.add(1, "b\ud801")
    assert.deepStrictEqual(kinds(), ["c 99", "d\ufffd 100", "b\ufffd 1"])
    jobs.series = []
    assert.deepStrictEqual(kinds(), [])
    jobs.add(2, "d\ud802")
    assert.deepStrictEqual(kinds(), ["d\ufffd 2"])
  })

  it("shows one of two series that are the same in UTF-8, and says so", () => {
    const encoding = make()
    const jobs = new Family(Jobs)
    jobs.add(1, "\ud800")
    jobs.add(2, "\ud801")
    for (let i = 0; i < 2; i++) {
      const { leftOut, samples } = render(encoding, [jobs])
      assert.deepStrictEqual(samples.map(({ value }) => value), [1])
      assert.include([...leftOut][0], "same in UTF-8")
    }
  })
})

describe("canonical numbers", () => {
  // Go's FormatFloat(x, 'g', -1, 64), with ".0" where it would read as an integer.
  const cases: ReadonlyArray<readonly [number, string]> = [
    [0, "0.0"], [1, "1.0"], [-1, "-1.0"], [0.5, "0.5"], [10, "10.0"], [100_000, "100000.0"], [1e6, "1e+06"], [1_234_567, "1.234567e+06"],
    [0.0001, "0.0001"], [0.00001, "1e-05"], [1e21, "1e+21"], [5e-324, "5e-324"], [1.7976931348623157e308, "1.7976931348623157e+308"],
    [123.456, "123.456"], [Infinity, "+Inf"], [-Infinity, "-Inf"], [NaN, "NaN"]
  ]
  for (const [value, text] of cases) it(text, () => assert.strictEqual(canonicalNumber(value), text))
})
