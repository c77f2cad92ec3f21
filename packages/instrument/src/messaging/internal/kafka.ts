import type { PublishFailure } from "../errors.ts"
import { known } from "./known.ts"

/** A message of Kafka with where it is from. */
export interface KafkaDelivery {
  readonly topic: string
  readonly partition: number
  readonly message: { readonly value: { readonly length: number } | null; readonly headers?: object | undefined; readonly timestamp?: string; readonly offset: string }
  /** In this process: Kafka itself does not count. */
  readonly deliveries: number
}

/**
 * How often each message was delivered, as far as this process can know: a partition is read in order, so an offset that is not above the
 * highest one seen comes again. Bounded by the partitions.
 */
export class Offsets {
  private readonly partitions = new Map<string, { highest: bigint; again: bigint; times: number }>()

  deliveries(topic: string, partition: number, offset: string): number {
    const at = known(() => BigInt(offset))
    if (at === undefined) return 1
    const key = `${partition} ${topic}`
    const seen = this.partitions.get(key)
    if (seen === undefined) this.partitions.set(key, { highest: at, again: -1n, times: 1 })
    else if (at > seen.highest) seen.highest = at
    else {
      seen.times = seen.again === at ? seen.times + 1 : 2
      seen.again = at
      return seen.times
    }
    return 1
  }
}

/** What `kafkajs` says of a message that was not acknowledged: only a request that got no answer may have arrived. */
export const reasonOf = (error: unknown): PublishFailure => {
  let at: any = error
  for (let depth = 0; depth < 3 && at?.name === "KafkaJSNumberOfRetriesExceeded" && at.cause !== undefined; depth++) at = at.cause
  const name: unknown = known(() => at?.name)
  if (name === "KafkaJSProtocolError") return "rejected"
  return name === "KafkaJSRequestTimeoutError" || name === "KafkaJSConnectionClosedError" ? "unconfirmed" : "failed"
}

/** The lag of a consumer over the partitions it has, by topic, from `kafkajs`' `consumer.end_batch_process`. */
export const backlogOf = (set: (topic: string, count: number) => void) => {
  const topics = new Map<string, Map<number, number>>()
  return (payload: { readonly topic?: unknown; readonly partition?: unknown; readonly offsetLag?: unknown } | undefined): void => {
    const lag = Number(payload?.offsetLag)
    if (typeof payload?.topic !== "string" || typeof payload.partition !== "number" || !Number.isFinite(lag)) return
    let partitions = topics.get(payload.topic)
    if (partitions === undefined) topics.set(payload.topic, partitions = new Map())
    partitions.set(payload.partition, Math.max(0, lag))
    let sum = 0
    for (const one of partitions.values()) sum += one
    set(payload.topic, sum)
  }
}
