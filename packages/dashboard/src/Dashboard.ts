import { AlertHistory, Alerts, type ConfigurationError, Diagnostics, ErrorHistory, Health, HistoryError, MetricsHistory, Spans, Telemetry, TraceHistory } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import * as Assets from "./assets/assets.ts"
import { headers, json, refusal, Refused } from "./internal/answers.ts"
import { thisMachine } from "./internal/local.ts"
import * as Metrics from "./internal/metrics.ts"
import { icon, page } from "./internal/page.ts"
import { Params } from "./internal/params.ts"
import { addSilence, removeSilence, sameOrigin } from "./internal/silences.ts"
import * as Traces from "./internal/traces.ts"
import * as Troubles from "./internal/troubles.ts"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

/** Lets a request pass (`undefined`) or answers it: what `Guard.make` of `@effect-observability/instrument/node` gives. */
export type Guard = (request: Request) => Effect.Effect<Response | undefined>

export interface DashboardOptions {
  /** Where the page is. Default `"/observability"`. */
  readonly path?: `/${string}`
  /**
   * Who may look. Default: this machine alone, asked for by a name of this machine (`localhost`, `127.0.0.1`, `[::1]`), so that no page of
   * another origin reaches it under a name of its own.
   */
  readonly guard?: Effect.Effect<Guard, ConfigurationError>
  /** How long one question to a history may take, milliseconds, before it is given up; 100 to 60,000, default 10,000. */
  readonly timeout?: number
}

/** Questions asked of the histories at a time; others wait, within their timeout. The program's own work comes first. */
const atATime = 4

/**
 * The page and its API in the program's own router. It asks the history services that are there; a page whose service is missing says
 * which Layer gives it. Looking leaves no span. Fails when the page cannot be read or the guard cannot be made.
 *
 * @example
 * ```ts
 * const dashboard = Dashboard.layer({ guard: Guard.make({ basic: { username: "ops", password } }) })
 * const app = HttpRouter.serve(Layer.merge(routes, dashboard)).pipe(Layer.provide(Postgres.layer()))
 * ```
 */
