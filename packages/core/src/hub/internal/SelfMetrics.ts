import type { MetricDefinition } from "../../metrics/MetricDefinition.ts"
import type { Registry } from "../../metrics/internal/Registry.ts"
import * as StandardMetrics from "../../metrics/StandardMetrics.ts"
import { imbalance } from "../../pipe/Ledger.ts"
import type { SamplingReport } from "../../tracing/ObservabilityTracer.ts"
import type { Books } from "./Books.ts"
import type { ComponentReport, LoadReport, QueueReport, Signal } from "../Telemetry.ts"
import type { UpkeepReport } from "../Upkeep.ts"

/** What the toolkit says about itself, as `obs_*` metrics in the same store. */
export class SelfMetrics {
  private readonly store: Registry
  private readonly reports: () => ReadonlyArray<ComponentReport>
  private readonly books: Books
  private readonly sampling: () => SamplingReport
  private readonly load: () => LoadReport | undefined
  private readonly upkeep: () => ReadonlyArray<UpkeepReport & { readonly backend: string }>
  private readonly queues: () => ReadonlyArray<QueueReport>
  private readonly seen = new Map<string, number>()

  constructor(
    store: Registry,
    reports: () => ReadonlyArray<ComponentReport>,
    books: Books,
    sampling: () => SamplingReport,
    load: () => LoadReport | undefined,
    upkeep: () => ReadonlyArray<UpkeepReport & { readonly backend: string }>,
    queues: () => ReadonlyArray<QueueReport>
  ) {
    this.queues = queues
    this.upkeep = upkeep
    this.load = load
    this.store = store
    this.sampling = sampling
    this.reports = reports
    this.books = books
  }

  loss(backend: string, signal: Signal, count: number, reason: string): void {
    this.store.increment(StandardMetrics.DroppedMetrics, count, { backend, signal, reason })
  }

  settled(backend: string, seconds: number): void {
    this.store.observe(StandardMetrics.MetricsProcessingDuration, "histogram", seconds, { backend })
  }

  refresh(): void {
    const { store } = this
    const sampling = this.sampling()
    this.rise(StandardMetrics.SampledOut, "sampled out", sampling.sampledOut, {})
    store.setGauge(StandardMetrics.HeldSpans, sampling.held, {})
    for (const reason of ["overflow", "expired", "shutdown"] as const) {
      this.rise(StandardMetrics.DecidedEarly, `early ${reason}`, sampling.decidedEarly[reason], { reason })
    }
    const reports = this.reports()
    for (const { backend, ledger, signal } of this.books.removed(reports)) {
      const labels = { backend, signal }
      store.setGauge(StandardMetrics.QueueItems, ledger.queued + ledger.inFlight, labels)
      store.setGauge(StandardMetrics.QueueAge, 0, labels)
      this.rise(StandardMetrics.Exported, `exported ${backend} ${signal}`, ledger.exported, labels)
    }
    for (const component of reports) {
      for (const { ledger, oldestAgeMillis, queuedItems, signal } of component.signals) {
        const labels = { backend: component.name, signal }
        store.setGauge(StandardMetrics.QueueItems, queuedItems, labels)
        store.setGauge(StandardMetrics.QueueAge, oldestAgeMillis / 1000, labels)
        this.rise(StandardMetrics.Exported, `exported ${component.name} ${signal}`, ledger.exported, labels)
        if (imbalance(ledger) !== undefined) store.increment(StandardMetrics.LedgerImbalance, 1, labels)
      }
    }
    for (const { backend, rebuilds, signal } of this.queues()) this.rise(StandardMetrics.BackendRebuilds, `rebuilt ${backend} ${signal}`, rebuilds, { backend, signal })
    const load = this.load()
    if (load !== undefined) {
      store.setGauge(StandardMetrics.LoadLevel, load.level, {})
      store.setGauge(StandardMetrics.SamplingRatio, load.samplingRatio, {})
      for (const what of Object.keys(load.shed)) this.rise(StandardMetrics.Shed, `shed ${what}`, load.shed[what]!, { what })
    }
    for (const { backend, counts, dryRun } of this.upkeep()) {
      for (const [action, total] of Object.entries(counts)) {
        const name = dryRun ? `would_${action}` : action
        this.rise(StandardMetrics.UpkeepActions, `upkeep ${backend} ${name}`, total, { backend, action: name })
      }
    }
    const refusals = store.refusals()
    for (const reason of Object.keys(refusals)) {
      this.rise(StandardMetrics.RejectedRecords, `rejected ${reason}`, refusals[reason]!, { reason })
    }
    for (const [metric, total] of store.overflows()) this.rise(StandardMetrics.CardinalityOverflow, `overflow ${metric}`, total, { metric })
    store.setGauge(StandardMetrics.Series, store.size, {})
  }

  /** Brings a counter up to a total kept elsewhere. */
  private rise(metric: MetricDefinition, key: string, total: number, labels: Readonly<Record<string, string>>): void {
    let before = this.seen.get(key) ?? 0
    // A queue that a backend made by itself begins anew with its successor.
    if (total < before) this.seen.set(key, before = 0)
    if (total > before) {
      this.store.increment(metric, total - before, labels)
      this.seen.set(key, total)
    }
  }
}
