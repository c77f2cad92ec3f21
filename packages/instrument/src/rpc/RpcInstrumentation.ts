import { Baggage, MetricsRecorder, RequestContext, Requests, Telemetry } from "@effect-observability/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Headers from "effect/http/Headers"
import * as Layer from "effect/Layer"
import * as RpcClient from "effect/rpc/RpcClient"
import type { RpcGroup } from "effect/rpc/RpcGroup"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import * as Stream from "effect/Stream"
import { measuring, type Measure } from "./internal/measuring.ts"

/**
 * The server's part as a middleware of a group: rate, errors and duration of each procedure, and the caller's request id and baggage, which
 * come in the message's own headers, for all that happens while it is answered. The span of the call is Effect's (`rpc.method`, named by the
 * procedure, child of the caller's); our tracer keeps it.
 *
 * @example
 * ```ts
 * const Orders = RpcGroup.make(Place, Cancel).middleware(RpcInstrumentation.Observed)
 * const Server = RpcServer.layer(Orders).pipe(Layer.provide(RpcInstrumentation.layer), Layer.provide(Handlers))
 * ```
 */
export class Observed extends RpcMiddleware.Service<Observed>()("@effect-observability/instrument/rpc/Observed") {}

/** Provides `Observed` on the server. Clients need nothing for it; see `observe`. */
export const layer: Layer.Layer<Observed, never, Telemetry | MetricsRecorder> = Layer.effect(
  Observed,
  Effect.gen(function*() {
    const measure = measuring("server", yield* Telemetry, yield* MetricsRecorder)
    return Observed.of((effect, { headers, rpc }) =>
      Effect.withFiber((fiber) => {
        const context = received(fiber.context, headers)
        return Effect.provideContext(measure(rpc._tag, effect), context)
      }))
  })
)

/** A message's own headers say more than those of the transport, which may carry several messages. */
const received = (context: Context.Context<never>, headers: Readonly<Record<string, string>>): Context.Context<never> => {
  const around = Context.get(context, RequestContext)
  const id = headers["x-request-id"]
  let inside = context
  if (Requests.isRequestId(id) && id !== around.requestId) {
    const { module, tenantId, userId } = around
    inside = Context.add(inside, RequestContext, Requests.make({ requestId: id, module, tenantId, userId }))
  }
  const baggage = Baggage.decode(headers["baggage"])
  return baggage.size === 0 ? inside : Context.add(inside, Baggage.Baggage, baggage)
}

/**
 * A client of a group, observed: rate, errors and duration of each procedure as the caller sees them; request id and baggage go along in the
 * message's headers, over any transport. Whom a group calls is the program's own other half, so the rules for foreign targets do not apply:
 * wrap no client of a stranger's server. Give it a client of `RpcClient.make`, with or without `flatten`.
 *
 * @example
 * ```ts
 * const client = yield* RpcClient.make(Orders).pipe(Effect.flatMap(RpcInstrumentation.observe(Orders)))
 * ```
 */
export const observe = <C extends object>(group: RpcGroup<any>) => (client: C): Effect.Effect<C, never, Telemetry | MetricsRecorder> =>
  Effect.gen(function*() {
    const measure = measuring("client", yield* Telemetry, yield* MetricsRecorder)
    const known = (tag: unknown): tag is string => typeof tag === "string" && group.requests.has(tag)
    return new Proxy(client, {
      get: (target, tag, receiver) => {
        const member: unknown = Reflect.get(target, tag, receiver)
        return known(tag) && typeof member === "function" ? (...args: ReadonlyArray<unknown>) => called(measure, tag, member.apply(target, args)) : member
      },
      apply: (target, self, args: ReadonlyArray<unknown>) => {
        const result: unknown = Reflect.apply(target as Function, self, args)
        return known(args[0]) ? called(measure, args[0], result) : result
      }
    })
  })

/** A call is an effect, or a stream for procedures that stream: that one is measured until it ends. */
const called = (measure: Measure, tag: string, result: unknown): unknown => {
  if (Effect.isEffect(result)) return Effect.withFiber((fiber) => Effect.provideService(measure(tag, result), RpcClient.CurrentHeaders, outgoing(fiber)))
  if (!Stream.isStream(result)) return result
  return Stream.unwrap(Effect.withFiber((fiber) =>
    Effect.map(measure.begin(tag), (end) => Stream.provideService(Stream.onExit(result, end), RpcClient.CurrentHeaders, outgoing(fiber)))))
}

/** What goes along with every message of this fiber, and what is known of the request at hand. */
const outgoing = (fiber: Fiber.Fiber<unknown, unknown>): Headers.Headers => {
  const headers: Record<string, string> = { ...fiber.getRef(RpcClient.CurrentHeaders) }
  const { requestId } = fiber.getRef(RequestContext)
  if (requestId !== undefined) headers["x-request-id"] ??= requestId
  const baggage = Baggage.toHeader(fiber.getRef(Baggage.Baggage))
  if (baggage !== "") headers["baggage"] ??= baggage
  return Headers.fromInput(headers)
}
