import { PoisonMessage, RabbitMq } from "@effect-observability/instrument"
import amqp from "amqplib"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"

export const queue = "orders"

/** Consumes until interrupted, with a new connection whenever one is lost. `poison-…` is marked, `retry-…` fails the first time. */
export const amqpConsumer = (port: { readonly current: number }, handled: (text: string) => void) =>
  Effect.scoped(Effect.gen(function*() {
    // Longer than a connection: its last word comes after its channels' and their consumers'.
    const whole = yield* Effect.scope
    const rabbit = yield* RabbitMq.make({ server: `127.0.0.1:${port.current}` })
    const once = Effect.scoped(Effect.gen(function*() {
      const connection = yield* Effect.acquireRelease(
        Effect.tryPromise(async () => {
          const connected = await amqp.connect({ hostname: "127.0.0.1", port: port.current })
          connected.on("error", () => {})
          return connected
        }),
        // One that is lost while it is closed never says so.
  (connection) => Effect.tryPromise(() => connection.close()).pipe(Effect.timeout("2 seconds"), Effect.ignoreCause)
      )
      yield* Scope.provide(rabbit.watch(connection), whole)
      const channel = yield* Effect.tryPromise(() => connection.createChannel())
      channel.on("error", () => {})
      yield* Effect.tryPromise(async () => {
        await channel.assertQueue(queue, { durable: true })
        await channel.prefetch(20)
      })
      return yield* rabbit.consume(channel, queue, (message) =>
        Effect.gen(function*() {
          const text = message.content.toString()
          handled(text)
          yield* Effect.sleep("2 millis")
          if (text.startsWith("poison-")) return yield* new PoisonMessage({ cause: "by its name" })
          if (text.startsWith("retry-") && !message.fields.redelivered) return yield* Effect.fail(new RangeError("the first time"))
          if (text.startsWith("never-")) return yield* Effect.fail(new RangeError("every time"))
        }))
    }))
    return yield* once.pipe(Effect.retry({ schedule: Schedule.spaced("200 millis") }), Effect.orDie)
  }))
