import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AlertEvent } from "../alerting/Alert.ts"
import type { ErrorData } from "../errors/ErrorData.ts"
import { AlertHistory, type StoredAlertEvent } from "../history/AlertHistory.ts"
import { ErrorHistory, type StoredError } from "../history/ErrorHistory.ts"
import { MetricsHistory } from "../history/MetricsHistory.ts"
import { type StoredSpan, TraceHistory } from "../history/TraceHistory.ts"
import { type CompositionError, Telemetry } from "../hub/Telemetry.ts"
import type { MetricFrame } from "../metrics/MetricFrame.ts"
import { complete } from "../pipe/Exporter.ts"
import type { SpanData } from "../tracing/SpanData.ts"
import * as AlertHistories from "./internal/alertHistory.ts"
import * as ErrorHistories from "./internal/errorHistory.ts"
import * as FrameHistory from "./internal/frameHistory.ts"
import * as SpanHistory from "./internal/spanHistory.ts"

export interface MemoryHistoryOptions {
  /** Default `"memory-history"`. */
  readonly name?: string
  /** Most frames kept, the oldest give way. Default 1,000. */
  readonly maxFrames?: number
  /** Most spans kept, the oldest give way. Default 10,000. */
  readonly maxSpans?: number
  /** Most errors kept, the oldest give way. Default 1,000. */
  readonly maxErrors?: number
  /** Most events of alerts kept, the oldest give way. Default 1,000. */
  readonly maxAlerts?: number
}

/** All histories, held in memory: a reference for the stores, and history for tests. Takes a frame at every flush interval. */
export const layerBackend = (
  options: MemoryHistoryOptions = {}
): Layer.Layer<MetricsHistory | TraceHistory | ErrorHistory | AlertHistory, CompositionError, Telemetry> =>
  Layer.effectContext(
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const { maxAlerts = 1000, maxErrors = 1000, maxFrames = 1000, maxSpans = 10_000, name = "memory-history" } = options
      const settings = telemetry.settings()
      let frames: Array<MetricFrame> = []
      let spans: Array<StoredSpan> = []
      let errors: Array<StoredError> = []
      let alerts: Array<StoredAlertEvent> = []
      yield* telemetry.claim("MetricsHistory", name)
      yield* telemetry.claim("TraceHistory", name)
      yield* telemetry.claim("ErrorHistory", name)
      yield* telemetry.claim("AlertHistory", name)
      const metricPipe = yield* telemetry.exportFrames({
        name,
        interval: settings.flushInterval,
        exporter: {
          export: (batch) =>
            Effect.sync(() => {
              frames = [...frames, ...batch].slice(-maxFrames)
              return complete
            })
        }
      })
      const spanPipe = yield* telemetry.exportSpans({
        name,
        exporter: {
          export: (batch: ReadonlyArray<SpanData>) =>
            Effect.sync(() => {
              spans = [...spans, ...batch.map((span) => ({ ...span, serviceName: telemetry.resource.service }))].slice(-maxSpans)
              return complete
            })
        }
      })
      const errorPipe = yield* telemetry.exportErrors({
        name,
        exporter: {
          export: (batch: ReadonlyArray<ErrorData>) =>
            Effect.sync(() => {
              errors = [...errors, ...batch.map((error) => ({ ...error, serviceName: telemetry.resource.service }))].slice(-maxErrors)
              return complete
            })
        }
      })
      const alertPipe = yield* telemetry.exportAlerts({
        name,
        exporter: {
          export: (batch: ReadonlyArray<AlertEvent>) =>
            Effect.sync(() => {
              alerts = [...alerts, ...batch.map((event) => ({ ...event, serviceName: telemetry.resource.service }))].slice(-maxAlerts)
              return complete
            })
        }
      })
      const signal = <S extends "metrics" | "spans" | "errors" | "alerts">(of: S, pipe: { readonly ledger: typeof spanPipe.ledger; readonly status: typeof spanPipe.status }) => {
        const { oldestAgeMillis, queuedBytes, queuedItems } = pipe.status()
        return { signal: of, ledger: pipe.ledger(), queuedItems, queuedBytes, oldestAgeMillis, lastError: undefined }
      }
      yield* telemetry.register({
        name,
        kind: "memory",
        onSpan: (span) => spanPipe.offerUnsafe(span),
        onError: (error) => void errorPipe.offerUnsafe(error),
        onAlert: (event) => void alertPipe.offerUnsafe(event),
        flush: Effect.all([metricPipe.flush, spanPipe.flush, errorPipe.flush, alertPipe.flush], { discard: true }),
        report: () => ({ name, kind: "memory", status: "up", reason: undefined, signals: [signal("metrics", metricPipe), signal("spans", spanPipe), signal("errors", errorPipe), signal("alerts", alertPipe)] })
      })

      return Context.make(MetricsHistory, FrameHistory.make(() => [frames], () => telemetry.resource)).pipe(
        Context.add(ErrorHistory, ErrorHistories.make(() => errors, telemetry.resource)),
        Context.add(AlertHistory, AlertHistories.make(() => alerts, telemetry.resource)),
        Context.add(
          TraceHistory,
          SpanHistory.make({
            spans: () => spans,
            keep: (kept) => {
              spans = kept
            },
            resource: telemetry.resource
          })
        )
      )
    })
  )

/** `MetricsHistory` over frames at hand, those of each process in a list of their own: the reference for the stores. */
export const ofFrames = FrameHistory.make

/** `ErrorHistory` over errors at hand: the reference for the stores. */
export const ofErrors = ErrorHistories.make

/** `AlertHistory` over events at hand: the reference for the stores. */
export const ofAlerts = AlertHistories.make

/** `TraceHistory` over spans at hand: the reference for the stores. */
export const ofSpans = SpanHistory.make
