import * as HttpBody from "effect/http/HttpBody"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"
import { contentLength } from "../attributes.ts"

type Response = HttpServerResponse.HttpServerResponse

/** Bytes of a response's body: a number, or what will have been counted when it was sent. */
export type Size = number | (() => number) | undefined

export const bytesOf = (size: Size): number | undefined => typeof size === "function" ? size() : size

/** Whether a body is still to be sent when its response is there. */
export const isStreamed = (request: HttpServerRequest, response: Response): boolean =>
  !HttpServerResponse.omitsBody(response, request.method === "HEAD") &&
  (response.body._tag === "Stream" || response.body._tag === "FormData" || (response.body._tag === "Raw" && isReadable(response.body.body)))

/** The size of a body that is there as a whole. */
export const sizeOf = (request: HttpServerRequest, response: Response): number | undefined => {
  const { body } = response
  if (body._tag === "Empty" || HttpServerResponse.omitsBody(response, request.method === "HEAD")) return 0
  if (body.contentLength !== undefined) return body.contentLength
  if (body._tag === "Raw") {
    if (typeof body.body === "string") return new TextEncoder().encode(body.body).length
    if (body.body instanceof Uint8Array) return body.body.length
  }
  return contentLength(response.headers["content-length"])
}

/** The response with a body that counts what is sent of it, as far as the server lets us see. */
export const counted = (request: HttpServerRequest, response: Response): readonly [response: Response, size: Size] => {
  const { body } = response
  if (body._tag !== "Stream") return [response, writtenTo(request) ?? contentLength(response.headers["content-length"])]
  let bytes = 0
  const stream = Stream.mapArray(body.stream, (chunks) => {
    for (const chunk of chunks) bytes += chunk.length
    return chunks
  })
  return [changed(response, response.headers, HttpBody.stream(stream, body.contentType, body.contentLength)), () => bytes]
}

/** The response with more headers, and nothing else touched: Effect's own setters write headers that follow from the body anew. */
export const withHeaders = (response: Response, requestId: string, traceresponse: string | undefined): Response => {
  const headers = Object.assign(Object.create(Object.getPrototypeOf(response.headers)), response.headers)
  headers["x-request-id"] = requestId
  if (traceresponse !== undefined) headers["traceresponse"] = traceresponse
  return changed(response, headers, response.body)
}

const changed = (response: Response, headers: Response["headers"], body: HttpBody.HttpBody): Response => {
  const out = Object.create(Object.getPrototypeOf(response))
  out.status = response.status
  out.statusText = response.statusText
  out.headers = headers
  out.cookies = response.cookies
  out.body = body
  return out
}

/** Node's response, by structure: what is written to it from here on. */
const writtenTo = (request: HttpServerRequest): (() => number) | undefined => {
  const { response } = request as { readonly response?: unknown }
  return isWritable(response) ? countWritten(response) : undefined
}

export interface Writable {
  write: (...args: ReadonlyArray<any>) => unknown
  end: (...args: ReadonlyArray<any>) => unknown
}

export const countWritten = (response: Writable): () => number => {
  let bytes = 0
  const { end, write } = response
  let inside = false
  const counting = (original: Writable["write"]) =>
    function(this: unknown, ...args: ReadonlyArray<any>): unknown {
      // Node's `end` may call `write`.
      if (inside) return original.apply(this, args as Array<any>)
      bytes += lengthOf(args[0], args[1])
      inside = true
      try {
        return original.apply(this, args as Array<any>)
      } finally {
        inside = false
      }
    }
  response.write = counting(write)
  response.end = counting(end)
  return () => bytes
}

const lengthOf = (chunk: unknown, encoding: unknown): number => {
  if (chunk instanceof Uint8Array) return chunk.length
  if (typeof chunk !== "string") return 0
  return encoding === "latin1" || encoding === "binary" || encoding === "ascii" ? chunk.length
    : encoding === "hex" ? chunk.length >> 1
    : encoding === "base64" || encoding === "base64url" ? Math.floor(chunk.replace(/=+$/, "").length * 3 / 4)
    : encoding === "ucs2" || encoding === "ucs-2" || encoding === "utf16le" || encoding === "utf-16le" ? chunk.length * 2
    : new TextEncoder().encode(chunk).length
}

/** Counts a request's body as it comes in, for a request that does not say its length; `undefined` where the server does not let us see. */
export const countReceived = (source: object): (() => number) | undefined => {
  const { push } = source as { push?: unknown }
  if (typeof push !== "function") return undefined
  let bytes = 0
  ;(source as { push: unknown }).push = function(this: unknown, chunk: unknown, ...rest: ReadonlyArray<unknown>): unknown {
    if (chunk instanceof Uint8Array) bytes += chunk.length
    return push.call(this, chunk, ...rest) as unknown
  }
  return () => bytes
}

const isWritable = (value: unknown): value is Writable =>
  typeof value === "object" && value !== null && "write" in value && typeof value.write === "function" && "end" in value && typeof value.end === "function"

const isReadable = (value: unknown): boolean => typeof value === "object" && value !== null && !(value instanceof Uint8Array)
