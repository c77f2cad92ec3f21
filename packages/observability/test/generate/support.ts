import { AlertRule, MetricDefinition, StandardMetrics } from "effect-observability"

/** A program's own definitions: one of each kind, with names and texts that are awkward on purpose. */
export const own = [
  MetricDefinition.counter("orders_placed_total", { help: "Orders \"accepted\", | by channel\nand more", labelNames: ["channel"], alertThreshold: 1_000 }),
  MetricDefinition.gauge("queue_depth", { help: "Jobs waiting: it's <b>deep</b>", labelNames: ["queue"], alertThreshold: 100 }),
  MetricDefinition.upDownCounter("sessions_open", { help: "Open sessions", labelNames: ["region"], alertThreshold: 5_000 }),
  MetricDefinition.histogram("checkout_duration_seconds", { help: "Checkout", unit: "seconds", alertThreshold: 1 }),
  MetricDefinition.summary("render_seconds", { help: "Render", unit: "seconds", objectives: { "0.5": 0.05, "0.99": 0.001 }, alertThreshold: 0.3 })
]

const [orders, depth, , checkout] = own

export const rules = [
  AlertRule.make({ name: "OrdersStopped", metric: orders!, absent: "10 minutes", severity: "critical" }),
  AlertRule.make({ name: "OrdersRate", metric: orders!, groupBy: ["channel"], rate: "10 minutes", above: 10, for: "2 minutes", keepFor: "5 minutes" }),
  AlertRule.make({ name: "OrdersFew", metric: orders!, labels: { channel: { in: ["web", "a|b\"c"] } }, increase: "30 minutes", below: 40 }),
  AlertRule.make({ name: "DepthGone", metric: depth!, absent: "5 minutes", for: "1 minute" }),
  AlertRule.make({ name: "DepthLow", metric: depth!, groupBy: ["queue"], last: true, atMost: 2, clear: 5, inhibitedBy: ["DepthGone"] }),
  AlertRule.make({ name: "CheckoutBudget", metric: checkout!, burnRate: { objective: 0.95, bad: { above: 2.5 }, windows: [{ long: "2 hours", short: "10 minutes", factor: 5 }] } }),
  AlertRule.make({ name: "CheckoutMedian", metric: checkout!, quantile: 0.5, window: "10 minutes", atLeast: 0.25 })
]

export const definitions = [...own, ...StandardMetrics.all]
