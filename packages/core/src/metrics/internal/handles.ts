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
      return new Gauge(registry, family, series)
    case "histogram":
    case "summary":
      return new Observer(registry, family, series)
    default:
      return new Counter(registry, family, series)
  }
}

abstract class Handle {
  protected readonly registry: Registry
  protected readonly family: Family
  private held: Slot

  constructor(registry: Registry, family: Family, series: Slot) {
    this.registry = registry
    this.family = family
    this.held = series
  }

  /** The series; another one when it was retired in the meantime. */
  protected get series(): Slot {
    return this.held.index >= 0 ? this.held : this.held = this.family.current(this.held)
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
