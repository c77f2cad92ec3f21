import { Exporter } from "@effect-observability/core"
import * as Duration from "effect/Duration"
import { printable } from "../internal/printable.ts"
import { fieldOf, fieldsOf, textOf } from "./protoReader.ts"
import type { Verdict } from "./Reply.ts"

// What answers mean: OTLP 1.x, "OTLP/HTTP Response" and "OTLP/gRPC Response", and google.rpc.Status inside them. All of it is a stranger's text.

/** `partial_success` of an `Export…ServiceResponse`, as protobuf. */
export const partialSuccess = (body: Uint8Array): Verdict => {
  const partial = fieldOf(body, 1)
  if (partial === undefined) return accepted(0, "")
  return accepted(fieldOf(partial.bytes, 1)?.integer ?? 0, textOf(fieldOf(partial.bytes, 2)))
}

/** The same from JSON; what is no JSON says nothing. */
export const partialSuccessJson = (body: Uint8Array): Verdict => {
  const partial = objectOf(objectOf(parsed(body))?.["partialSuccess"])
  if (partial === undefined) return accepted(0, "")
  const rejected = partial["rejectedSpans"] ?? partial["rejectedDataPoints"] ?? partial["rejectedLogRecords"]
  return accepted(Number(rejected ?? 0), String(partial["errorMessage"] ?? ""))
}

const accepted = (rejected: number, message: string): Verdict => ({
  _tag: "Accepted",
  rejected: Number.isFinite(rejected) && rejected > 0 ? Math.floor(rejected) : 0,
  message: printable(message)
})

/** A response of HTTP. `body` is what was read of it. */
export const httpVerdict = (
  status: number,
  header: (name: string) => string | undefined,
  body: Uint8Array,
  context: { readonly now: number; readonly json: boolean }
): Verdict => {
  const isJson = (header("content-type") ?? (context.json ? "application/json" : "")).startsWith("application/json")
  if (status >= 200 && status < 300) return isJson ? partialSuccessJson(body) : partialSuccess(body)
  const said = statusMessage(body, isJson)
  const message = `answered ${status}${hints.get(status) ?? ""}${said === "" ? "" : `: ${said}`}`
  if (later.has(status)) return { _tag: "Later", message, retryAfter: Exporter.retryAfter(header("retry-after"), context.now) }
  if (status >= 300 && status < 400) return { _tag: "Refused", message, reason: "redirect", divisible: false }
  if (status === 500 || status === 408) return { _tag: "Ill", message, reason: `rejected:${status}` }
  return { _tag: "Refused", message, reason: `rejected:${status}`, divisible: status === 400 || status === 413 }
}

const later: ReadonlySet<number> = new Set([429, 502, 503, 504])

const hints: ReadonlyMap<number, string> = new Map([
  [401, ", check the headers"],
  [403, ", check the headers"],
  [404, ", check the path of the endpoint"],
  [405, ", check the path of the endpoint"],
  [413, ", the request is too large: lower maxRequestBytes"],
  [415, ", check the protocol"],
  ...[301, 302, 303, 307, 308].map((status) => [status, ", a redirect, which is not followed: use the endpoint it leads to"] as const)
])

/** `message` of a `Status`, or the first line of whatever else was answered. */
const statusMessage = (body: Uint8Array, isJson: boolean): string => {
  if (isJson) {
    const status = objectOf(parsed(body))
    const inner = status?.["message"] ?? objectOf(status?.["error"])?.["message"] ?? status?.["error"]
    if (typeof inner === "string") return printable(inner)
  } else if (body.length > 0 && body[0]! < 0x20) {
    const text = textOf(fieldOf(body, 2))
    if (text !== "") return printable(text)
  }
  return printable(new TextDecoder().decode(body.subarray(0, 1_000)))
}

/** The end of a gRPC call. `details` is the serialised `google.rpc.Status` of `grpc-status-details-bin`. */
export const grpcVerdict = (code: number, said: string, details: Uint8Array | undefined, body: Uint8Array): Verdict => {
  if (code === 0) return partialSuccess(body)
  const name = codes[code] ?? `code ${code}`
  const text = printable(said)
  const message = `answered ${name}${grpcHints.get(code) ?? ""}${text === "" ? "" : `: ${text}`}`
  const asked = details === undefined ? undefined : retryInfo(details)
  if (grpcLater.has(code) || (code === 8 && asked !== undefined)) return { _tag: "Later", message, retryAfter: asked }
  const reason = `rejected:${name}`
  if (code === 2 || code === 13) return { _tag: "Ill", message, reason }
  return { _tag: "Refused", message, reason, divisible: code === 3 || code === 8 }
}

const codes = [
  "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"
]
/** CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS. */
const grpcLater: ReadonlySet<number> = new Set([1, 4, 10, 11, 14, 15])
const grpcHints: ReadonlyMap<number, string> = new Map([
  [7, ", check the headers"],
  [8, ", the request may be too large: lower maxRequestBytes"],
  [12, ", this signal is not taken there"],
  [16, ", check the headers"]
])

/** `RetryInfo.retry_delay` among the details of a `Status`. */
const retryInfo = (status: Uint8Array): Duration.Duration | undefined => {
  for (const { bytes, number } of fieldsOf(status)) {
    if (number !== 3 || !textOf(fieldOf(bytes, 1)).endsWith("/google.rpc.RetryInfo")) continue
    const info = fieldOf(bytes, 2)
    const delay = info === undefined ? undefined : fieldOf(info.bytes, 1)?.bytes
    if (delay === undefined) return Duration.zero
    // A negative number of seconds has all its high bits set.
    const seconds = fieldOf(delay, 1)?.integer ?? 0
    return Duration.millis(seconds > 1e15 ? 0 : seconds * 1_000 + (fieldOf(delay, 2)?.integer ?? 0) / 1e6)
  }
  return undefined
}

const parsed = (body: Uint8Array): unknown => {
  try {
    return JSON.parse(new TextDecoder().decode(body))
  } catch {
    return undefined
  }
}

const objectOf = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? value as Readonly<Record<string, unknown>> : undefined
