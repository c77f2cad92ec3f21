import * as Effect from "effect/Effect"

/** A bell: whoever waits when it rings goes on; ringing with nobody waiting is remembered once. */
export class Signal {
  private rung = false
  private waiter: (() => void) | undefined

  ring(): void {
    const waiter = this.waiter
    if (waiter === undefined) this.rung = true
    else {
      this.waiter = undefined
      waiter()
    }
  }

  /** For one waiter at a time. */
  readonly wait: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.rung) {
      this.rung = false
      resume(Effect.void)
      return
    }
    this.waiter = () => resume(Effect.void)
    return Effect.sync(() => {
      this.waiter = undefined
    })
  })

  /** Waits for the bell, at most `millis`. */
  waitFor(millis: number): Effect.Effect<void> {
    return millis <= 0 ? Effect.void : Effect.raceFirst(this.wait, Effect.sleep(millis))
  }
}
