import { Requests } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { headerOf, type Request } from "../../http/internal/attributes.ts"
import { line } from "../../http/internal/server/accessLog.ts"
import { countReceived, countWritten } from "../../http/internal/server/bodies.ts"
import { answered, Exchange } from "../../http/internal/server/Exchange.ts"
import { cover } from "../../http/internal/server/mark.ts"
import type { Server } from "../../http/internal/server/Server.ts"
import type { NodeHttpOptions } from "../NodeHttp.ts"
import type { NodeRequest, NodeResponse } from "./shapes.ts"

/** The call of a request that arrived, its span open and its response listened to. */
export const begin = (
  server: Server,
  context: Context.Context<never>,
  request: NodeRequest,
  response: NodeResponse,
  options: NodeHttpOptions
): NodeCall =>
  Effect.runSyncWith(context)(Effect.withFiber((fiber) => {
    const call = new NodeCall(server, fiber, request, response, options)
    call.enter(fiber)
    return Effect.succeed(call)
  }))

/** One request of a plain Node server. */
class NodeCall extends Exchange {
  context: Context.Context<never>
  private readonly request: NodeRequest
  private readonly response: NodeResponse
  private readonly options: NodeHttpOptions
  private written: () => number = () => 0
  private failure: { readonly error: unknown } | undefined = undefined

  constructor(server: Server, fiber: Fiber.Fiber<unknown, unknown>, request: NodeRequest, response: NodeResponse, options: NodeHttpOptions) {
    super(server, fiber, request.method ?? "GET", request.url ?? "/", headersOf(request), isEncrypted(request) ? "https" : "http")
    this.context = fiber.context
    this.request = request
    this.response = response
    this.options = options
    cover(request)
    if (this.headers["transfer-encoding"] !== undefined) this.received = countReceived(request)
  }

  get client(): string | undefined {
    return this.request.socket?.remoteAddress
  }

  get protocol(): string | undefined {
    const { httpVersion } = this.request
    return httpVersion === "2.0" ? "2" : httpVersion
  }

  enter(fiber: Fiber.Fiber<unknown, unknown>): void {
    const { options, request, response } = this
    this.arrive()
    response.once("finish", () => this.ended())
    response.once("close", () => this.ended())
    this.written = countWritten(response)
    try {
      Requests.identifyUnsafe(this.about, options.authenticate?.(request) ?? {})
    } catch {
      // A hook that names; nobody is named then.
    }
    this.context = this.begin(fiber)
    if (response.headersSent) return
    response.setHeader("x-request-id", this.about.requestId!)
    const { traceresponse } = this
    if (traceresponse !== undefined) response.setHeader("traceresponse", traceresponse)
  }

  /** Runs the handler; what it throws or rejects with is noted and goes on, to whoever takes the result or to Node. */
  answer(handler: () => unknown): unknown {
    try {
      const result = handler()
      if (!isPromise(result)) return result
      return result.then(undefined, (error) => {
        this.fail(error)
        // Who looks at a promise counts as the one who handles it: unless the handler has answered all the same, nobody else has.
        if (this.response.writableEnded !== true) throw error
      })
    } catch (error) {
      this.fail(error)
      throw error
    }
  }

  private fail(error: unknown): void {
    this.failure ??= { error }
  }

  /** All was sent, or nothing more will be. */
  private ended(): void {
    const { failure, options, request, response } = this
    const aborted = response.writableFinished !== true
    const abortedBy = !aborted ? undefined : request.socket?.server?.listening === false ? "server" : "client"
    const status = response.headersSent || abortedBy === undefined ? response.statusCode : failure !== undefined ? 500 : abortedBy === "server" ? 503 : 499
    if (abortedBy !== undefined && this.span?.sampled === true) this.span.attribute("http.aborted_by", abortedBy)
    let route: string | undefined
    try {
      route = options.route?.(request)
    } catch {
      // A hook that cannot say counts as one that does not know.
    }
    const exit = failure !== undefined && (status >= 500 || aborted) ? Exit.die(failure.error)
      : abortedBy !== undefined && status < 500 ? Exit.failCause(Cause.interrupt())
      : answered(status)
    const responseBytes = this.method === "HEAD" || status === 204 || status === 304 ? 0 : this.written()
    const seconds = this.finish(status, typeof route === "string" ? route : undefined, responseBytes, exit)
    if (seconds === undefined || this.server.accessLog !== true) return
    Effect.runForkWith(this.context)(line(this, { status, route, seconds, responseBytes, abortedBy }))
  }
}

const isEncrypted = ({ headers, socket }: NodeRequest): boolean => headers[":scheme"] === "https" || socket?.encrypted === true

/** HTTP/2 has the host under another name. */
const headersOf = ({ headers }: NodeRequest): Request["headers"] =>
  headers[":authority"] === undefined ? headers : { ...headers, host: headerOf(headers, "host") ?? headerOf(headers, ":authority") }

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function"

export type { NodeCall }
