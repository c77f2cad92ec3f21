import { Sentry } from "@effect-observability/sentry"
import { ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { Effect, Layer, Logger } from "effect"

const [dsn, what] = process.argv.slice(2)
const items = what === "spans" ? 20_000 : 2_000

const spans = Effect.forEach(Array.from({ length: 20 }), () =>
  Effect.andThen(
    Effect.forEach(Array.from({ length: items / 20 }), () =>
      Effect.withSpan(Effect.void, "GET /orders/:id", { root: true, captureStackTrace: false, attributes: { "http.request.method": "GET", "http.route": "/orders/:id", a: 1, b: true, c: "text" } }), { discard: true }),
    Effect.flatMap(Telemetry, ({ flush }) => flush)
  ), { discard: true })

const errors = Effect.forEach(Array.from({ length: 20 }), () =>
  Effect.andThen(
    Effect.forEach(Array.from({ length: items / 20 }), (_, i) => Effect.exit(Effect.withErrorReporting(Effect.die(new Error(`broken ${i}`)))), { discard: true }),
    Effect.flatMap(Telemetry, ({ flush }) => flush)
  ), { discard: true })

const program = Effect.gen(function*() {
  const before = process.cpuUsage()
  yield* what === "spans" ? spans : errors
  const { system, user } = process.cpuUsage(before)
  process.stdout.write(String((system + user) / items))
})

await Effect.runPromise(program.pipe(
  Effect.provide(Sentry.layer({ dsn: dsn! }).pipe(Layer.provide(ObservabilityConfig.layer({})))),
  Effect.provide(Logger.layer([]))
))
