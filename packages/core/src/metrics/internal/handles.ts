import * as Effect from "effect/Effect"
import type { MetricDefinition } from "../MetricDefinition.ts"
import type { CounterHandle, GaugeHandle, ObserverHandle } from "../MetricsRecorder.ts"
import type { Family } from "./Family.ts"
import type { Registry } from "./Registry.ts"
import type { Slot } from "./Slot.ts"

type Labels = Readonly<Record<string, string>>

const nothing = () => Effect.void
const nothingUnsafe = () => {}

/** Takes everything and keeps nothing. */
export const silentHandle: CounterHandle & GaugeHandle & ObserverHandle = {
  increment: nothing,
  incrementUnsafe: nothingUnsafe,
  set: nothing,
  setUnsafe: nothingUnsafe,
  observe: nothing,
  observeUnsafe: nothingUnsafe
}

/** Finds the series once; a metric that cannot be recorded gives a handle that keeps nothing. */
export const bind = (registry: Registry, metric: MetricDefinition, labels: Labels | undefined) => {
  const family = registry.resolveAny(metric, labels)
  if (family === undefined) return silentHandle
  const series = family.find(labels)
  switch (family.source.type) {
    case "gauge":
      return new Gauge(registry, family, series, labels)
    case "histogram":
    case "summary":
      return new Observer(registry, family, series, labels)
    default:
      return new Counter(registry, family, series, labels)
  }
}

abstract class Handle {
  protected readonly registry: Registry
  protected readonly family: Family
  private readonly labels: Labels | undefined
  private held: Slot | undefined

  constructor(registry: Registry, family: Family, series: Slot, labels: Labels | undefined) {
    this.registry = registry
    this.family = family
    this.labels = labels
    this.held = family.isOverflow(series) ? undefined : series
  }

  /** The series; another one when it was retired in the meantime. */
  protected get series(): Slot {
    const { held } = this
    return held !== undefined && held.index >= 0 ? held : this.again(held)
  }

  /** Past the budget nothing is held: every record is counted there, and there may be room for the next. */
  private again(held: Slot | undefined): Slot {
    const found = held === undefined ? this.family.find(this.labels) : this.family.current(held)
    if (!this.family.isOverflow(found)) this.held = found
    return found
  }
}

class Counter extends Handle implements CounterHandle {
  private readonly one = Effect.sync(() => this.incrementUnsafe(1))

  increment(value?: number): Effect.Effect<void> {
    return value === undefined ? this.one : Effect.sync(() => this.incrementUnsafe(value))
  }

  incrementUnsafe(value = 1): void {
    this.registry.add(this.family, this.series, value)
  }
}

class Gauge extends Handle implements GaugeHandle {
  set(value: number): Effect.Effect<void> {
    return Effect.sync(() => this.setUnsafe(value))
  }

  setUnsafe(value: number): void {
    this.registry.set(this.family, this.series, value)
  }
}

class Observer extends Handle implements ObserverHandle {
  observe(value: number): Effect.Effect<void> {
    return Effect.sync(() => this.observeUnsafe(value))
  }

  observeUnsafe(value: number): void {
    this.registry.observeIn(this.family, this.series, value)
  }
}
