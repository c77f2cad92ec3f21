import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { errorTypeOf, type LongTask, type Operation, outcomeOf } from "../bundles.ts"
import type { MetricDefinition } from "../MetricDefinition.ts"
import type { Family } from "./Family.ts"
import { isDefinition } from "./Catalogue.ts"
import type { Registry } from "./Registry.ts"
import type { Slot } from "./Slot.ts"

type Labels = Readonly<Record<string, string>> | undefined
type Metric = MetricDefinition | string
type WithSpan = (name: string) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Runs an effect and tells how long it took, however it ends. The hook is in place before the effect begins. */
const measured = <A, E, R>(self: Effect.Effect<A, E, R>, onEnd: (seconds: number, exit: Exit.Exit<A, E>) => void): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const clock = fiber.getRef(Clock.Clock)
    const start = clock.monotonicTimeNanosUnsafe()
    return Effect.onExitPrimitive(self, (exit) => {
      onEnd(Number(clock.monotonicTimeNanosUnsafe() - start) / 1e9, exit)
      return undefined
    })
  })

/** The measuring calls of the recorder. */
export const make = (registry: Registry, withSpan: WithSpan) => ({
  timed: <A, E, R>(metric: Metric, self: Effect.Effect<A, E, R>, labels?: Labels): Effect.Effect<A, E, R> =>
    measured(self, (seconds) => observe(registry, metric, seconds, labels)),

  counted: <A, E, R>(metric: Metric, self: Effect.Effect<A, E, R>, labels?: Labels): Effect.Effect<A, E, R> =>
    Effect.onExitPrimitive(self, (exit) => {
      registry.increment(metric, 1, ended(metric, labels, exit))
      return undefined
    }),

  observe: <A, E, R>(operation: Operation<any>, self: Effect.Effect<A, E, R>, labels?: Labels): Effect.Effect<A, E, R> =>
    // Measured inside the span, so that the exemplar of a slow call is the call itself.
    withSpan(operation.name)(measured(self, (seconds, exit) => {
      registry.observe(operation.duration, "histogram", seconds, labels)
      registry.increment(operation.total, 1, ended(operation.total, labels, exit))
    })),

  longTask: longTasks(registry)
})

const observe = (registry: Registry, metric: Metric, seconds: number, labels: Labels): void =>
  registry.observe(metric, isDefinition(metric) && metric.type === "summary" ? "summary" : "histogram", seconds, labels)

/** The labels of an end: `outcome` and `error_type` where the metric has them. */
const ended = (metric: Metric, labels: Labels, exit: Exit.Exit<unknown, unknown>): Labels => {
  const names = isDefinition(metric) ? metric.labelNames : byName
  const own: Record<string, string> = {}
  if (names.includes("outcome")) own["outcome"] = outcomeOf(exit)
  if (names.includes("error_type")) own["error_type"] = errorTypeOf(exit)
  try {
    return { ...labels, ...own }
  } catch {
    // A proxy or a getter that throws: the other labels are missing, and counted as such.
    return own
  }
}

/** What a counter given by its name is declared with. */
const byName: ReadonlyArray<string> = ["outcome"]

/** Tasks in flight, by series; their gauges are written when somebody reads. */
const longTasks = (registry: Registry) => {
  const groups = new Map<Slot, Group>()
  let hooked = false
  const show = (): void => {
    for (const [slot, group] of groups) {
      group.show()
      // Series of tasks that are long over end for being idle.
      if (slot.index < 0 && group.idle) groups.delete(slot)
    }
  }
  const groupOf = (task: LongTask<any>, labels: Labels): Group | undefined => {
    const active = registry.resolve(task.active, "upDownCounter", labels)
    const duration = registry.resolve(task.duration, "gauge", labels)
    const longest = registry.resolve(task.longest, "gauge", labels)
    if (active === undefined || duration === undefined || longest === undefined) return undefined
    const slot = active.find(labels)
    let group = groups.get(slot)
    if (group === undefined) {
      groups.set(slot, group = new Group(registry, { family: active, slot }, { family: duration, slot: duration.find(labels) }, { family: longest, slot: longest.find(labels) }))
      if (!hooked) registry.onRead(show)
      hooked = true
    }
    return group
  }
  return <A, E, R>(task: LongTask<any>, self: Effect.Effect<A, E, R>, labels?: Labels): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      const group = groupOf(task, labels)
      if (group === undefined) return self
      let running: Running | undefined
      // The hook first, then the task counts as running: a fiber can be interrupted between any two steps.
      return Effect.onExitPrimitive(
        Effect.withFiber(() => {
          running = group.start(clock)
          return self
        }),
        () => {
          if (running !== undefined) group.end(running)
          return undefined
        }
      )
    })
}

interface Running {
  readonly clock: Clock.Clock
  readonly start: bigint
}

interface Place {
  readonly family: Family
  slot: Slot
}

class Group {
  private readonly registry: Registry
  private readonly active: Place
  private readonly duration: Place
  private readonly longest: Place
  private readonly tasks = new Set<Running>()
  private shown = true

  constructor(registry: Registry, active: Place, duration: Place, longest: Place) {
    this.registry = registry
    this.active = active
    this.duration = duration
    this.longest = longest
  }

  /** Whether nothing runs and that was shown. */
  get idle(): boolean {
    return this.tasks.size === 0 && this.shown
  }

  start(clock: Clock.Clock): Running {
    const running = { clock, start: clock.monotonicTimeNanosUnsafe() }
    this.tasks.add(running)
    this.shown = false
    this.registry.add(this.active.family, living(this.active), 1)
    return running
  }

  end(running: Running): void {
    if (!this.tasks.delete(running)) return
    this.shown = false
    this.registry.add(this.active.family, living(this.active), -1)
  }

  show(): void {
    if (this.idle) return
    let sum = 0
    let longest = 0
    for (const { clock, start } of this.tasks) {
      const seconds = Math.max(0, Number(clock.monotonicTimeNanosUnsafe() - start) / 1e9)
      sum += seconds
      if (seconds > longest) longest = seconds
    }
    this.registry.set(this.duration.family, living(this.duration), sum)
    this.registry.set(this.longest.family, living(this.longest), longest)
    this.shown = true
  }
}

/** The series, or its successor when it ended for being idle. */
const living = (place: Place): Slot => place.slot.index >= 0 ? place.slot : place.slot = place.family.current(place.slot)
