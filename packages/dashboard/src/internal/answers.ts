import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** What every answer carries. The page may load its own script and style and ask its own origin, nothing else. */
export const headers = {
  "cache-control": "no-store",
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY"
} as const

/** A question that cannot be answered: what is wrong and what helps. */
export class Refused {
  readonly _tag = "Refused"
  readonly status: number
  readonly message: string
  constructor(status: number, message: string) {
    this.status = status
    this.message = message
  }
}

export const refuse = (status: number, message: string): Effect.Effect<never, Refused> => Effect.fail(new Refused(status, message))

export const refusal = (status: number, message: string, more: Readonly<Record<string, string>> = {}): HttpServerResponse.HttpServerResponse =>
  json({ error: message }, status, more)

export const json = (value: unknown, status = 200, more: Readonly<Record<string, string>> = {}): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(JSON.stringify(value, plain), { status, contentType: "application/json; charset=utf-8", headers: { ...headers, ...more } })

/** JSON has no bigint, Map and NaN: text, object and `null`. */
const plain = (_key: string, value: unknown): unknown =>
  typeof value === "bigint"
    ? value.toString()
    : value instanceof Map
    ? Object.fromEntries(value)
    : typeof value === "number" && !Number.isFinite(value)
    ? null
    : value
