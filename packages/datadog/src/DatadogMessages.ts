import { type BatchProcessor as Queue, BatchProcessor, type Telemetry } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type { DatadogConfig, DatadogConfigError } from "./DatadogConfig.ts"
import { type Dogstatsd, make } from "./Dogstatsd.ts"
import type { StatsdTarget } from "./internal/targets.ts"
import { open } from "./transport/open.ts"
import { Sender } from "./transport/Sender.ts"

export interface MessagesPipe {
  readonly service: Dogstatsd["Service"]
  readonly queue: Queue.BatchProcessor<string>
  readonly sender: Sender
  /** The backend began to close at `now`, monotonic milliseconds: the queues share one shutdown timeout. */
  readonly closing: (now: number) => void
}

/** How long a message waits for company. */
const flushInterval = "200 millis"
const maxMessages = 20_000

/** The queue behind `Dogstatsd`: its items are messages, so that its books count them. */
export const start = (
  config: DatadogConfig,
  target: StatsdTarget,
  telemetry: Telemetry["Service"]
): Effect.Effect<MessagesPipe, DatadogConfigError, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const random = yield* Random.Random
    const settings = telemetry.settings()
    const sender = new Sender(yield* open(target, () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6), config.maxDatagramSize)
    yield* Effect.addFinalizer(() => Effect.sync(() => sender.close()))
    const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    let began: number | undefined
    const queue = yield* BatchProcessor.make<string>({
      export: (batch, attempt) =>
        Effect.map(sender.deliver(() => batch, attempt), (rejected) => ({ rejected, reason: rejected === 0 ? "" : "too_long" })),
      giveUp: sender.giveUp
    }, {
      ...BatchProcessor.defaultPolicy<string>(),
      maxItems: maxMessages,
      maxBytes: 8 * 1024 * 1024,
      batchSize: 4_096,
      flushInterval,
      attemptTimeout: settings.requestTimeout,
      drainDeadline: settings.shutdownTimeout,
      maxBackoff: "5 seconds",
      overflow: "oldest",
      weigh: (message) => 32 + 2 * message.length
    }, {
      drainBudget: () => telemetry.settings().shutdownTimeout - (began === undefined ? 0 : now() - began)
    })
    return {
      closing: (at) => {
        began = at
      },
      queue,
      sender,
      service: make({
        tags: config.metricTags,
        originFields: config.originFields,
        offer: queue.offerUnsafe,
        refuse: (reason) => queue.refuseUnsafe(1, reason),
        random: () => random.nextDoubleUnsafe()
      })
    }
  })
