import { AlertRule, MetricDefinition, StandardMetrics } from "effect-observability"

/** A program's own definitions: one of each kind, with names and texts that are awkward on purpose. */
export const own = [
  MetricDefinition.counter("orders_placed_total", { help: "Orders \"accepted\", | by channel\nand more", labelNames: ["channel"], alertThreshold: 1_000 }),
  MetricDefinition.gauge("queue_depth", { help: "Jobs waiting: it's <b>deep</b>", labelNames: ["queue"], alertThreshold: 100 }),
  MetricDefinition.upDownCounter("sessions_open", { help: "Open sessions", labelNames: ["region"], alertThreshold: 5_000 }),
  MetricDefinition.histogram("checkout_duration_seconds", { help: "Checkout", unit: "seconds", alertThreshold: 1 }),
  MetricDefinition.summary("render_seconds", { help: "Render", unit: "seconds", objectives: { "0.5": 0.05, "0.99": 0.001 }, alertThreshold: 0.3 })
]

const [orders, depth, sessions, checkout, render] = own

export const rules = [
  AlertRule.make({ name: "OrdersStopped", metric: orders!, absent: "10 minutes", severity: "critical" }),
  AlertRule.make({ name: "OrdersRate", metric: orders!, groupBy: ["channel"], rate: "10 minutes", above: 10, for: "2 minutes", keepFor: "5 minutes" }),
  AlertRule.make({ name: "OrdersFew", metric: orders!, labels: { channel: { in: ["web", "a|b\"c"] } }, increase: "30 minutes", below: 40 }),
  AlertRule.make({ name: "DepthGone", metric: depth!, absent: "5 minutes", for: "1 minute" }),
  AlertRule.make({ name: "DepthLow", metric: depth!, groupBy: ["queue"], last: true, atMost: 2, clear: 5, inhibitedBy: ["DepthGone"] }),
  AlertRule.make({ name: "CheckoutBudget", metric: checkout!, burnRate: { objective: 0.95, bad: { above: 2.5 }, windows: [{ long: "2 hours", short: "10 minutes", factor: 5 }] } }),
  AlertRule.make({ name: "CheckoutMany", metric: checkout!, rate: "8 minutes", atLeast: 4, keepFor: "2 minutes" }),
  AlertRule.make({ name: "RenderFew", metric: render!, increase: "20 minutes", atMost: 64, for: "5 minutes" }),
  AlertRule.make({ name: "RenderSlow", metric: render!, quantile: 0.5, atLeast: 0.2, clear: 0.1, for: "1 minute" }),
  AlertRule.make({ name: "RenderGone", metric: render!, absent: "15 minutes" }),
  AlertRule.make({ name: "SessionsFew", metric: sessions!, groupBy: ["region"], labels: { region: { prefix: "eu" } }, last: true, below: 10, keepFor: "1 minute" }),
  AlertRule.make({ name: "OrdersBudget", metric: orders!, labels: { channel: { neq: "test" } }, burnRate: { objective: 0.9, bad: { labels: { channel: { in: ["a", "b"] } } }, windows: [{ long: "30 minutes", short: "5 minutes", factor: 2 }] } }),
  AlertRule.make({ name: "CheckoutMedian", metric: checkout!, quantile: 0.5, window: "10 minutes", atLeast: 0.25 })
]

export const definitions = [...own, ...StandardMetrics.all]
