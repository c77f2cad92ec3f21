import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import type { AddressInfo } from "node:net"
import * as Zlib from "node:zlib"
import { type Message, readJson, readLenientJson, readLenientProtobuf, readProtobuf, responseTypes, type Signal } from "./strict.ts"

/** One request as it came. */
export interface Received {
  readonly signal: Signal
  readonly message: Message
  readonly headers: Http.IncomingHttpHeaders
  readonly url: string
  /** As it was on the wire. */
  readonly bytes: number
}

/** What to answer: nothing for 200 with an empty response; `"hang"` for no answer at all. */
export type Answer = undefined | "hang" | {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Partial success. */
  readonly rejected?: { readonly count: number; readonly message: string }
}

export interface Collector {
  readonly url: string
  readonly received: Array<Received>
  /** What was wrong with requests; a strict reader refuses them with 400. */
  readonly problems: Array<string>
  /** All requests, refused ones too. */
  readonly requests: () => number
  /** Decides about each request before it is kept; what is answered with an error is not kept. */
  answer: (received: Received, n: number) => Answer
  readonly spans: () => ReadonlyArray<any>
  readonly metrics: () => ReadonlyArray<any>
  readonly logs: () => ReadonlyArray<any>
}

const fields = { traces: "rejectedSpans", metrics: "rejectedDataPoints", logs: "rejectedLogRecords" } as const

interface CollectorOptions {
  readonly tls?: Https.ServerOptions
  /** For encoders that are not ours, and not as strict. */
  readonly lenient?: boolean
}

/** A receiver of OTLP over HTTP that takes only what is strictly right. */
export const collector = (options: CollectorOptions = {}): Effect.Effect<Collector, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => start(options)),
      ({ server }) =>
        Effect.promise(() => new Promise<void>((resolve) => {
          server.closeAllConnections()
          server.close(() => resolve())
        }))
    ),
    ({ self }) => self
  )

const start = async ({ lenient = false, tls }: CollectorOptions) => {
  let count = 0
  const received: Array<Received> = []
  const problems: Array<string> = []
  const self: { -readonly [K in keyof Collector]: Collector[K] } = {
    url: "",
    received,
    problems,
    requests: () => count,
    answer: () => undefined,
    spans: () => received.flatMap(({ message, signal }) => signal === "traces" ? itemsOf(message, "resourceSpans", "scopeSpans", "spans") : []),
    metrics: () => received.flatMap(({ message, signal }) => signal === "metrics" ? itemsOf(message, "resourceMetrics", "scopeMetrics", "metrics") : []),
    logs: () => received.flatMap(({ message, signal }) => signal === "logs" ? itemsOf(message, "resourceLogs", "scopeLogs", "logRecords") : [])
  }
  const handle = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      count++
      const signal = /\/v1\/(traces|metrics|logs)$/.exec(request.url!.split("?")[0]!)?.[1] as Signal | undefined
      const wire = Buffer.concat(chunks)
      const json = request.headers["content-type"] === "application/json"
      const reply = (status: number, headers: Http.OutgoingHttpHeaders, body: string | Uint8Array) => {
        response.writeHead(status, headers)
        response.end(body)
      }
      if (signal === undefined || request.method !== "POST") return reply(404, { "content-type": "text/plain" }, "nothing here")
      let message: Message
      try {
        if (!json && request.headers["content-type"] !== "application/x-protobuf") throw new Error(`content type ${request.headers["content-type"]}`)
        const body = request.headers["content-encoding"] === "gzip" ? Zlib.gunzipSync(wire) : wire
        message = json ? (lenient ? readLenientJson : readJson)(signal, body) : (lenient ? readLenientProtobuf : readProtobuf)(signal, body)
      } catch (error) {
        problems.push(String(error))
        return reply(400, { "content-type": "text/plain" }, String(error))
      }
      const one: Received = { signal, message, headers: request.headers, url: request.url!, bytes: wire.length }
      const answer = self.answer(one, count)
      if (answer === "hang") return
      const status = answer?.status ?? 200
      if (status === 200) received.push(one)
      if (answer?.body !== undefined || status !== 200) return reply(status, { "content-type": "text/plain", ...answer?.headers }, answer?.body ?? "")
      const partial = answer?.rejected
      const said = partial === undefined ? {} : { partialSuccess: { [fields[signal]]: json ? String(partial.count) : partial.count, errorMessage: partial.message } }
      if (json) reply(200, { "content-type": "application/json" }, JSON.stringify(said))
      else reply(200, { "content-type": "application/x-protobuf" }, responseTypes[signal].encode(responseTypes[signal].fromObject(said)).finish())
    })
  }
  const server = tls === undefined ? Http.createServer(handle) : Https.createServer(tls, handle)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  self.url = `${tls === undefined ? "http" : "https"}://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { server, self: self as Collector }
}

export const itemsOf = (message: Message, resources: string, scopes: string, items: string): ReadonlyArray<any> =>
  (message[resources] ?? []).flatMap((resource: any) => (resource[scopes] ?? []).flatMap((scope: any) => scope[items] ?? []))
