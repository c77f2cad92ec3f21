import { Memory, MemoryBackend, ObservabilityConfig } from "@effect-observability/core"
import { MessagingMetrics } from "@effect-observability/instrument"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { amqpConsumer } from "./amqpConsumer.ts"
import { kafkaConsumer } from "./kafkaConsumer.ts"
import { natsConsumer } from "./natsConsumer.ts"

// A consumer process: handles messages of one broker until it is told to stop, then says what it saw. Started by `ConsumerProcess`.

/** What a consumer says when it is done. */
export interface Told {
  /** What each handler call was given, in order. */
  readonly handled: ReadonlyArray<string>
  readonly metrics: Readonly<Record<string, Readonly<Record<string, number>>>>
  readonly spans: ReadonlyArray<{ readonly name: string; readonly traceId: string; readonly parentSpanId: string | undefined; readonly links: number; readonly id: unknown }>
}

const consumers = { amqp: amqpConsumer, nats: natsConsumer, kafka: kafkaConsumer }

const settings = ObservabilityConfig.layer({ tracing: { sampleRate: 1 } })

const program = Effect.gen(function*() {
  const handled: Array<string> = []
  const kind = process.argv[2] as keyof typeof consumers
  const port = { current: Number(process.argv[3]) }
  const consumer = yield* consumers[kind](port, (text) => {
    handled.push(text)
    process.send?.({ handled: handled.length })
  }).pipe(Effect.forkChild)
  yield* Effect.callback<void>((resume) => {
    process.on("message", (message: { readonly stop?: true; readonly port?: number }) => {
      if (message.port !== undefined) port.current = message.port
      if (message.stop === true) resume(Effect.void)
    })
    process.on("disconnect", () => process.exit(1))
  })
  yield* Fiber.interrupt(consumer)
  const memory = yield* MemoryBackend
  const metrics: Record<string, Record<string, number>> = {}
  for (const { name, type } of MessagingMetrics.all) {
    if (type === "histogram") continue
    metrics[name] = Object.fromEntries((yield* memory.describe(name)).map(({ labels, value }) => [Object.values(labels).join(" "), value]))
  }
  const spans = (yield* memory.spans).map(({ attributes, links, name, parentSpanId, traceId }) => ({
    name, traceId, parentSpanId, links: links.length, id: attributes.get("request_id")
  }))
  const told: Told = { handled, metrics, spans }
  yield* Effect.callback<void>((resume) => void process.send?.({ told }, () => resume(Effect.void)))
}).pipe(Effect.provide(Memory.layer({ maxSpans: 100_000 }).pipe(Layer.provide(settings))))

Effect.runPromise(program).then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${String(error)}\n`)
    process.exit(1)
  }
)
