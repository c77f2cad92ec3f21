import * as Option from "effect/Option"
import type * as EffectTracer from "effect/Tracer"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { pathOf, queryNames } from "./paths.ts"

/** The methods of OpenTelemetry's HTTP conventions; others are `_OTHER`, so that callers cannot make up label values. */
const known: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"])

export const methodOf = (request: HttpServerRequest): string => known.has(request.method) ? request.method : "_OTHER"

/** What is known of a request before it is answered (OpenTelemetry semantic conventions, HTTP server spans). */
export const describeRequest = (span: EffectTracer.Span, request: HttpServerRequest, method: string): void => {
  const { headers } = request
  span.attribute("http.request.method", method)
  if (method === "_OTHER") span.attribute("http.request.method_original", request.method.slice(0, maxMethodLength))
  span.attribute("url.path", pathOf(request.url))
  const query = queryNames(request.url)
  if (query !== undefined) span.attribute("url.query", query)
  const scheme = schemeOf(request)
  span.attribute("url.scheme", scheme)
  const host = headers["host"]
  if (host !== undefined) describeServer(span, host, scheme)
  const agent = headers["user-agent"]
  if (agent !== undefined) span.attribute("user_agent.original", agent)
  const client = request.remoteAddress
  if (Option.isSome(client)) span.attribute("client.address", client.value)
}

const maxMethodLength = 32

const schemeOf = (request: HttpServerRequest): string =>
  request.protocol ?? (request.originalUrl.startsWith("https:") ? "https" : "http")

const hostAndPort = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?$/

const describeServer = (span: EffectTracer.Span, host: string, scheme: string): void => {
  if (host !== lastHost) {
    const found = host.length <= maxHostLength ? hostAndPort.exec(host) : null
    lastHost = host
    lastAddress = found === null ? undefined : found[1] ?? found[2]
    lastPort = found?.[3] === undefined ? undefined : Number(found[3])
  }
  if (lastAddress === undefined) return
  span.attribute("server.address", lastAddress)
  span.attribute("server.port", lastPort ?? (scheme === "https" ? 443 : 80))
}

// Nearly all requests name the same host: the last answer serves the next one.
let lastHost: string | undefined
let lastAddress: string | undefined
let lastPort: number | undefined

const maxHostLength = 262

/** A `content-length` header's value; `undefined` when there is none or it is no length. */
export const contentLength = (header: string | undefined): number | undefined =>
  header !== undefined && /^[0-9]{1,15}$/.test(header) ? Number(header) : undefined
