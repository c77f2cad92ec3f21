import { type CounterHandle, type GaugeHandle, MetricDefinition, type MetricsRecorder } from "@effect-observability/core"
import type * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import type * as Metric from "effect/Metric"
import { fibers } from "./definitions.ts"

const { outcomeOf, outcomes } = MetricDefinition
type Outcome = MetricDefinition.Outcome

/** Counts fibers as Effect begins and ends them; the numbers go to the store when somebody reads. */
export class FiberCounts implements Metric.FiberRuntimeMetricsService {
  private readonly inner: Metric.FiberRuntimeMetricsService | undefined
  private readonly active: GaugeHandle
  private readonly startedTotal: CounterHandle
  private readonly endedTotal: Readonly<Record<Outcome, CounterHandle>>
  private running = 0
  private started = 0
  private readonly ended: Record<Outcome, number> = { success: 0, failure: 0, defect: 0, interrupted: 0 }

  /** `inner` counted before, and goes on counting. */
  constructor(recorder: MetricsRecorder["Service"], inner: Metric.FiberRuntimeMetricsService | undefined) {
    this.inner = inner
    this.active = recorder.bind(fibers.active)
    this.startedTotal = recorder.bind(fibers.started)
    const ended = (outcome: Outcome) => recorder.bind(fibers.ended, { outcome })
    this.endedTotal = { success: ended("success"), failure: ended("failure"), defect: ended("defect"), interrupted: ended("interrupted") }
  }

  recordFiberStart = (context: Context.Context<never>): void => {
    this.inner?.recordFiberStart(context)
    this.running++
    this.started++
  }

  recordFiberEnd = (context: Context.Context<never>, exit: Exit.Exit<unknown, unknown>): void => {
    this.inner?.recordFiberEnd(context, exit)
    // A fiber that began before these counts were provided may end under them.
    if (this.running > 0) this.running--
    this.ended[outcomeOf(exit)]++
  }

  read(): void {
    this.active.setUnsafe(this.running)
    this.startedTotal.incrementUnsafe(this.started)
    this.started = 0
    for (const outcome of outcomes) {
      this.endedTotal[outcome].incrementUnsafe(this.ended[outcome])
      this.ended[outcome] = 0
    }
  }
}
