import { ObservabilityTracer, Telemetry } from "@effect-observability/core"
import * as Otel from "@opentelemetry/api"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as EffectTracer from "effect/Tracer"
import { BridgedContext, type Reach } from "./BridgedContext.ts"
import { propagator } from "./BridgedPropagator.ts"
import { BridgedTracerProvider } from "./BridgedTracer.ts"
import { SpanPairs } from "./SpanPairs.ts"

export interface BridgeOptions {
  /**
   * What takes the active span along. In code that runs as a step of a fiber it is always there, for the fiber is asked.
   *
   * - `"async"`: and in what a promise or a callback of Effect (`Effect.promise`, `Effect.tryPromise`, `Effect.callback`) starts: after an `await`, in
   *   timers and in listeners. Steps that wait cost a little more; the others pay for one comparison.
   * - `"everywhere"`: and in what any other step starts and leaves running (`Effect.sync(() => setTimeout(…))`). Every step inside a span costs more.
   * - `"sync"`: nothing else, at no cost.
   *
   * Default `"async"`.
   */
  readonly context?: Reach
  /**
   * Whether provider, context manager and W3C propagator become those of `@opentelemetry/api`, for libraries that ask it. Default `true`. With `false`
   * they are only in `OpenTelemetryBridge`, and OpenTelemetry code must be handed what it needs.
   */
  readonly global?: boolean
}

/** The bridge cannot be built; the message says what stands in its way. */
export class BridgeError extends Schema.TaggedError<BridgeError>()("BridgeError", {
  message: Schema.String
}) {}

/** OpenTelemetry's API over the program's own tracer. */
export class OpenTelemetryBridge extends Context.Service<OpenTelemetryBridge, {
  readonly tracerProvider: Otel.TracerProvider
  readonly contextManager: Otel.ContextManager
  readonly propagator: Otel.TextMapPropagator
}>()("@effect-observability/opentelemetry/OpenTelemetryBridge") {}

/**
 * Spans of libraries that are instrumented with OpenTelemetry become spans of this program: children of the Effect span around them, and parents
 * of Effect spans inside. There is one tracer with one set of ids, sampling and redaction, and every backend gets the spans; no OpenTelemetry SDK
 * is needed, and none may be registered beside.
 *
 * A span's status `OK` is not told apart from unset, and the instrumentation scope becomes attributes (`otel.scope.name`, `otel.scope.version`).
 *
 * @example
 * ```ts
 * const observability = Layer.mergeAll(OpenTelemetry.layer(), OpenTelemetryBridge.layer())
 * const users = Effect.promise(() => pg.query("select …")) // instrumented: its span is a child of "users"
 *   .pipe(Effect.withSpan("users"))
 * ```
 */
export const layer = (
  options: BridgeOptions = {}
): Layer.Layer<OpenTelemetryBridge | Layer.Success<typeof Telemetry.layer>, BridgeError> =>
  Layer.effect(OpenTelemetryBridge, make(options)).pipe(Layer.provideMerge(Telemetry.layer))

const make = ({ context: reach = "async", global = true }: BridgeOptions): Effect.Effect<OpenTelemetryBridge["Service"], BridgeError, Scope.Scope> =>
  Effect.gen(function*() {
    const tracer = yield* EffectTracer.Tracer
    const clock = yield* Clock.Clock
    if (!(tracer instanceof ObservabilityTracer.ObservabilityTracer)) {
      return yield* new BridgeError({ message: "another Effect tracer is installed: build the bridge on Telemetry.layer, beside the backends, and leave out other tracers" })
    }
    const pairs = new SpanPairs(clock)
    const contextManager = new BridgedContext(pairs, (other) => other === tracer)
    const tracerProvider = new BridgedTracerProvider(tracer, pairs, clock)
    const hook = contextManager.hook(reach)
    yield* Effect.acquireRelease(
      Effect.suspend(() => {
        const detach = tracer.attach({ parent: contextManager.parent, ...(hook === undefined ? {} : { context: hook }) })
        return detach === undefined
          ? Effect.fail(new BridgeError({ message: "there is a bridge already: a program needs one" }))
          : Effect.succeed(detach)
      }),
      (detach) =>
        Effect.sync(() => {
          detach()
          contextManager.disable()
        })
    )
    if (global) yield* Effect.acquireRelease(register(tracerProvider, contextManager), () => Effect.sync(unregister))
    return { tracerProvider, contextManager, propagator }
  })

/** All three or none. */
const register = (provider: Otel.TracerProvider, manager: Otel.ContextManager): Effect.Effect<void, BridgeError> =>
  Effect.suspend(() => {
    const taken = (what: string) =>
      Effect.fail(new BridgeError({ message: `@opentelemetry/api has a ${what} already: leave out the OpenTelemetry SDK, the bridge takes its place (or give the bridge \`global: false\`)` }))
    if (!Otel.trace.setGlobalTracerProvider(provider)) return taken("tracer provider")
    if (!Otel.context.setGlobalContextManager(manager)) {
      Otel.trace.disable()
      return taken("context manager")
    }
    if (!Otel.propagation.setGlobalPropagator(propagator)) {
      Otel.trace.disable()
      Otel.context.disable()
      return taken("propagator")
    }
    return Effect.void
  })

const unregister = (): void => {
  Otel.trace.disable()
  Otel.context.disable()
  Otel.propagation.disable()
}
