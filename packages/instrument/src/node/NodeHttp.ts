import { MetricsRecorder, type Requests, Telemetry } from "@effect-observability/core"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { unobserved } from "../http/internal/server/effects.ts"
import type { CommonOptions } from "../http/internal/server/Options.ts"
import { Server } from "../http/internal/server/Server.ts"
import { pathOf } from "../http/internal/paths.ts"
import { isCovered } from "../http/internal/server/mark.ts"
import { begin } from "./internal/NodeCall.ts"
import type { NodeRequest, NodeResponse } from "./internal/shapes.ts"

export type { NodeRequest, NodeResponse }

export interface NodeHttpOptions<Request extends NodeRequest = NodeRequest> extends CommonOptions {
  /** As `HttpServerOptions.authenticate`, at once: a plain handler is not made to wait. It may throw, then nobody is named. */
  readonly authenticate?: (request: Request) => Requests.Identity | undefined
  /**
   * The template of the route that answers, such as `/users/:id`, asked when the response is on its way (a framework knows it by then:
   * `(request) => request.route?.path`). Without it, or for `undefined`, the request counts as `_unmatched`: a path as it was sent would be
   * a label value of the caller's making.
   */
  readonly route?: (request: Request) => string | undefined
}

/** A handler of `node:http` and `node:http2` that also gets the context of its request, to run effects in: `Effect.runForkWith(context)`. */
export type NodeHandler<Request, Response> = (request: Request, response: Response, context: Context.Context<never>) => unknown

/**
 * Observes a plain `node:http` handler as `HttpInstrumentation` does Effect's: one server span, RED metrics, sizes, requests in flight, access
 * log, `x-request-id` and `traceresponse`; the same ignored paths. What the handler throws, or rejects with, goes on to where it went before.
 *
 * The types of Node are met by their structure. The result is for `createServer`, or is the outermost middleware of a framework.
 *
 * @example
 * ```ts
 * const Server = Effect.gen(function*() {
 *   const observe = yield* NodeHttp.make({ route: (request) => request.url === "/hello" ? "/hello" : undefined })
 *   return createServer(observe((request, response) => response.end("hello")))
 * })
 * ```
 */
export const make = <Request extends NodeRequest = NodeRequest>(
  options: NodeHttpOptions<Request> = {}
): Effect.Effect<
  <Q extends Request, S extends NodeResponse>(handler: NodeHandler<Q, S>) => (request: Q, response: S) => unknown,
  never,
  Telemetry | MetricsRecorder
> =>
  Effect.gen(function*() {
    const server = new Server(yield* Telemetry, yield* MetricsRecorder, options)
    const context = yield* Effect.context<never>()
    return <Q extends Request, S extends NodeResponse>(handler: NodeHandler<Q, S>) => (request: Q, response: S): unknown => {
      if (isCovered({ source: request })) return handler(request, response, context)
      if (server.ignores(pathOf(request.url ?? "/"))) return handler(request, response, unobserved(context))
      const call = begin(server, context, request, response, options as NodeHttpOptions)
      return call.answer(() => handler(request, response, call.context))
    }
  })
