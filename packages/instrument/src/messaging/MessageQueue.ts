import { ConfigurationError, MetricsRecorder, Telemetry } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { Envelope, InProcess } from "./internal/InProcess.ts"
import type { Subscription } from "./internal/Topic.ts"
import { MessageBacklog } from "./MessagingMetrics.ts"

export interface MessageQueueOptions {
  /** Most items that wait. Unbounded unless told. */
  readonly capacity?: number
  /** What a full queue does: let `offer` wait (`"suspend"`, the default), refuse the new item, or drop the oldest one. */
  readonly strategy?: "suspend" | "dropping" | "sliding"
  /** Whether the consumer's span is a child of the span the item was offered in (`"parent"`, the default), or links to it. */
  readonly trace?: "parent" | "link"
  /** Default none. */
  readonly consumerGroup?: string
}

/**
 * A queue in the process whose items carry the context of whoever offered them: trace, baggage, request. Their type stays what it is. How
 * it waits, ends and fails is Effect's `Queue`.
 */
export interface MessageQueue<in out A, in out E = never> {
  readonly name: string
  /** `false` when the item was not taken: the queue is full and drops, or is done. */
  readonly offer: (value: A) => Effect.Effect<boolean>
  /** What found no room. */
  readonly offerAll: (values: Iterable<A>) => Effect.Effect<ReadonlyArray<A>>
  /** One item. It counts as consumed; its context stays behind: `process` brings it along. */
  readonly take: Effect.Effect<A, E>
  /** All items that wait, at least one. */
  readonly takeAll: Effect.Effect<ReadonlyArray<A>, E>
  /** Takes one item and handles it in a span of kind consumer, in the trace and for the request it was offered in. */
  readonly process: <B, E2, R>(handler: (value: A) => Effect.Effect<B, E2, R>) => Effect.Effect<B, E | E2, R>
  /** Takes up to `max` items that wait, at least one, and handles them in one span that links to where they were offered. */
  readonly processBatch: <B, E2, R>(max: number, handler: (values: ReadonlyArray<A>) => Effect.Effect<B, E2, R>) => Effect.Effect<B, E | E2, R>
  /** Processes items until the queue is done; a handler's failure is logged and the next item goes on. `concurrency` is 1 unless told. */
  readonly run: <R>(
    handler: (value: A) => Effect.Effect<unknown, unknown, R>,
    options?: { readonly concurrency?: number }
  ) => Effect.Effect<never, E, R>
  readonly size: Effect.Effect<number>
  /** Ends the queue once it is empty; needs `Cause.Done` among its errors. */
  readonly end: Effect.Effect<boolean>
  /** Ends it at once; what waits is dropped and counted. */
  readonly shutdown: Effect.Effect<boolean>
}

/**
 * An observed queue. What waits is the gauge `message_backlog` until the scope closes.
 *
 * @example
 * ```ts
 * const jobs = yield* MessageQueue.make<Job>("jobs", { capacity: 1_000 })
 * yield* jobs.offer(job)                                       // in a request: the job carries its trace
 * yield* jobs.run((job) => work(job)).pipe(Effect.forkScoped)  // a span `process jobs`, child of the request's
 * ```
 */
export const make = <A, E = never>(
  name: string,
  options: MessageQueueOptions = {}
): Effect.Effect<MessageQueue<A, E>, ConfigurationError, Telemetry | MetricsRecorder | Scope.Scope> =>
  Effect.gen(function*() {
    const { capacity, consumerGroup = "", strategy = "suspend", trace } = options
    if (capacity !== undefined && !(capacity > 0)) {
      return yield* new ConfigurationError({ problems: [{ path: "capacity", message: "expected 1 or more, or nothing for an unbounded queue" }] })
    }
    const telemetry = yield* Telemetry
    const recorder = yield* MetricsRecorder
    const queue = yield* Queue.make<Envelope<A>, E>({ ...(capacity === undefined ? {} : { capacity }), strategy })
    const shared = new InProcess("effect_queue", name, recorder, telemetry.settings().metrics.conventions, trace === "link")
    const live = new Live(name, queue, shared, shared.topic.subscription(consumerGroup))
    yield* recorder.registerGauge(MessageBacklog, () => [[live.subscription.labels, Queue.sizeUnsafe(queue)]])
    return live
  })

/**
 * Shows the depth of a bare `Queue` of Effect's, or of a `PubSub`, as `message_backlog` until the scope closes; nothing else can be seen of it
 * from outside.
 */
export const watch = (
  name: string,
  queue: Queue.Dequeue<unknown, unknown> | PubSub.PubSub<any>,
  options: { readonly consumerGroup?: string } = {}
): Effect.Effect<void, never, MetricsRecorder | Scope.Scope> =>
  Effect.flatMap(MetricsRecorder, (recorder) => {
    const labels = { topic: name, consumer_group: options.consumerGroup ?? "" }
    const size = PubSub.isPubSub(queue) ? () => PubSub.sizeUnsafe(queue) : () => Queue.sizeUnsafe(queue)
    return recorder.registerGauge(MessageBacklog, () => [[labels, size()]])
  })

