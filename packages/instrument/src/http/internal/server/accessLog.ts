import { Spans } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { Severity } from "effect/LogLevel"
import { headerOf, printable } from "../attributes.ts"
import { pathOf } from "../paths.ts"
import type { Exchange } from "./Exchange.ts"

/** What is known of a request when it was answered. */
export interface Answered {
  readonly status: number
  readonly route: string | undefined
  readonly seconds: number
  readonly responseBytes: number | undefined
  /** Who ended it before its end. */
  readonly abortedBy: "client" | "server" | undefined
}

/** One line for a request, with the ids that its span and its response have. */
export const line = (exchange: Exchange, answered: Answered): Effect.Effect<void> =>
  Effect.annotateLogs(
    Effect.logWithLevel(levelOf(answered))(`${exchange.method} ${answered.route ?? "_unmatched"} ${answered.status}`),
    fieldsOf(exchange, answered)
  )

const levelOf = ({ abortedBy, status }: Answered): Severity =>
  abortedBy === "client" ? "Info" : status >= 500 ? "Error" : status >= 400 ? "Warn" : "Info"

const fieldsOf = (exchange: Exchange, { abortedBy, responseBytes, route, seconds, status }: Answered): Record<string, unknown> => {
  const { about, client, headers, method, server, span, url } = exchange
  const fields: Record<string, unknown> = {
    "http.request.method": method,
    "url.path": server.redacted("url.path", printable(pathOf(url)).slice(0, maxLength)),
    "http.response.status_code": status,
    duration_ms: Math.round(seconds * 1e6) / 1e3
  }
  if (route !== undefined) fields["http.route"] = route
  if (exchange.requestBytes !== undefined) fields["http.request.body.size"] = exchange.requestBytes
  if (responseBytes !== undefined) fields["http.response.body.size"] = responseBytes
  if (abortedBy !== undefined) fields["http.aborted_by"] = abortedBy
  if (client !== undefined) fields["client.address"] = server.redacted("client.address", client)
  const agent = headerOf(headers, "user-agent")
  if (agent !== undefined) fields["user_agent.original"] = server.redacted("user_agent.original", printable(agent.slice(0, maxLength)))
  if (about.requestId !== undefined) fields["request_id"] = server.redacted("request_id", about.requestId)
  if (about.userId !== undefined) fields["user_id"] = server.redacted("user_id", about.userId)
  if (about.tenantId !== undefined) fields["tenant_id"] = server.redacted("tenant_id", about.tenantId)
  if (about.module !== undefined) fields["module"] = about.module
  if (span !== undefined && span.traceId.length === 32) {
    const { spanId, traceId } = Spans.contextOf(span)
    fields["trace_id"] = traceId
    fields["span_id"] = spanId
  }
  return fields
}

const maxLength = 1_024
