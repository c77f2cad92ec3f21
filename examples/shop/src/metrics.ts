import { MetricDefinition } from "@effect-observability/core"
import { HttpMetrics, MessagingMetrics, SqlMetrics } from "@effect-observability/instrument"
import { RuntimeMetrics } from "@effect-observability/instrument/node"

// What the shop records, its own and that of the instruments it uses beyond the standard ones: also what its dashboards are made of,
// effect-observability generate --definitions examples/shop/src/metrics.ts

/** A metric of the shop's own: the compiler knows its label and the two values it may take. */
export const OrdersPlaced = MetricDefinition.counter("orders_placed_total", {
  help: "Orders accepted, by sales channel",
  labelNames: ["channel"],
  labelValues: { channel: ["web", "shop"] }
})

/** Sold per customer: a label that has far too many values (`--trouble`). */
export const Baskets = MetricDefinition.counter("baskets_total", { help: "Baskets, by customer", labelNames: ["customer"], maxSeries: 20 })

/** @public read by the command */
export const ofInstruments = [
  ...RuntimeMetrics.definitions,
  HttpMetrics.RequestsInFlight, HttpMetrics.ClientRequestsTotal, HttpMetrics.ClientDuration, HttpMetrics.ClientErrors,
  SqlMetrics.ConnectionWait, SqlMetrics.MaxConnections, SqlMetrics.PendingRequests, SqlMetrics.ReturnedRows,
  MessagingMetrics.MessageSends, MessagingMetrics.MessageOutcomes, MessagingMetrics.MessageSettlements, MessagingMetrics.MessageErrors
]
