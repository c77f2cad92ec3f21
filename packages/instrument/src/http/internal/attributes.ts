import type * as EffectTracer from "effect/Tracer"
import { pathOf, queryNames } from "./paths.ts"

/** The methods of OpenTelemetry's HTTP conventions; others are `_OTHER`, so that callers cannot make up label values. */
const known: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"])

export const methodOf = (method: string): string => known.has(method) ? method : "_OTHER"

/** What is known of a request before it is answered, whichever server it came to. */
export interface Request {
  /** The method as it was given. */
  readonly given: string
  /** The request target. */
  readonly url: string
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly scheme: "http" | "https"
  /** Who asks, as the server knows it. */
  readonly client: string | undefined
  /** `1.1`, `2`, … */
  readonly protocol: string | undefined
}

/** Of a header that may be there once; its first value when there are several. */
export const headerOf = (headers: Request["headers"], name: string): string | undefined => {
  const value = headers[name]
  return typeof value === "string" || value === undefined ? value : value[0]
}

/** OpenTelemetry semantic conventions, HTTP server spans. */
export const describeRequest = (span: EffectTracer.Span, request: Request, method: string): void => {
  const { client, headers, protocol, scheme } = request
  span.attribute("http.request.method", method)
  if (method === "_OTHER") span.attribute("http.request.method_original", printable(request.given.slice(0, maxMethodLength)))
  span.attribute("url.path", pathOf(request.url))
  const query = queryNames(request.url)
  if (query !== undefined) span.attribute("url.query", query)
  span.attribute("url.scheme", scheme)
  const host = headerOf(headers, "host")
  if (host !== undefined) describeServer(span, host, scheme)
  const agent = headerOf(headers, "user-agent")
  if (agent !== undefined) span.attribute("user_agent.original", agent)
  if (client !== undefined) span.attribute("client.address", client)
  if (protocol !== undefined) span.attribute("network.protocol.version", protocol)
}

/** Without what a terminal or a log's reader would obey. */
export const printable = (text: string): string => obeyed.test(text) ? text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "") : text

const obeyed = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

const maxMethodLength = 32

const hostAndPort = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?$/

const describeServer = (span: EffectTracer.Span, host: string, scheme: "http" | "https"): void => {
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
