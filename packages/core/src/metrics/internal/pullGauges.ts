import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { MetricDefinition } from "../MetricDefinition.ts"
import { quietly } from "../../hub/quietly.ts"
import type { Family } from "./Family.ts"
import type { Registry } from "./Registry.ts"
import type { Slot } from "./Slot.ts"

type Labels = Readonly<Record<string, string>>
/** A value, or several with their labels. */
export type Reading = number | Iterable<readonly [labels: Labels, value: number]>

export interface PollOptions {
  /** How often an Effect is asked for the value. Default 15 s. */
  readonly every?: Duration.Input
  /** How long it may take. Default: as long as `every`. */
  readonly timeout?: Duration.Input
}

/** Most series of one reading: an endless iterable must not hold the program. */
const maxReadings = 100_000

/**
 * Sets a gauge to what `read` gives: a function whenever values are read, an Effect every so often in the background. What throws,
 * fails or hangs is counted as `read_failed` and leaves the last value. A series that is not read any more ends, and all of them with the
 * scope.
 */
export const registerGauge = Effect.fnUntraced(function*<R>(
  registry: Registry,
  metric: MetricDefinition,
  read: (() => Reading) | Effect.Effect<Reading, unknown, R>,
  options: PollOptions = {}
): Effect.fn.Return<void, never, Scope.Scope | R> {
  /** Series of the last reading, with the family they belong to. */
  let slots = new Map<Slot, Family>()
  const put = (reading: Reading): void => {
    const seen = new Map<Slot, Family>()
    const set = (labels: Labels | undefined, value: number): void => {
      const family = registry.resolve(metric, "gauge", labels)
      if (family === undefined) return
      const slot = family.find(labels)
      registry.set(family, slot, value)
      seen.set(slot, family)
    }
    if (typeof reading === "object" && reading !== null) {
      let left = maxReadings
      try {
        for (const [labels, value] of reading) {
          if (left-- === 0) throw new Error(`more than ${maxReadings} readings`)
          set(labels, value)
        }
      } catch (error) {
        // What it said before ends with the scope too.
        for (const [slot, family] of seen) slots.set(slot, family)
        throw error
      }
    } else set(undefined, reading)
    end((slot) => !seen.has(slot))
    slots = seen
  }
  /** What is read no more has no value any more. */
  const end = (which: (slot: Slot) => boolean): void => {
    for (const [slot, family] of slots) if (slot.index >= 0 && which(slot)) registry.retire(family, slot)
  }
  yield* Effect.addFinalizer(() => Effect.sync(() => end(() => true)))
  if (!Effect.isEffect(read)) {
    yield* Effect.acquireRelease(
      // A hook that throws is counted where it is called.
      Effect.sync(() => registry.onRead(() => put(read()))),
      (stop) => Effect.sync(stop)
    )
    return
  }
  const { every = Duration.seconds(15), timeout = every } = options
  const once = read.pipe(
    Effect.timeout(timeout),
    Effect.map(put),
    // Also a read that was interrupted; when this fiber is, no handler runs.
    Effect.catchCause(() => Effect.sync(() => registry.refuse("read_failed", metric)))
  )
  yield* Effect.forkScoped(quietly(Effect.repeat(once, Schedule.spaced(every))))
})