const yes: Exit.Exit<boolean> = Exit.succeed(true)
const no: Exit.Exit<boolean> = Exit.succeed(false)

class Live<A, E> implements MessageQueue<A, E> {
  readonly name: string
  readonly subscription: Subscription
  private readonly queue: Queue.Queue<Envelope<A>, E>
  private readonly shared: InProcess
  private readonly taken: Effect.Effect<Envelope<A>, E>

  constructor(name: string, queue: Queue.Queue<Envelope<A>, E>, shared: InProcess, subscription: Subscription) {
    this.name = name
    this.queue = queue
    this.shared = shared
    this.subscription = subscription
    const waiting = Queue.take(queue)
    this.taken = Effect.withFiber((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      const got = Queue.takeUnsafe(queue)
      // Counted in the step that takes it, where there is one to take.
      if (got !== undefined) {
        if (got._tag === "Success") shared.took(subscription, got.value, clock)
        return got
      }
      return Effect.map(waiting, (one) => {
        shared.took(subscription, one, clock)
        return one
      })
    })
    this.take = Effect.map(this.taken, (one) => one.value)
    this.takeAll = Effect.map(this.takeMany(Number.POSITIVE_INFINITY), (all) => all.map((one) => one.value))
  }

  readonly take: Effect.Effect<A, E>
  readonly takeAll: Effect.Effect<ReadonlyArray<A>, E>

  offer(value: A): Effect.Effect<boolean> {
    return Effect.withFiber((fiber) => {
      const { queue } = this
      const { topic } = this.shared
      const one = new Envelope(value, fiber)
      const slides = queue.strategy === "sliding" && Queue.isFullUnsafe(queue)
      if (Queue.offerUnsafe(queue, one)) {
        topic.sent("sent")
        if (slides) topic.dropped("slid")
        return yes
      }
      if (queue.state._tag !== "Open") {
        topic.sent("failed")
        return no
      }
      if (queue.strategy === "dropping") {
        topic.sent("rejected")
        topic.dropped("full")
        return no
      }
      return Effect.map(Queue.offer(queue, one), (accepted) => {
        topic.sent(accepted ? "sent" : "failed")
        return accepted
      })
    })
  }

  offerAll(values: Iterable<A>): Effect.Effect<ReadonlyArray<A>> {
    return Effect.map(Effect.forEach(values, (value) => Effect.map(this.offer(value), (accepted) => [accepted, value] as const)), (all) =>
      all.filter(([accepted]) => !accepted).map(([, value]) => value))
  }

  process<B, E2, R>(handler: (value: A) => Effect.Effect<B, E2, R>): Effect.Effect<B, E | E2, R> {
    return this.taking((one) => this.shared.one(this.subscription, one, Effect.suspend(() => handler(one.value))))
  }

  processBatch<B, E2, R>(max: number, handler: (values: ReadonlyArray<A>) => Effect.Effect<B, E2, R>): Effect.Effect<B, E | E2, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(this.takeMany(max)), (all) =>
        restore(this.shared.many(this.subscription, all, Effect.suspend(() => handler(all.map((one) => one.value)))))))
  }

  run<R>(handler: (value: A) => Effect.Effect<unknown, unknown, R>, { concurrency = 1 }: { readonly concurrency?: number } = {}): Effect.Effect<never, E, R> {
    const once = this.taking((one) =>
      Effect.catchCause(this.shared.one(this.subscription, one, Effect.tapCause(Effect.suspend(() => handler(one.value)), told)), (cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause as Cause.Cause<never>) : Effect.void))
    // One that finds the queue done must not take along the others, which are still at work.
    const loop = Effect.exit(Effect.forever(once) as Effect.Effect<never, E, R>)
    return Effect.flatMap(
      Effect.all(Array.from({ length: Math.max(1, concurrency) }, () => loop), { concurrency: "unbounded" }),
      ([ended]) => ended!
    )
  }

  get size(): Effect.Effect<number> {
    return Queue.size(this.queue)
  }

  get end(): Effect.Effect<boolean> {
    return Queue.end(this.queue as unknown as Queue.Queue<Envelope<A>, E | Cause.Done>)
  }

  get shutdown(): Effect.Effect<boolean> {
    return Effect.sync(() => {
      this.shared.topic.dropped("shutdown", Queue.sizeUnsafe(this.queue))
      return Queue.shutdownUnsafe(this.queue)
    })
  }

  /** What was taken is handled: an interruption comes before, or in the handler. */
  private taking<B, E2, R>(handle: (one: Envelope<A>) => Effect.Effect<B, E2, R>): Effect.Effect<B, E | E2, R> {
    return Effect.uninterruptibleMask((restore) => Effect.flatMap(restore(this.taken), (one) => restore(handle(one))))
  }

  private takeMany(max: number): Effect.Effect<ReadonlyArray<Envelope<A>>, E> {
    return Effect.withFiber((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      return Effect.map(Queue.takeBetween(this.queue, 1, Math.max(1, max)), (all) => {
        for (const one of all) this.shared.took(this.subscription, one, clock)
        return all
      })
    })
  }
}

const told = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logWarning("a message's handler failed", cause)
