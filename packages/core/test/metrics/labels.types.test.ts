import { it } from "@effect/vitest"
import * as MetricDefinition from "../../src/metrics/MetricDefinition.ts"
import * as MetricsRecorder from "../../src/metrics/MetricsRecorder.ts"
import * as MetricStore from "../../src/metrics/MetricStore.ts"

const Orders = MetricDefinition.counter("orders_total", { help: "x", labelNames: ["channel", "shop"], labelValues: { channel: ["web", "fax"] } })
const Depth = MetricDefinition.gauge("depth", { help: "x" })

// Checked by the compiler (`npm run check`): each line marked must not compile.
it("wrong labels do not compile", () => {
  const store = MetricStore.make({ maxSeriesPerMetric: 10, maxSeries: 10, maxMetrics: 10, buckets: {} }, () => 0)
  const metrics = MetricsRecorder.make(store)
  metrics.incrementCounterUnsafe(Orders, 1, { channel: "web", shop: "berlin" })
  metrics.setGaugeUnsafe(Depth, 1)
  metrics.incrementCounterUnsafe("orders_total", 1, { channel: "web", shop: "berlin" })
  // @ts-expect-error a literal that is not listed
  metrics.incrementCounterUnsafe(Orders, 1, { channel: "pigeon", shop: "berlin" })
  // @ts-expect-error a label that does not exist
  metrics.incrementCounterUnsafe(Orders, 1, { channel: "web", shop: "berlin", color: "red" })
  // @ts-expect-error a label is missing
  metrics.incrementCounterUnsafe(Orders, 1, { channel: "web" })
  // @ts-expect-error all labels are missing
  metrics.incrementCounterUnsafe(Orders, 1)
  // @ts-expect-error a gauge is not a counter
  metrics.incrementCounterUnsafe(Depth, 1)
  // @ts-expect-error a handle wants its labels
  metrics.bind(Orders)
})