export const layer = (options: DashboardOptions = {}): Layer.Layer<never, ConfigurationError, HttpRouter.HttpRouter> =>
  HttpRouter.use((router) =>
    Effect.gen(function*() {
      const path = (options.path ?? "/observability").replace(/\/+$/, "")
      const timeout = Math.min(60_000, Math.max(100, options.timeout ?? 10_000))
      const assets = yield* Assets.load
      const guard = options.guard === undefined ? thisMachine : yield* options.guard
      const clock = yield* Clock.Clock
      const semaphore = yield* Semaphore.make(atATime)
      const traces = yield* Effect.serviceOption(TraceHistory)
      const metrics = yield* Effect.serviceOption(MetricsHistory)
      const errors = yield* Effect.serviceOption(ErrorHistory)
      const alertHistory = yield* Effect.serviceOption(AlertHistory)
      const alerts = yield* Effect.serviceOption(Alerts)
      const health = yield* Effect.serviceOption(Health)
      const diagnostics = yield* Effect.serviceOption(Diagnostics)
      const telemetry = yield* Effect.serviceOption(Telemetry)

      const serve = (method: "GET" | "POST" | "DELETE", at: string, answer: (request: Request) => Effect.Effect<Response, Refused | HistoryError>) =>
        router.add(method, `${path}${at}` as `/${string}`, (request) =>
          Effect.withFiber((fiber) => {
            const span = fiber.cache.span
            if (span?._tag === "Span" && span.kind === "server") Spans.discard(span)
            return Effect.flatMap(guard(request), (refused) => refused === undefined ? answer(request) : Effect.succeed(refused))
          }).pipe(
            Effect.catch((error) => Effect.succeed(error instanceof Refused
              ? refusal(error.status, error.message)
              : refusal(error.reason === "invalid" ? 400 : 503, error.message))),
            Effect.catchDefect(() => Effect.succeed(refusal(500, "This cannot be answered just now.")))
          ))

      /** A question to a service that may be missing. */
      const ask = <S>(at: string, service: Option.Option<S>, hint: string, answer: (service: S, params: Params) => Effect.Effect<unknown, Refused | HistoryError>) =>
        serve("GET", `/api/${at}`, (request) =>
          Option.isNone(service)
            ? Effect.succeed(refusal(404, hint))
            : Effect.suspend(() => answer(service.value, new Params(request.url, clock.currentTimeMillisUnsafe()))).pipe(
              semaphore.withPermits(1),
              Effect.timeoutOption(timeout),
              // Its span would be one more in the histories that are looked at.
              Effect.withTracerEnabled(false),
              Effect.map((answer) => Option.isNone(answer)
                ? refusal(504, `The answer took longer than ${timeout / 1_000} seconds: ask for a shorter time or fewer series.`)
                : json(answer.value))
            ))

      yield* serve("GET", "/page.js", () => Effect.succeed(asset(assets.script, "text/javascript; charset=utf-8")))
      yield* serve("GET", "/page.css", () => Effect.succeed(asset(assets.style, "text/css; charset=utf-8")))
      yield* serve("GET", "/icon.svg", () => Effect.succeed(asset(icon, "image/svg+xml")))
      yield* serve("GET", "", () => Effect.succeed(asset(page(path), "text/html; charset=utf-8")))

      const available = {
        traces: Option.isSome(traces), metrics: Option.isSome(metrics), errors: Option.isSome(errors), alertHistory: Option.isSome(alertHistory),
        alerts: Option.isSome(alerts), health: Option.isSome(health), diagnostics: Option.isSome(diagnostics)
      }
      yield* serve("GET", "/api/session", () =>
        Effect.succeed(json({ now: clock.currentTimeMillisUnsafe(), service: Option.isSome(telemetry) ? telemetry.value.resource.service : "", available })))

      yield* ask("operations", traces, hints.traces, Traces.operations)
      yield* ask("dependencies", traces, hints.traces, Traces.dependencies)
      yield* ask("latency", traces, hints.traces, Traces.latency)
      yield* ask("traces", traces, hints.traces, Traces.search)
      yield* ask("differs", traces, hints.traces, Traces.differs)
      yield* ask("trace", traces, hints.traces, Traces.trace)
      yield* ask("span", traces, hints.traces, Traces.span)
      yield* ask("metrics", telemetry, hints.metrics, (service) => Effect.sync(() => ({ metrics: Metrics.names(service) })))
      yield* ask("range", metrics, hints.metrics, Metrics.range)
      yield* ask("errors", errors, hints.errors, Troubles.errorGroups)
      yield* ask("error", errors, hints.errors, Troubles.error)
      yield* ask("alerts", alerts, hints.alerts, Troubles.alertsNow)
      yield* ask("alert-events", alertHistory, hints.alertHistory, Troubles.alertEvents)
      yield* ask("health", health, hints.health, (service) => service.check)
      yield* ask("diagnostics", diagnostics, hints.health, (service) => service.report)
      if (Option.isSome(alerts)) {
        yield* serve("POST", "/api/silences", (request) => Effect.andThen(sameOrigin(request), addSilence(alerts.value, request)))
        yield* serve("DELETE", "/api/silences/:id", (request) => Effect.andThen(sameOrigin(request), removeSilence(alerts.value, request)))
      }
    })
  )

/** Which Layer gives what is missing. */
const hints = {
  traces: "No history of traces: provide Postgres.layer(), ClickHouse.layer() or MemoryHistory.layerBackend().",
  metrics: "No history of metrics: provide Postgres.layer(), ClickHouse.layer() or MemoryHistory.layerBackend().",
  errors: "No history of errors: provide Postgres.layer(), ClickHouse.layer() or MemoryHistory.layerBackend().",
  alertHistory: "No history of alerts: provide Postgres.layer(), ClickHouse.layer() or MemoryHistory.layerBackend().",
  alerts: "Nobody evaluates alerts here: provide Alerts.layer().",
  health: "Health and diagnostics come with any backend: provide one, such as Postgres.layer()."
} as const

const asset = (body: string, contentType: string): Response => HttpServerResponse.text(body, { contentType, headers })
