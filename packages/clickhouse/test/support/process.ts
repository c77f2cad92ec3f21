import type { Exporter, MetricFrame, MetricsHistory, ServiceResource, SpanData, TraceHistory } from "@effect-observability/core"
import { Effect, Redacted, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import { type ClickHouseConfig, type ClickHouseOptions, resolve } from "../../src/ClickHouseConfig.ts"
import * as History from "../../src/ClickHouseHistory.ts"
import * as Metrics from "../../src/ClickHouseMetrics.ts"
import * as Spans from "../../src/ClickHouseSpans.ts"
import * as Inserter from "../../src/internal/Inserter.ts"
import { resourceBytes } from "../../src/internal/resource.ts"
import * as Store from "../../src/internal/Store.ts"

export const target = (url: string, database: string): ClickHouseOptions => ({ connection: Redacted.make(`${url}/${database}`), readTimeout: "30 seconds" })

export interface Process {
  readonly config: ClickHouseConfig
  readonly store: Store.Store
  readonly resource: ServiceResource
  readonly exportFrames: (number: number, ...frames: readonly [MetricFrame, ...ReadonlyArray<MetricFrame>]) => Effect.Effect<Exporter.ExportOutcome, Exporter.ExportError>
  readonly exportSpans: (number: number, ...spans: readonly [SpanData, ...ReadonlyArray<SpanData>]) => Effect.Effect<Exporter.ExportOutcome, Exporter.ExportError>
  readonly metrics: MetricsHistory["Service"]
  readonly traces: TraceHistory["Service"]
}

/** A process as the backend sees it, without hub and pipe; waits until the tables are there. */
export const startProcess = (options: ClickHouseOptions, known: Partial<ServiceResource> = {}): Effect.Effect<Process, never, Scope.Scope> =>
  Effect.gen(function*() {
    const config = yield* Effect.orDie(resolve(options))
    const store = yield* Store.make(config, "test")
    for (let n = 0; !store.state().ready; n++) {
      if (n === 300) return yield* Effect.die(new Error(`not ready: ${store.state().problem}`))
      yield* Effect.sleep("50 millis")
    }
    const resource: ServiceResource = { service: "shop", version: "1", instance: randomUUID(), env: "test", cluster: "", ...known }
    const producer = randomUUID()
    const bytes = resourceBytes(resource)
    const frames = Metrics.make(Inserter.make(store, producer, "metrics"), bytes)
    const spans = Spans.make(Inserter.make(store, producer, "spans"), bytes)
    const source = History.sourceOf(store.connection, config.layout, config.readTimeout)
    return {
      config,
      store,
      resource,
      exportFrames: (number, ...batch) => frames.export(batch, { number, attempt: 1 }),
      exportSpans: (number, ...batch) => spans.export(batch, { number, attempt: 1 }),
      metrics: History.metrics(source),
      traces: History.traces(source)
    }
  })
