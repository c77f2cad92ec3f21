import { MetricDefinition, StandardMetrics } from "@effect-observability/core"

// What messaging records beyond the standard metrics. Labels: `topic` is a destination name of low cardinality (its template, `(temporary)`, or
// `_OTHER` past the budget); `consumer_group` is a consumer group, in RabbitMQ the queue; `error_type` an error's `_tag`, `code` or `name`.

/**
 * Every attempt to publish, by how it ended: `confirmed` by the broker, `sent` without asking for a confirmation, `rejected` (the broker said
 * no), `returned` (no queue wanted it), `unconfirmed` (the connection was lost before the answer: it may have arrived), `failed` (it never
 * left), `interrupted`. The first two are what `message_published_total` counts.
 */
export const MessageSends = MetricDefinition.counter("message_sends_total", {
  help: "Attempts to publish a message, by how they ended",
  labelNames: ["topic", "outcome"],
  labelValues: { outcome: ["confirmed", "sent", "rejected", "returned", "unconfirmed", "failed", "interrupted"] }
})

/** The standard `message_processed_total` by how processing ended; an interruption gives the message back. */
export const MessageOutcomes = MetricDefinition.counter("message_outcomes_total", {
  help: "Messages whose processing ended, by outcome",
  labelNames: ["topic", "consumer_group", "outcome"],
  labelValues: { outcome: MetricDefinition.outcomes }
})

/** What went wrong: while sending, processing or settling (telling the broker the result). */
export const MessageErrors = MetricDefinition.counter("message_errors_total", {
  help: "Failed messaging operations, by error type",
  labelNames: ["topic", "operation", "error_type"],
  labelValues: { operation: ["send", "process", "settle"] }
})

/**
 * What the broker was told: `ack`, `requeue` (nack, to be delivered again), `reject` (nack for good: dead letter or discarded, in Kafka
 * passed over). `lost`: it could not be told, since its connection was gone; it will deliver the message again.
 */
export const MessageSettlements = MetricDefinition.counter("message_settlements_total", {
  help: "Delivered messages by what the broker was told of them",
  labelNames: ["topic", "consumer_group", "settlement"],
  labelValues: { settlement: ["ack", "requeue", "reject", "lost"] }
})

/** Deliveries of a message that was delivered before; part of `message_consumed_total`. */
export const MessageRedeliveries = MetricDefinition.counter("message_redeliveries_total", {
  help: "Messages delivered again",
  labelNames: ["topic", "consumer_group"]
})

/** Messages given up: `marked` (the handler failed with `PoisonMessage`), `deliveries` (delivered too often), `decode`. */
export const MessagePoison = MetricDefinition.counter("message_poison_total", {
  help: "Messages that cannot be processed and were given up, by reason",
  labelNames: ["topic", "consumer_group", "reason"],
  labelValues: { reason: ["marked", "deliveries", "decode"] }
})

/** Where the message says when it was published; clocks of two machines may differ, what would be negative is 0. */
export const MessageWait = MetricDefinition.histogram("message_wait_seconds", {
  help: "Time from a message's publication to its delivery in seconds",
  unit: "seconds",
  labelNames: ["topic", "consumer_group"],
  buckets: [0.001, 0.01, 0.1, 0.5, 1, 5, 10, 60, 300, 3_600]
})

/** Depth of a queue, lag of a consumer group: what waits to be delivered. */
export const MessageBacklog = MetricDefinition.gauge("message_backlog", {
  help: "Messages that wait: depth of a queue or lag of a consumer",
  labelNames: ["topic", "consumer_group"]
})

/** Messages that were accepted and will reach nobody; of queues in the process. */
export const MessageDrops = MetricDefinition.counter("message_drops_total", {
  help: "Messages dropped, by reason",
  labelNames: ["topic", "reason"],
  labelValues: { reason: ["full", "slid", "shutdown"] }
})

/**
 * What became of connections and consumers, so that a broker's restart can be told from errors of one's own: a consumer is `cancelled` when the
 * broker ends it alone (its queue was deleted), and `stopped` when its channel or connection is gone.
 */
export const BrokerEvents = MetricDefinition.counter("message_broker_events_total", {
  help: "Connections to brokers lost, restored or blocked, and consumers that ended",
  labelNames: ["system", "event"],
  labelValues: { event: ["connected", "disconnected", "closed", "error", "blocked", "unblocked", "cancelled", "stopped"] }
})

/** All that messaging may record under standard names. */
export const all: ReadonlyArray<MetricDefinition.MetricDefinition> = [
  StandardMetrics.MessagePublished,
  StandardMetrics.MessageConsumed,
  StandardMetrics.MessageProcessed,
  StandardMetrics.MessageProcessingDuration,
  MessageSends,
  MessageOutcomes,
  MessageErrors,
  MessageSettlements,
  MessageRedeliveries,
  MessagePoison,
  MessageWait,
  MessageBacklog,
  MessageDrops,
  BrokerEvents
]
