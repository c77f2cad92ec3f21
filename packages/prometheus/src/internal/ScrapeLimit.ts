import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

/**
 * Bounds what scrapes can hold: only so many at once, and none longer than the deadline. A reader that takes a byte per second
 * is cut off by interrupting the fiber that writes to it.
 */
export class ScrapeLimit {
  private readonly most: number
  private readonly deadline: Duration.Input
  private running = 0

  /** Throws for a limit or a deadline that would let nobody in, or everybody. */
  constructor(most: number, deadline: Duration.Input) {
    if (!(most >= 1)) throw new RangeError(`layerRoute: maxScrapes is ${most}: use 1 or more`)
    if (!(Duration.toMillis(deadline) >= 1)) throw new RangeError(`layerRoute: scrapeTimeout is ${String(deadline)}: use at least a millisecond`)
    this.most = most
    this.deadline = deadline
  }

  /** Takes a place until the scope closes and watches over `writer` until then; `false` when there is none. */
  enter(writer: Fiber.Fiber<unknown, unknown>): Effect.Effect<boolean, never, Scope.Scope> {
    return Effect.suspend(() => {
      if (this.running >= this.most) return Effect.succeed(false)
      this.running++
      return Effect.addFinalizer(() => Effect.sync(() => this.running--)).pipe(
        Effect.andThen(Effect.forkScoped(Effect.andThen(Effect.sleep(this.deadline), Effect.sync(() => writer.interruptUnsafe())))),
        Effect.as(true)
      )
    })
  }
}
