import { type BatchProcessor, type ComponentReport, type CompositionError, Exporter, pipesReport, quietly, Telemetry } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Registry } from "prom-client"
import { Pages } from "./internal/Pages.ts"
import { send } from "./internal/pushRequest.ts"
import { type PushTarget, pushTarget } from "./internal/pushTarget.ts"
import { within } from "./internal/within.ts"

export interface PushgatewayOptions {
  /** `http:` or `https:`, a path prefix if there is one; credentials in it are moved to a header and never shown. */
  readonly url: string
  /** The group's `job` label; any text but the empty one. */
  readonly job: string
  /** The other labels of the group, such as `{ instance: "a" }`; any text as value. They replace labels of the same name on the metrics. */
  readonly groupingKey?: Readonly<Record<string, string>>
  /** Basic authentication. */
  readonly username?: string
  readonly password?: Redacted.Redacted<string>
  /** Sent as `Authorization: Bearer …`. */
  readonly token?: Redacted.Redacted<string>
  /** `"push"` (PUT) replaces the whole group, `"pushAdd"` (POST) only metrics of the same names. Default `"push"`. */
  readonly method?: "push" | "pushAdd"
  /** Time between pushes; one more happens when the scope closes. Default: `flushInterval` of the settings (15 seconds). */
  readonly interval?: Duration.Input
  /** Removes the group when the scope closes, after the last push. Default `false`: a batch job wants its result kept. */
  readonly deleteOnClose?: boolean
  /** A prom-client registry of the program's own: its metrics are pushed along. */
  readonly registry?: Registry
  /** Name of the backend in reports. Default `"pushgateway"`. */
  readonly name?: string
}

/** Options that cannot be used; the message names each field and the fix, and never a secret. */
export class PushgatewayError extends Schema.TaggedError<PushgatewayError>()("PushgatewayError", {
  problems: Schema.Array(Schema.Struct({ field: Schema.String, message: Schema.String }))
}) {
  override get message(): string {
    return this.problems.map(({ field, message }) => `Pushgateway: ${field} ${message}`).join("\n")
  }
}

/**
 * Pushes everything recorded to a Pushgateway, in the group of a job: at every interval, at `Telemetry.flush`, and when the scope closes.
 *
 * A push carries totals, so a failed one loses nothing that the next does not bring: it is tried again while the Pushgateway is
 * away, and refused for good, counted by its reason, when it says no.
 *
 * @example
 * ```ts
 * // A batch job: one push when it ends, kept for Prometheus to scrape.
 * const observability = Pushgateway.layerOnClose({ url: "http://pushgateway:9091", job: "nightly_import" })
 * NodeRuntime.runMain(importOrders.pipe(Effect.provide(observability)))
 * ```
 */
export const layer = (options: PushgatewayOptions): Layer.Layer<Layer.Success<typeof Telemetry.layer>, CompositionError | PushgatewayError> =>
  layerBackend(options).pipe(Layer.provideMerge(Telemetry.layer))

/** As `layer`, with one push only, when the scope closes: for batch jobs. */
export const layerOnClose = (
  options: Omit<PushgatewayOptions, "interval">
): Layer.Layer<Layer.Success<typeof Telemetry.layer>, CompositionError | PushgatewayError> => layer({ ...options, interval: Duration.infinity })

/** The pushes alone, on a hub that is there. */
export const layerBackend = (options: PushgatewayOptions): Layer.Layer<never, CompositionError | PushgatewayError, Telemetry> =>
  Layer.effectDiscard(make(options)).pipe(
    Layer.provide(FetchHttpClient.layer),
    Layer.provide(Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" }))
  )

const make = (options: PushgatewayOptions): Effect.Effect<void, CompositionError | PushgatewayError, Telemetry | HttpClient.HttpClient | Scope.Scope> =>
  Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const { groupingKey = {}, job, name = "pushgateway", password, registry, token, url, username } = options
    const settings = telemetry.settings()
    const interval = Duration.toMillis(options.interval ?? settings.flushInterval)
    const target = pushTarget({ url, job, groupingKey, username, password, token, interval })
    if (!("url" in target)) return yield* new PushgatewayError({ problems: target })
    if (!settings.enabled || !settings.metrics.enabled) return
    const context = yield* Effect.context<HttpClient.HttpClient>()
    const pages = new Pages(telemetry, { registries: registry === undefined ? [] : [registry] })
    const method = options.method === "pushAdd" ? "POST" : "PUT"

    // Added before the queue, so that it runs after the last push.
    const closing = yield* shutdownClock
    if (options.deleteOnClose === true) yield* Effect.addFinalizer(() => Effect.provideContext(remove(target, closing, telemetry), context))
    const frames = yield* telemetry.exportFrames({
      name,
      interval,
      exporter: {
        // Whatever the frames of a batch hold, the page has it already.
        export: () =>
          Stream.mkString(pages.page("text")).pipe(
            Effect.flatMap((page) => send(target, method, page)),
            Effect.as(Exporter.complete),
            Effect.provideContext(context)
          )
      },
      policy: { batchSize: Number.MAX_SAFE_INTEGER }
    })
    yield* closing.start
    yield* telemetry.register({ name, kind: "pushgateway", flush: frames.flush, report: () => report(name, frames, pages.problem()) })
  })

interface ShutdownClock {
  /** Adds the finalizer that notes when the scope began to close. */
  readonly start: Effect.Effect<void, never, Scope.Scope>
  /** Milliseconds since then. */
  readonly elapsed: Effect.Effect<number>
}

const shutdownClock: Effect.Effect<ShutdownClock> = Effect.map(Clock.Clock, (clock) => {
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  let began: number | undefined
  return {
    start: Effect.addFinalizer(() => Effect.sync(() => began = now())),
    elapsed: Effect.sync(() => began === undefined ? 0 : now() - began)
  }
})

/** Removes the group within what is left of the shutdown timeout; when that does not work out, says who still shows it. */
const remove = (target: PushTarget, closing: ShutdownClock, telemetry: Telemetry["Service"]): Effect.Effect<void, never, HttpClient.HttpClient> =>
  Effect.flatMap(closing.elapsed, (elapsed) => {
    const left = telemetry.settings().shutdownTimeout - elapsed
    const attempt = send(target, "DELETE", undefined).pipe(
      Effect.retry({ schedule: Schedule.jittered(Schedule.exponential("100 millis")), while: ({ reason }) => reason.isRetryable })
    )
    const outcome = left <= 0 ? Effect.succeed("no time was left") : within(attempt, left, "no answer in time")
    return Effect.flatMap(outcome, (problem) =>
      problem === undefined ? Effect.void : Effect.logWarning(`the group at ${target.label} was not deleted and will be scraped on: ${problem}`))
  }).pipe(quietly)

const report = (name: string, frames: BatchProcessor.BatchProcessor<never>, problem: string | undefined): ComponentReport => {
  const { failures, lastError } = frames.status()
  return {
    ...pipesReport([{ signal: "metrics", processor: frames }], problem),
    name,
    kind: "pushgateway",
    reason: failures > 0 ? lastError : problem
  }
}
