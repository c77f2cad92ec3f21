import { type CounterHandle, MetricDefinition, type MetricsRecorder, type ObserverHandle, OtelMetrics, StandardMetrics } from "@effect-observability/core"
import type * as Exit from "effect/Exit"
import * as MessagingMetrics from "../MessagingMetrics.ts"
import type { Destination } from "./Destinations.ts"

export type Conventions = "standard" | "otel" | "both"
export type SendOutcome = "confirmed" | "sent" | "rejected" | "returned" | "unconfirmed" | "failed" | "interrupted"
export type Settlement = "ack" | "requeue" | "reject"
export type Recorder = MetricsRecorder["Service"]

/** The series of one destination, found when they are first needed. */
export class Topic {
  readonly destination: Destination
  readonly label: string
  private readonly recorder: Recorder
  private readonly conventions: Conventions
  private published: ReadonlyArray<CounterHandle> | undefined
  private readonly sends = new Map<SendOutcome, CounterHandle>()

  constructor(recorder: Recorder, conventions: Conventions, destination: Destination) {
    this.recorder = recorder
    this.conventions = conventions
    this.destination = destination
    this.label = destination.label
  }

  /** An attempt to publish `count` messages ended. */
  sent(outcome: SendOutcome, count = 1): void {
    let handle = this.sends.get(outcome)
    if (handle === undefined) this.sends.set(outcome, handle = this.recorder.bind(MessagingMetrics.MessageSends, { topic: this.label, outcome }))
    handle.incrementUnsafe(count)
    if (outcome !== "confirmed" && outcome !== "sent") return
    this.published ??= pick(this.conventions, () => this.recorder.bind(StandardMetrics.MessagePublished, { topic: this.label }), () =>
      this.recorder.bind(OtelMetrics.MessagingClientSentMessages, { messaging_destination_name: this.label }))
    for (const one of this.published) one.incrementUnsafe(count)
  }

  failed(operation: "send" | "process" | "settle", errorType: string, count = 1): void {
    this.recorder.incrementCounterUnsafe(MessagingMetrics.MessageErrors, count, { topic: this.label, operation, error_type: errorType })
  }

  dropped(reason: "full" | "slid" | "shutdown", count = 1): void {
    if (count > 0) this.recorder.incrementCounterUnsafe(MessagingMetrics.MessageDrops, count, { topic: this.label, reason })
  }

  subscription(group: string): Subscription {
    return new Subscription(this, group, this.recorder, this.conventions)
  }
}

/** The series of one destination and one group of consumers. */
export class Subscription {
  readonly topic: Topic
  readonly group: string
  private readonly recorder: Recorder
  private readonly conventions: Conventions
  private readonly consumed: ReadonlyArray<CounterHandle>
  private processed: CounterHandle | undefined
  private succeeded: CounterHandle | undefined
  private waits: ObserverHandle | undefined
  private durations: ReadonlyArray<ObserverHandle> | undefined

  constructor(topic: Topic, group: string, recorder: Recorder, conventions: Conventions) {
    this.topic = topic
    this.group = group
    this.recorder = recorder
    this.conventions = conventions
    this.consumed = pick(conventions, () => recorder.bind(StandardMetrics.MessageConsumed, this.labels), () =>
      recorder.bind(OtelMetrics.MessagingClientConsumedMessages, { messaging_destination_name: topic.label, messaging_consumer_group_name: group }))
  }

  delivered(count = 1): void {
    for (const one of this.consumed) one.incrementUnsafe(count)
  }

  redelivered(count = 1): void {
    this.recorder.incrementCounterUnsafe(MessagingMetrics.MessageRedeliveries, count, this.labels)
  }

  /** Seconds between publication and delivery. */
  waited(seconds: number): void {
    if (!Number.isFinite(seconds)) return
    this.waits ??= this.recorder.bind(MessagingMetrics.MessageWait, this.labels)
    this.waits.observeUnsafe(Math.max(0, seconds))
  }

  /** Processing of `count` messages at once ended after some seconds. */
  ended(seconds: number, exit: Exit.Exit<unknown, unknown>, count = 1): void {
    const { group, topic } = this
    // OpenTelemetry has no counter of processed messages: it is the count of the durations there.
    this.processed ??= this.recorder.bind(StandardMetrics.MessageProcessed, this.labels)
    this.processed.incrementUnsafe(count)
    this.durations ??= pick(this.conventions, () => this.recorder.bind(StandardMetrics.MessageProcessingDuration, { topic: topic.label }), () =>
      this.recorder.bind(OtelMetrics.MessagingProcessDuration, { messaging_destination_name: topic.label, messaging_consumer_group_name: group }))
    for (const one of this.durations) one.observeUnsafe(seconds)
    if (exit._tag === "Success") {
      this.succeeded ??= this.recorder.bind(MessagingMetrics.MessageOutcomes, { ...this.labels, outcome: "success" })
      this.succeeded.incrementUnsafe(count)
      return
    }
    const outcome = MetricDefinition.outcomeOf(exit)
    this.recorder.incrementCounterUnsafe(MessagingMetrics.MessageOutcomes, count, { ...this.labels, outcome })
    if (outcome !== "interrupted") topic.failed("process", MetricDefinition.errorTypeOf(exit), count)
  }

  settled(settlement: Settlement | "lost", count = 1): void {
    this.recorder.incrementCounterUnsafe(MessagingMetrics.MessageSettlements, count, { ...this.labels, settlement })
  }

  poisoned(reason: "marked" | "deliveries" | "decode"): void {
    this.recorder.incrementCounterUnsafe(MessagingMetrics.MessagePoison, 1, { ...this.labels, reason })
  }

  backlog(count: number): void {
    this.recorder.setGaugeUnsafe(MessagingMetrics.MessageBacklog, count, this.labels)
  }

  get labels(): { readonly topic: string; readonly consumer_group: string } {
    return { topic: this.topic.label, consumer_group: this.group }
  }
}

const pick = <A>(conventions: Conventions, standard: () => A, otel: () => A): ReadonlyArray<A> =>
  conventions === "both" ? [standard(), otel()] : [conventions === "standard" ? standard() : otel()]
