import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as EffectTracer from "effect/Tracer"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/**
 * For clients that are called outside Effect: the fiber that calls, as long as it can be told (up to the first `await` of a plain async function); else one with
 * the settings that held when the client was observed, and no span around it.
 */
export class Calling {
  private readonly outside: Context.Context<never>

  private constructor(outside: Context.Context<never>) {
    this.outside = outside
  }

  static readonly make: Effect.Effect<Calling> = Effect.map(Effect.context<never>(), (context) => new Calling(Context.omit(EffectTracer.ParentSpan)(context)))

  within<A>(use: (fiber: AnyFiber) => A): A {
    const fiber = Fiber.getCurrent()
    return fiber === undefined ? Effect.runSyncWith(this.outside)(Effect.withFiber((own) => Effect.succeed(use(own)))) : use(fiber)
  }

  /** Runs what nobody waits for. */
  run(effect: Effect.Effect<void>): void {
    Effect.runForkWith(this.outside)(effect)
  }
}
