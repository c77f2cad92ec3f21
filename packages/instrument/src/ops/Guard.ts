import { ConfigurationError } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import { addressOf, clientOf, isLoopback, Networks } from "./internal/addresses.ts"
import { type CredentialOptions, Credentials } from "./internal/credentials.ts"
import { RateLimit } from "./internal/RateLimit.ts"

/** Who may ask. Without credentials and without `allow` only this machine may. */
export interface GuardOptions extends CredentialOptions {
  /** Networks (`10.0.0.0/8`), addresses, or `loopback`: who may ask at all, credentials or not. */
  readonly allow?: ReadonlyArray<string>
  /** Networks whose `X-Forwarded-For` is believed. Default: nobody's. */
  readonly trustedProxies?: ReadonlyArray<string>
  /** Requests per minute, or `false` for no limit. Default 120 for each address, 1,200 in all. */
  readonly rateLimit?: false | { readonly perAddress?: number; readonly overall?: number }
}

/** Lets a request pass (`undefined`) or answers it. */
export type Guard = (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<HttpServerResponse.HttpServerResponse | undefined>

/** What every answer carries (OWASP Secure Headers, for pages that no browser need show). */
export const securityHeaders = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY"
} as const

export const refusal = (status: number, why: string, more: Readonly<Record<string, string>> = {}): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(`${why}\n`, { status, headers: { ...securityHeaders, ...more } })

/** A guard; fails when a network or limit cannot be used. */
export const make = (options: GuardOptions = {}): Effect.Effect<Guard, ConfigurationError> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    const problems: Array<{ readonly path: string; readonly message: string }> = []
    const networks = (path: "allow" | "trustedProxies") => {
      const found = new Networks(options[path] ?? [])
      for (const text of found.wrong) problems.push({ path, message: `${JSON.stringify(text)} is no network: write 10.0.0.0/8, an address, or loopback` })
      return found
    }
    const allowed = options.allow === undefined ? undefined : networks("allow")
    const trusted = networks("trustedProxies")
    const { overall = 1_200, perAddress = 120 } = options.rateLimit === false ? {} : options.rateLimit ?? {}
    for (const [path, value] of [["rateLimit.overall", overall], ["rateLimit.perAddress", perAddress]] as const) {
      if (!(value >= 1 && value <= 1e9)) problems.push({ path, message: "expected requests per minute, 1 or more; or rateLimit: false" })
    }
    if (problems.length > 0) return yield* new ConfigurationError({ problems })
    const credentials = new Credentials(options)
    const limit = options.rateLimit === false ? undefined : new RateLimit(perAddress, overall, now())

    return (request) =>
      Effect.sync(() => {
        const peer = Option.getOrUndefined(request.peerAddress)
        const from = peer === undefined ? undefined : addressOf(peer)
        const client = from === undefined ? undefined : clientOf(from, request.headers["x-forwarded-for"], trusted)
        // First who may ask at all: strangers must not use up what is there for the others.
        if (allowed === undefined ? !credentials.isAsked && !(client !== undefined && isLoopback(client)) : client === undefined || !allowed.has(client)) {
          return refusal(403, "not from this address")
        }
        const wait = limit?.take(client === undefined ? "" : NetAddress.formatIp(client), now()) ?? 0
        if (wait > 0) return refusal(429, "too many requests", { "retry-after": String(wait) })
        if (!credentials.isAsked) return undefined
        if (credentials.accepts({ header: (name) => valuesOf(request, name) })) return undefined
        return refusal(401, "credentials are needed", credentials.challenge === undefined ? {} : { "www-authenticate": credentials.challenge })
      })
  })

/** Node joins or drops repeated headers; what really came stands in the raw ones. */
const valuesOf = (request: HttpServerRequest.HttpServerRequest, name: string): ReadonlyArray<string> => {
  const raw: unknown = (request.source as { readonly rawHeaders?: unknown }).rawHeaders
  if (Array.isArray(raw)) return raw.filter((_, i) => i % 2 === 1 && String(raw[i - 1]).toLowerCase() === name).map(String)
  const value = request.headers[name]
  return value === undefined ? [] : [value]
}
