import { type ConfigurationError, Diagnostics, Exposition, Health, Spans } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Guard from "./Guard.ts"

export type { GuardOptions } from "./Guard.ts"

export interface OpsOptions extends Guard.GuardOptions {
  /** Before every path. Default: nothing. */
  readonly prefix?: `/${string}`
  /**
   * `"open"`: `/health/live` and `/health/ready` answer anyone who may ask at all (`allow`) without credentials, for the probes of an
   * orchestrator. They say one word then, and nothing about the parts. Default `"guarded"`.
   */
  readonly probes?: "guarded" | "open"
}

/**
 * `GET` and `HEAD` of `/metrics`, `/health/live`, `/health/ready`, `/health/ready/{group}` and `/diagnostics` in the program's own router. Without credentials
 * and without `allow` only this machine is answered; nobody else gets more than "no". What they answer leaves no span.
 *
 * `/metrics` is there when a backend renders a page (`Prometheus.layer()`), else it is a 404. Fails when an option cannot be used.
 *
 * @example
 * ```ts
 * const ops = OpsEndpoints.layer({ bearer: Redacted.make(token), allow: ["10.0.0.0/8"], probes: "open" })
 * const app = HttpRouter.serve(Layer.merge(routes, ops))
 * ```
 */
export const layer = (options: OpsOptions = {}): Layer.Layer<never, ConfigurationError, HttpRouter.HttpRouter | Health | Diagnostics> =>
  HttpRouter.use((router) =>
    Effect.gen(function*() {
      const health = yield* Health
      const diagnostics = yield* Diagnostics
      const exposition = yield* Effect.serviceOption(Exposition)
      const guard = yield* Guard.make(options)
      const probeGuard = options.probes === "open" ? yield* Guard.make(withoutCredentials(options)) : guard
      const { prefix = "" } = options

      const serve = (path: string, allowed: Guard.Guard, answer: (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<Response>) =>
        router.add("*", `${prefix}${path}` as `/${string}`, (request) =>
          Effect.withFiber((fiber) => {
            const span = fiber.cache.span
            if (span?._tag === "Span" && span.kind === "server") Spans.discard(span)
            if (request.method !== "GET" && request.method !== "HEAD") {
              return Effect.succeed(Guard.refusal(405, "only GET", { allow: "GET, HEAD" }))
            }
            return Effect.flatMap(allowed(request), (refused) => refused === undefined ? answer(request) : Effect.succeed(refused))
          }).pipe(Effect.catchDefect(() => Effect.succeed(Guard.refusal(500, "this cannot be answered just now")))))

      yield* serve("/metrics", guard, (request) =>
        Option.isNone(exposition)
          ? Effect.succeed(Guard.refusal(404, "no backend renders a page: add Prometheus.layer()"))
          : Effect.map(exposition.value.render(request.headers["accept"]), ({ body, contentType }) =>
            HttpServerResponse.stream(body, { contentType, headers: { ...Guard.securityHeaders, vary: "Accept" } })))
      yield* serve("/health/live", probeGuard, () =>
        Effect.map(health.check, ({ live }) => json({ status: live ? "up" : "down" }, live ? 200 : 503)))
      const say = (ready: boolean, report: unknown) => json(options.probes === "open" ? { status: ready ? "up" : "down" } : report, ready ? 200 : 503)
      yield* serve("/health/ready", probeGuard, () => Effect.map(health.check, (report) => say(report.ready, report)))
      yield* serve("/health/ready/:group", probeGuard, (request) =>
        Effect.map(health.check, ({ components, groups }) => {
          const name = request.url.split("?")[0]!.split("/").at(-1)!
          const group = Object.hasOwn(groups, name) ? groups[name] : undefined
          if (group === undefined) return Guard.refusal(404, "no such group")
          return say(group.ready, { ...group, components: components.filter((one) => one.group === name) })
        }))
      yield* serve("/diagnostics", guard, () => Effect.map(diagnostics.report, (report) => json(report, 200)))
    })
  )

type Response = HttpServerResponse.HttpServerResponse

const withoutCredentials = ({ allow, rateLimit, trustedProxies }: OpsOptions): Guard.GuardOptions => ({
  allow: allow ?? ["0.0.0.0/0", "::/0"],
  ...(rateLimit === undefined ? {} : { rateLimit }),
  ...(trustedProxies === undefined ? {} : { trustedProxies })
})

const json = (value: unknown, status: number): Response =>
  HttpServerResponse.text(`${JSON.stringify(value, plain, 2)}\n`, { status, contentType: "application/json; charset=utf-8", headers: Guard.securityHeaders })

const plain = (_key: string, value: unknown): unknown =>
  typeof value === "bigint"
    ? value.toString()
    : value instanceof Map
    ? Object.fromEntries(value)
    : typeof value === "number" && !Number.isFinite(value)
    ? String(value)
    : value
