import { Telemetry } from "@effect-observability/core"
import { type MessageCarrier, MessageQueue, Messaging } from "@effect-observability/instrument"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Queue from "effect/Queue"
import type { Bench, Side } from "../../../test/bench/Bench.ts"

// An item through a queue in the process, against the bare `Queue`. Offers alone are drained by one `takeAll` each 500, on both sides; "offer
// and take" takes them one by one. Ours count, remember the offering fiber's context and the time, and measure the wait.

const ops = 2_000
const chunk = 500

interface Both {
  readonly offer: (value: number) => Effect.Effect<boolean>
  readonly take: Effect.Effect<number>
  readonly takeAll: Effect.Effect<ReadonlyArray<number>>
}

const offers = ({ offer, takeAll }: Both) =>
  Effect.gen(function*() {
    for (let i = 0; i < ops; i += chunk) {
      for (let k = 0; k < chunk; k++) yield* offer(k)
      yield* takeAll
    }
  })

const pairs = ({ offer, take }: Both) =>
  Effect.gen(function*() {
    for (let i = 0; i < ops; i++) {
      yield* offer(i)
      yield* take
    }
  })

const runtime = ManagedRuntime.make(Layer.provideMerge(Layer.empty, Telemetry.layer))

const bare = (name: string, job: (both: Both) => Effect.Effect<void>): Side => {
  const queue = Effect.runSync(Queue.unbounded<number>())
  const program = job({ offer: (value) => Queue.offer(queue, value), take: Queue.take(queue), takeAll: Queue.takeAll(queue) })
  return { name, ops, run: () => runtime.runPromise(program) }
}

const ours = async (name: string, job: (both: Both) => Effect.Effect<void>): Promise<Side> => {
  const queue = await runtime.runPromise(Effect.flatMap(Effect.scope, () => MessageQueue.make<number>("bench")).pipe(Effect.scoped))
  const program = job({ offer: (value) => queue.offer(value), take: queue.take, takeAll: queue.takeAll })
  return { name, ops, run: () => runtime.runPromise(program) }
}

interface Sent {
  readonly headers: Record<string, string>
}

const carrier: MessageCarrier<Sent> = { system: "bench", topic: () => "orders", headers: ({ headers }) => headers }

/** A message sent and processed, both spans recorded, headers written and read; the broker is a variable. */
const message = async (): Promise<() => Promise<number>> => {
  const listening = Layer.effectDiscard(Effect.flatMap(Telemetry, (telemetry) =>
    telemetry.register({
      name: "bench",
      kind: "bench",
      onSpan: () => {},
      report: () => ({ name: "bench", kind: "bench", status: "up", reason: undefined, signals: [] })
    }))).pipe(Layer.provideMerge(Telemetry.layer))
  const observed = ManagedRuntime.make(listening)
  const messaging = await observed.runPromise(Messaging.make(carrier))
  const program = Effect.gen(function*() {
    for (let i = 0; i < ops; i++) {
      const sent = yield* messaging.publish({ topic: "orders" }, (headers) => Effect.succeed({ headers }))
      yield* messaging.process(sent, Effect.void, { consumerGroup: "billing" })
    }
  })
  return async () => {
    const start = performance.now()
    await observed.runPromise(program)
    return (performance.now() - start) * 1e3 / ops
  }
}

export default async (bench: Bench): Promise<void> => {
  bench.compare({
    name: "queue.offer",
    unit: "ns/op",
    baseline: bare("Queue.offer", offers),
    subject: await ours("MessageQueue.offer", offers),
    must: 3,
    moonshot: 2
  })
  bench.compare({
    name: "queue.offer.take",
    unit: "ns/op",
    baseline: bare("Queue.offer and take", pairs),
    subject: await ours("MessageQueue.offer and take", pairs),
    must: 3,
    moonshot: 2
  })
  // Sending and processing one message, beside what the broker and its client take (tens of microseconds at least).
  bench.measure({ name: "messaging.message", unit: "us/op", run: await message(), must: 15, moonshot: 5 })
}
