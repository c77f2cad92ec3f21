import * as Otel from "@opentelemetry/api"
import * as Fiber from "effect/Fiber"
import type * as EffectTracer from "effect/Tracer"
import { AsyncLocalStorage } from "node:async_hooks"
import type { SpanPairs } from "./SpanPairs.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** A context of OpenTelemetry, and the span of the fiber in which it was entered: inside another span it is outdated. */
interface Entered {
  readonly context: Otel.Context
  readonly fiber: AnyFiber | undefined
  readonly span: EffectTracer.AnySpan | undefined
}

/** What `@opentelemetry/core` calls `suppressTracing`. */
const suppressed = Symbol.for("OpenTelemetry SDK Context Key SUPPRESS_TRACING")

export const isSuppressed = (context: Otel.Context): boolean => context.getValue(suppressed) === true

/** Which steps of a fiber take the OpenTelemetry context along into what they start. */
export type Reach = "sync" | "async" | "everywhere"

/**
 * OpenTelemetry's active context, with the span of the running fiber in it.
 *
 * In a fiber the fiber decides: its span is active unless the same code entered another context since (`context.with`). Outside, in callbacks and
 * after an `await`, it is what was entered where they began (`AsyncLocalStorage`).
 */
export class BridgedContext implements Otel.ContextManager {
  private readonly storage = new AsyncLocalStorage<Entered>()
  private readonly pairs: SpanPairs
  /** Whether a tracer is ours; the fibers of another one are none of our business. */
  private readonly isOurs: (tracer: EffectTracer.Tracer | undefined) => boolean
  private attached = true

  constructor(pairs: SpanPairs, isOurs: (tracer: EffectTracer.Tracer | undefined) => boolean) {
    this.pairs = pairs
    this.isOurs = isOurs
  }

  active(): Otel.Context {
    const entered = this.storage.getStore()
    const fiber = Fiber.getCurrent()
    if (fiber === undefined || !this.isOurs(fiber.cache.tracer)) return entered?.context ?? Otel.ROOT_CONTEXT
    return this.of(fiber, entered)
  }

  private of(fiber: AnyFiber, entered: Entered | undefined): Otel.Context {
    const { span, tracerEnabled } = fiber.cache
    const base = entered?.context ?? Otel.ROOT_CONTEXT
    if (!tracerEnabled) return base.setValue(suppressed, true)
    if (span === undefined || (entered !== undefined && entered.fiber === fiber && entered.span === span)) return base
    return Otel.trace.setSpan(base, this.pairs.otel(span))
  }

  /** The parent that surrounds a fiber that has none of its own. */
  readonly parent = (): EffectTracer.AnySpan | undefined => {
    const entered = this.storage.getStore()
    return entered === undefined ? undefined : this.pairs.effect(Otel.trace.getSpan(entered.context))
  }

  with<A extends ReadonlyArray<unknown>, F extends (...args: A) => ReturnType<F>>(context: Otel.Context, fn: F, thisArg?: ThisParameterType<F>, ...args: A): ReturnType<F> {
    const fiber = Fiber.getCurrent()
    const entered: Entered = { context, fiber, span: fiber?.cache.span }
    return this.storage.run(entered, () => fn.call(thisArg as never, ...args)) as ReturnType<F>
  }

  bind<T>(context: Otel.Context, target: T): T {
    if (typeof target === "function") {
      const self = this
      const bound = function(this: unknown, ...args: ReadonlyArray<unknown>): unknown {
        return self.with(context, target as unknown as (...args: ReadonlyArray<unknown>) => unknown, this as never, ...args)
      }
      Object.defineProperty(bound, "length", { configurable: true, value: target.length })
      return bound as T
    }
    return isEmitter(target) ? this.bindEmitter(context, target) : target
  }

  /** Listeners that are added from now on run in the context. */
  private bindEmitter<T extends Emitter>(context: Otel.Context, emitter: T): T {
    const bound = new WeakMap<object, unknown>()
    for (const name of ["on", "addListener", "once", "prependListener", "prependOnceListener"] as const) {
      const original = emitter[name]
      if (typeof original !== "function") continue
      emitter[name] = (event: unknown, listener: object) => {
        const wrapped = this.bind(context, listener)
        bound.set(listener, wrapped)
        return original.call(emitter, event, wrapped)
      }
    }
    for (const name of ["off", "removeListener"] as const) {
      const original = emitter[name]
      if (typeof original === "function") emitter[name] = (event: unknown, listener: object) => original.call(emitter, event, bound.get(listener) ?? listener)
    }
    return emitter
  }

  enable(): this {
    return this
  }

  disable(): this {
    this.attached = false
    this.storage.disable()
    return this
  }

  /**
   * The hook for a tracer. Steps that wait for something outside of Effect (promises, callbacks) are entered always, since what they start goes on
   * without a fiber; the others only `"everywhere"`, as entering costs more than most steps do.
   */
  hook(reach: Reach): EffectTracer.Tracer["context"] {
    if (reach === "sync") return undefined
    const all = reach === "everywhere"
    return (primitive, fiber) => {
      if (!all && (primitive as Primitive)["~effect/Effect/identifier"] !== "Async") return primitive["~effect/Effect/evaluate"](fiber)
      if (!this.attached) return primitive["~effect/Effect/evaluate"](fiber)
      const { span, tracerEnabled } = fiber.cache
      const entered = this.storage.getStore()
      if (tracerEnabled && (span === undefined || (entered !== undefined && entered.fiber === fiber && entered.span === span))) {
        return primitive["~effect/Effect/evaluate"](fiber)
      }
      return this.storage.run({ context: this.of(fiber, entered), fiber, span }, () => primitive["~effect/Effect/evaluate"](fiber))
    }
  }
}

/** Where Effect keeps what kind of step a primitive is. */
interface Primitive {
  readonly "~effect/Effect/identifier"?: string
}

type Emitter = { [K in "on" | "addListener" | "once" | "prependListener" | "prependOnceListener" | "off" | "removeListener"]?: (event: unknown, listener: object) => unknown }

const isEmitter = (target: unknown): target is Emitter => typeof target === "object" && target !== null && typeof (target as Emitter).on === "function"
