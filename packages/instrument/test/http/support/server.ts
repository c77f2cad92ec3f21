import { HttpInstrumentation } from "../../../src/index.ts"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import type * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Net from "node:net"
import * as Http from "node:http"

export interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly body: string
}

/** A request as it is, whatever `fetch` would refuse. */
export const send = (port: number, path: string, options: Http.RequestOptions & { readonly body?: string } = {}): Effect.Effect<Answer, Error> =>
  Effect.callback((resume) => {
    const request = Http.request({ host: "127.0.0.1", port, path, agent: false, ...options }, (response) => {
      let body = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => body += chunk)
      response.on("error", (error) => resume(Effect.fail(error)))
      response.on("end", () => resume(Effect.succeed({ status: response.statusCode!, headers: response.headers, body })))
    })
    request.on("error", (error) => resume(Effect.fail(error)))
    request.end(options.body)
    return Effect.sync(() => request.destroy())
  })

export interface ServeOptions {
  readonly instrumentation?: Layer.Layer<never, never, any>
  /** Leaves Effect's own server span on. */
  readonly doubled?: boolean
  /** Leaves Effect's own request log on. */
  readonly effectsLogger?: boolean
  readonly middleware?: HttpMiddleware.HttpMiddleware
}

/** Serves instrumented routes on a free port of the loopback interface while `use` runs. */
export const serving = <A, E, S>(
  routes: Layer.Layer<never, never, any>,
  hub: Layer.Layer<S>,
  use: (port: number) => Effect.Effect<A, E>,
  options: ServeOptions = {}
): Effect.Effect<A, E> => {
  const app = HttpRouter.serve(routes.pipe(Layer.provide(options.instrumentation ?? HttpInstrumentation.layer)) as Layer.Layer<never, never, HttpRouter.HttpRouter>, {
    disableLogger: options.effectsLogger !== true,
    disableListenLog: true,
    ...(options.middleware === undefined ? {} : { middleware: options.middleware as any })
  }).pipe(
    Layer.provide(options.doubled === true ? Layer.empty : HttpInstrumentation.serverSpanOff),
    Layer.provideMerge(NodeHttpServer.layer(() => Http.createServer(), { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: "100 millis" })),
    Layer.provide(hub)
  )
  return Effect.gen(function*() {
    const { address } = yield* HttpServer.HttpServer
    if (!("port" in address)) throw new Error("the test server listens on TCP")
    return yield* use(address.port)
  }).pipe(Effect.provide(app as Layer.Layer<HttpServer.HttpServer>))
}

/** Opens a connection, sends a request and leaves as soon as `left` is done. */
export const abandon = (port: number, path: string, left: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.gen(function*() {
    const socket = Net.connect(port, "127.0.0.1")
    socket.on("error", () => {})
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    yield* left
    socket.destroy()
  })
