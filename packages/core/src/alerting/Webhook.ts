import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { type ExportError, refused, retryAfter, unavailable } from "../pipe/Exporter.ts"
import type { AlertSink } from "./AlertSink.ts"
import { type BodyOptions, v2Body, v4Body } from "./internal/bodies.ts"

/** A sink that cannot be; the message names the field and the fix, and repeats no secret. */
export class AlertSinkError extends Schema.TaggedError<AlertSinkError>()("AlertSinkError", { message: Schema.String }) {}

export interface WebhookOptions extends BodyOptions {
  /** `http:` or `https:`; fixed here, nothing of an alert changes where it goes. Redirects are not followed. */
  readonly url: string | Redacted.Redacted<string>
  /** Sent with every request; values may be `Redacted`. */
  readonly headers?: Readonly<Record<string, string | Redacted.Redacted<string>>>
  /** Default `"webhook"`. */
  readonly name?: string
  /** Of one request. Default 10 seconds. */
  readonly timeout?: Duration.Input
}

export type AlertmanagerOptions = Omit<WebhookOptions, "receiver">

/**
 * Posts each notification as Alertmanager's webhook does (body version 4), so that its receivers take it. Throws `AlertSinkError`.
 *
 * @example
 * ```ts
 * const sink = AlertSinks.webhook({ url: "https://chat.example.com/hooks/7", headers: { authorization: Redacted.make("Bearer …") } })
 * ```
 */
export const webhook = (options: WebhookOptions): AlertSink => {
  const post = poster(options)
  return { name: options.name ?? "webhook", send: (notification) => post(v4Body(notification, options)) }
}

/** How often what fires is said again to an Alertmanager, and for how long it believes it. Milliseconds. */
const repeatEvery = 60_000
const validFor = 4 * repeatEvery

/**
 * Hands alerts to a real Alertmanager, as Prometheus does (`POST /api/v2/alerts` under `url`): it groups, silences and routes them. What
 * fires is said again every minute. Throws `AlertSinkError`.
 */
export const alertmanager = (options: AlertmanagerOptions): AlertSink => {
  const url = Redacted.make(`${plain(options.url).replace(/\/+$/, "")}/api/v2/alerts`)
  const post = poster({ ...options, url })
  return { name: options.name ?? "alertmanager", repeatInterval: repeatEvery, send: (notification) => post(v2Body(notification, options, validFor)) }
}

const plain = (text: string | Redacted.Redacted<string>): string => Redacted.isRedacted(text) ? Redacted.value(text) : text

const poster = (options: WebhookOptions): (body: unknown) => Effect.Effect<void, ExportError> => {
  const { headers = {}, name = "webhook", timeout = "10 seconds" } = options
  const url = plain(options.url)
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    throw new AlertSinkError({ message: `${name}.url: must be an http or https URL` })
  }
  if (parsed.username !== "" || parsed.password !== "") {
    throw new AlertSinkError({ message: `${name}.url: must not carry a user or password: give headers: { authorization: Redacted.make("Basic …") }` })
  }
  for (const [header, value] of Object.entries(headers)) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(header) || /[\r\n\0]/.test(plain(value))) {
      throw new AlertSinkError({ message: `${name}.headers: a header's name must be a token, and its value one line` })
    }
  }
  return (body) =>
    Effect.gen(function*() {
      const client = yield* HttpClient.HttpClient
      const request = HttpClientRequest.post(url).pipe(
        HttpClientRequest.setHeaders(Object.fromEntries(Object.entries(headers).map(([header, value]) => [header, plain(value)]))),
        HttpClientRequest.bodyJsonUnsafe(body)
      )
      const response = yield* client.execute(request).pipe(
        // What the client says may repeat the address.
        Effect.mapError(() => unavailable(`${name}: no answer from ${parsed.host}`)),
        Effect.timeoutOrElse({ duration: timeout, orElse: () => Effect.fail(unavailable(`${name}: no answer from ${parsed.host} in time`)) })
      )
      const { status } = response
      if (status >= 200 && status < 300) return
      if (status === 429 || status >= 500) {
        const now = yield* Clock.currentTimeMillis
        return yield* unavailable(`${name}: ${parsed.host} answered ${status}`, retryAfter(response.headers["retry-after"], now))
      }
      return yield* refused(
        status === 0 || (status >= 300 && status < 400) ? `${name}: ${parsed.host} redirects, which is not followed: give the final URL` : `${name}: ${parsed.host} answered ${status}`,
        `rejected:${status}`,
        false
      )
    }).pipe(
      // The answer's body is nobody's: the connection is free when its scope closes.
      Effect.scoped,
      Effect.provide(FetchHttpClient.layer),
      Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" })
    )
}
