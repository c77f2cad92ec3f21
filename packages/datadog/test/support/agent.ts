import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { decode } from "./msgpack.ts"

/** A span as the agent's `/v0.4/traces` takes it. */
export interface AgentSpan {
  readonly trace_id: bigint
  readonly span_id: bigint
  readonly parent_id: bigint
  readonly name: string
  readonly resource: string
  readonly service: string
  readonly type?: string
  readonly error: number
  readonly start: bigint
  readonly duration: bigint
  readonly meta: Readonly<Record<string, string>>
  readonly metrics: Readonly<Record<string, number>>
  readonly span_events?: ReadonlyArray<{ readonly name: string; readonly time_unix_nano: bigint; readonly attributes?: Readonly<Record<string, any>> }>
}

export interface AgentRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage["headers"]
  readonly bytes: number
  readonly chunks: ReadonlyArray<ReadonlyArray<AgentSpan>>
}

const isWhole = (value: unknown): boolean => typeof value === "bigint" ? value >= 0n : Number.isSafeInteger(value) && Number(value) >= 0

const shapes: Readonly<Record<string, (value: unknown) => boolean>> = {
  trace_id: (value) => typeof value === "bigint", span_id: (value) => typeof value === "bigint", parent_id: (value) => typeof value === "bigint",
  name: (value) => typeof value === "string" && /^[a-zA-Z][a-zA-Z0-9_.]*$/.test(value), resource: (value) => typeof value === "string", service: (value) => typeof value === "string" && value !== "",
  type: (value) => typeof value === "string", error: (value) => value === 0 || value === 1, start: (value) => isWhole(value), duration: (value) => isWhole(value),
  meta: (value) => typeof value === "object" && Object.values(value as object).every((one) => typeof one === "string"),
  metrics: (value) => typeof value === "object" && Object.values(value as object).every((one) => typeof one === "number"),
  span_events: (value) => Array.isArray(value)
}

/** Everything a body says, or an error that says what an agent would not take. */
export const readTraces = (body: Uint8Array): ReadonlyArray<ReadonlyArray<AgentSpan>> => {
  const traces = decode(body)
  if (!Array.isArray(traces)) throw new Error("no array of traces")
  for (const chunk of traces) {
    if (!Array.isArray(chunk) || chunk.length === 0) throw new Error("no array of spans, or an empty one")
    for (const span of chunk) {
      for (const [key, value] of Object.entries(span)) if (shapes[key]?.(value) !== true) throw new Error(`${key} is ${String(value)}`)
      for (const key of Object.keys(shapes)) if (!(key in span) && key !== "type" && key !== "span_events") throw new Error(`no ${key}`)
    }
  }
  return traces as never
}

export type Respond = (request: AgentRequest, response: ServerResponse, n: number) => void

export interface FakeAgent {
  readonly url: string
  readonly port: number
  readonly requests: Array<AgentRequest>
  readonly spans: () => ReadonlyArray<AgentSpan>
  /** How requests are answered from now on; `undefined` for as an agent does. */
  respond: Respond | undefined
  info: Readonly<Record<string, unknown>> | undefined
  readonly close: () => Promise<void>
}

/** An agent's trace API on 127.0.0.1, or on a Unix socket. What it refuses is answered 400 and kept in `failures`. */
export const startAgent = async (listen: number | string = 0): Promise<FakeAgent & { readonly failures: Array<string> }> => {
  const requests: Array<AgentRequest> = []
  const accepted: Array<AgentSpan> = []
  const failures: Array<string> = []
  let n = 0
  const server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("error", () => {})
    request.on("data", (chunk: Buffer) => void chunks.push(chunk))
    request.on("end", () => {
      const body = Buffer.concat(chunks)
      if (request.url === "/info") {
        if (fake.info === undefined) return void response.writeHead(404).end()
        return void response.end(JSON.stringify(fake.info))
      }
      let read: ReadonlyArray<ReadonlyArray<AgentSpan>> = []
      try {
        read = readTraces(body)
        const counted = request.headers["x-datadog-trace-count"]
        if (counted !== String(read.length)) throw new Error(`X-Datadog-Trace-Count ${counted}, but ${read.length} traces`)
      } catch (error) {
        failures.push(String(error))
        return void response.writeHead(400).end(String(error))
      }
      const seen = { method: request.method!, url: request.url!, headers: request.headers, bytes: body.length, chunks: read }
      requests.push(seen)
      if (fake.respond !== undefined) return fake.respond(seen, response, ++n)
      accepted.push(...read.flat())
      response.end(JSON.stringify({ rate_by_service: { "service:,env:": 1, "service:shop,env:test": 0.25 } }))
    })
  })
  await new Promise<void>((done) => typeof listen === "string" ? server.listen(listen, done) : server.listen(listen, "127.0.0.1", done))
  const port = typeof listen === "string" ? 0 : (server.address() as AddressInfo).port
  const fake: FakeAgent & { readonly failures: Array<string> } = {
    url: typeof listen === "string" ? `unix://${listen}` : `http://127.0.0.1:${port}`,
    port,
    requests,
    failures,
    spans: () => accepted,
    respond: undefined,
    info: undefined,
    close: () => {
      server.closeAllConnections()
      return new Promise((done) => server.close(() => done()))
    }
  }
  return fake
}
