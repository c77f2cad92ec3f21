import { layer as layerSuite } from "@effect/vitest"
import type { ErrorHistory, MetricsHistory, MetricsRecorder, TraceHistory, Tracer } from "@effect-observability/core"
import type * as Layer from "effect/Layer"
import * as ErrorHistoryContract from "./ErrorHistoryContract.ts"
import * as ErrorsContract from "./ErrorsContract.ts"
import * as HistoryContract from "./HistoryContract.ts"
import type { Law } from "./Law.ts"
import * as LogsContract from "./LogsContract.ts"
import * as MetricsContract from "./MetricsContract.ts"
import * as SpansContract from "./SpansContract.ts"
import * as TracesContract from "./TracesContract.ts"

export { FrameMaker, type Happening } from "./FrameMaker.ts"
export { ErrorsProbe, type KeptError } from "./ErrorsContract.ts"
export { HistoryProbe } from "./HistoryContract.ts"
export { type KeptLog, LogsProbe } from "./LogsContract.ts"
export { errorHistoryProbe, historyProbes, memoryEventProbes, memoryHistory, memoryProbes } from "./probes.ts"
export { type Law, LawBroken } from "./Law.ts"
export { MetricsProbe } from "./MetricsContract.ts"
export { SpansProbe } from "./SpansContract.ts"

/** The laws as values, for runners other than vitest. */
export const metricsLaws = MetricsContract.laws
export const spansLaws = SpansContract.laws
export const tracesLaws = TracesContract.laws
export const errorsLaws = ErrorsContract.laws
export const errorHistoryLaws = ErrorHistoryContract.laws
export const logsLaws = LogsContract.laws
export const historyLaws = HistoryContract.laws

/** Registers one test per law; all of them run against one build of the layer, on the real clock. */
const suite = <R, E>(title: string, laws: ReadonlyArray<Law<R>>, layer: Layer.Layer<R, E>): void => {
  layerSuite(layer, { excludeTestServices: true, timeout: "60 seconds" })(title, (it) => {
    for (const { check, name } of laws) it.effect(name, () => check)
  })
}

/** The metrics contract: a backend joins it in one line. */
export const metricsSuite = <E>(name: string, layer: Layer.Layer<MetricsRecorder | MetricsContract.MetricsProbe, E>): void =>
  suite(`${name} keeps the metrics contract`, metricsLaws, layer)

/** The span contract: a backend joins it in one line. */
export const spansSuite = <E>(name: string, layer: Layer.Layer<Tracer | SpansContract.SpansProbe, E>): void =>
  suite(`${name} keeps the span contract`, spansLaws, layer)

/** The contract of backends that take errors: a backend joins it in one line. */
export const errorsSuite = <E>(name: string, layer: Layer.Layer<ErrorsContract.ErrorsProbe, E>): void =>
  suite(`${name} keeps the error contract`, errorsLaws, layer)

/** The contract of backends that take log lines: a backend joins it in one line. */
export const logsSuite = <E>(name: string, layer: Layer.Layer<LogsContract.LogsProbe, E>): void =>
  suite(`${name} keeps the log contract`, logsLaws, layer)

/** The contract of `ErrorHistory`, and that of errors through it: a store joins both in one line. */
export const errorHistorySuite = <E>(name: string, layer: Layer.Layer<ErrorHistory | ErrorsContract.ErrorsProbe, E>): void =>
  suite(`${name} keeps the contract of error history`, errorHistoryLaws, layer)

/** The contract of `MetricsHistory`: a store joins it in one line. */
export const historySuite = <E>(name: string, layer: Layer.Layer<MetricsHistory | HistoryContract.HistoryProbe, E>): void =>
  suite(`${name} keeps the history contract`, historyLaws, layer)

/** The contract of `TraceHistory`: a backend joins it in one line. */
export const tracesSuite = <E>(name: string, layer: Layer.Layer<TraceHistory | Tracer | SpansContract.SpansProbe, E>): void =>
  suite(`${name} keeps the contract of trace history`, tracesLaws, layer)
