import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as EffectTracer from "effect/Tracer"
import { Method } from "./internal/Method.ts"
import { wrapService } from "./internal/wrapService.ts"

/**
 * `Effect.fn` that also measures: every run is a child span of that name, `method_duration_seconds{method}` and
 * `method_total{method,outcome,error_type}`, which tell an expected failure, a defect and an interruption apart.
 *
 * The typing is `Effect.fn`'s: a generator (with `this`, with `{ self }`) or a function that returns an Effect, and transformations behind
 * it that are inside the span. Nothing is required of the context: without `MetricsRecorder` in it nothing is measured, without a listener for
 * spans none is made. Where it was called is not captured: that costs more than the span.
 *
 * @example
 * ```ts
 * const place = Observe.fn("Orders.place")(function*(order: Order) {
 *   yield* reserve(order)
 *   return yield* charge(order)
 * })
 * ```
 */
export const fn = (name: string, options?: EffectTracer.SpanOptionsNoTrace): Effect.fn.Traced => {
  const method = new Method(name, options)
  // At run time the types of the overloads are gone: one implementation serves them all.
  return ((bodyOrOptions: Function | { readonly self: unknown }, ...rest: Array<Function>) => {
    const body = typeof bodyOrOptions === "function" ? bodyOrOptions : rest.shift()!.bind(bodyOrOptions.self)
    const start: Function = isGenerator(body) ? Effect.fnUntraced(body as never) : started(body)
    const call = function(this: unknown, ...args: ReadonlyArray<unknown>): unknown {
      let result: unknown = start.apply(this, args)
      for (const transform of rest) result = transform(result, ...args)
      return Effect.isEffect(result) ? method.effect(result) : result
    }
    return Object.defineProperty(call, "length", { value: body.length, configurable: true })
  }) as unknown as Effect.fn.Traced
}

const isGenerator = (body: Function): boolean => body.constructor.name === "GeneratorFunction"

/** A body that may return an Effect or, being a bound generator, an iterator; it runs when the Effect does. */
const started = (body: Function) =>
  function(this: unknown, ...args: ReadonlyArray<unknown>): Effect.Effect<unknown, unknown, unknown> {
    return Effect.suspend(() => {
      const made: unknown = body.apply(this, args)
      return Effect.isEffect(made) ? made : Effect.gen(() => made as never)
    })
  }

/** How the methods of a service are observed. */
export interface ServiceOptions<S> {
  /**
   * What precedes the methods' names, without the dot: `Orders` for `Orders.place`. By default the last part of the tag's key
   * (`app/Orders` gives `Orders`), of an instance the name of its class.
   */
  readonly name?: string
  /** The only members that are observed; all by default. */
  readonly only?: ReadonlyArray<keyof S & string>
  /** Members that are left as they are. */
  readonly except?: ReadonlyArray<keyof S & string>
  /**
   * Attributes of a call's span, from the method's name and its arguments; called only for spans that are kept. They are redacted as all
   * attributes are.
   */
  readonly attributes?: (method: string, args: ReadonlyArray<unknown>) => Readonly<Record<string, unknown>>
}

interface ObserveService {
  /** The layer's service, observed; what else the layer provides stays as it is. */
  <I, S extends object>(tag: Context.Key<I, S>, options?: ServiceOptions<S>): <ROut, E, R>(layer: Layer.Layer<ROut | I, E, R>) => Layer.Layer<ROut | I, E, R>
  /** A record of methods or an instance of a class, observed. */
  <S extends object>(service: S, options?: ServiceOptions<S>): S
}

/**
 * Observes every method of a service that returns an Effect or a Stream, and every member that is one, as `Observe.fn` does: child span,
 * duration, count by outcome. A stream is measured from its start to its end.
 *
 * Types stay what they are, generics included. What returns something else (a number, a Promise, an SQL statement), classes, and plain
 * values are untouched. The service itself is not changed: methods run on it, so that `this` and private fields work, and calls of a method to
 * another of the same object are its own business and not observed.
 *
 * @example
 * ```ts
 * const OrdersLive = Layer.effect(Orders, makeOrders).pipe(Observe.service(Orders))
 * const orders = Observe.service(new OrderRepository(sql), { except: ["close"] })
 * ```
 */
export const service: ObserveService = ((target: object, options: ServiceOptions<object> = {}) =>
  Context.isKey(target)
    ? <ROut, E, R>(layer: Layer.Layer<ROut, E, R>) => observedLayer(target, options, layer)
    : wrap(target, options)) as ObserveService

const observedLayer = <ROut, E, R>(tag: Context.Key<any, any>, options: ServiceOptions<object>, layer: Layer.Layer<ROut, E, R>) => {
  const name = options.name ?? lastPart(tag.key)
  return Layer.effect(tag, Effect.map(tag, (service: object) => wrap(service, { ...options, name }))).pipe(Layer.provideMerge(layer))
}

const lastPart = (key: string): string => key.slice(Math.max(key.lastIndexOf("/"), key.lastIndexOf(".")) + 1)

const wrap = (target: object, options: ServiceOptions<object>): object => {
  const only = options.only === undefined ? undefined : new Set<string>(options.only)
  const except = new Set<string>(options.except)
  return wrapService(target, {
    name: options.name ?? className(target),
    observes: (method) => (only === undefined || only.has(method)) && !except.has(method),
    attributes: options.attributes
  })
}

const className = (target: object): string => {
  const name: unknown = typeof target === "function" ? target.name : Object.getPrototypeOf(target)?.constructor?.name
  return typeof name === "string" && name !== "" && name !== "Object" ? name : "service"
}
