import { type CounterHandle, type MetricsRecorder, type ObserverHandle, OtelMetrics, StandardMetrics } from "@effect-observability/core"
import * as SqlMetrics from "../SqlMetrics.ts"

export type Conventions = "standard" | "otel" | "both"

/** The series of one operation on one table, found once and then only written. */
export interface OperationSeries {
  readonly operation: string
  readonly table: string
  readonly durations: ReadonlyArray<ObserverHandle>
  /** By error type; under OpenTelemetry's conventions the error is a label of the duration. */
  readonly otelDurations: Map<string, ObserverHandle>
  readonly rows: ReadonlyArray<ObserverHandle>
}

const maxErrorTypes = 50

/** Metrics of one client, under the names that the settings ask for. */
export class DbMetrics {
  private readonly recorder: MetricsRecorder["Service"]
  private readonly standard: boolean
  private readonly otel: boolean
  private readonly operations = new Map<string, Map<string, OperationSeries>>()
  private readonly errors = new Map<string, CounterHandle>()
  private readonly errorTypes = new Set<string>()

  constructor(recorder: MetricsRecorder["Service"], conventions: Conventions) {
    this.recorder = recorder
    this.standard = conventions !== "otel"
    this.otel = conventions !== "standard"
  }

  /** Both are bounded: known verbs, and tables within the budget. */
  operation(operation: string, table: string): OperationSeries {
    let tables = this.operations.get(operation)
    if (tables === undefined) this.operations.set(operation, tables = new Map())
    let series = tables.get(table)
    if (series === undefined) tables.set(table, series = this.bind(operation, table))
    return series
  }

  /** `rows` where they were counted, `failure` a word of low cardinality. */
  record(series: OperationSeries, seconds: number, rows: number | undefined, failure: string | undefined): void {
    for (const duration of series.durations) duration.observeUnsafe(seconds)
    if (this.otel) this.otelDuration(series, failure === undefined ? "" : this.bounded(failure)).observeUnsafe(seconds)
    if (rows !== undefined) for (const handle of series.rows) handle.observeUnsafe(rows)
    if (failure !== undefined && this.standard) this.error(series.operation, this.bounded(failure)).incrementUnsafe()
  }

  interrupted(series: OperationSeries): void {
    this.recorder.incrementCounterUnsafe(SqlMetrics.Interruptions, 1, { operation: series.operation })
  }

  slow({ operation, table }: OperationSeries): void {
    this.recorder.incrementCounterUnsafe(SqlMetrics.SlowQueries, 1, { operation, table })
  }

  transaction(kind: "transaction" | "savepoint", outcome: SqlMetrics.TransactionEnd, seconds: number): void {
    this.recorder.incrementCounterUnsafe(SqlMetrics.Transactions, 1, { kind, outcome })
    this.recorder.observeHistogramUnsafe(SqlMetrics.TransactionDuration, seconds, { kind })
  }

  private bind(operation: string, table: string): OperationSeries {
    const { recorder } = this
    const rows: Array<ObserverHandle> = []
    if (this.standard) rows.push(recorder.bind(SqlMetrics.ReturnedRows, { operation, table }))
    if (this.otel) rows.push(recorder.bind(SqlMetrics.OtelReturnedRows, { db_operation_name: operation, db_collection_name: table }))
    return {
      operation,
      table,
      durations: this.standard ? [recorder.bind(StandardMetrics.DbOperationDuration, { operation, table })] : [],
      otelDurations: new Map(),
      rows
    }
  }

  private otelDuration({ operation, otelDurations, table }: OperationSeries, failure: string): ObserverHandle {
    let handle = otelDurations.get(failure)
    if (handle === undefined) {
      handle = this.recorder.bind(OtelMetrics.DbClientOperationDuration, { db_operation_name: operation, db_collection_name: table, error_type: failure })
      otelDurations.set(failure, handle)
    }
    return handle
  }

  private error(operation: string, type: string): CounterHandle {
    const key = `${operation} ${type}`
    let handle = this.errors.get(key)
    if (handle === undefined) this.errors.set(key, handle = this.recorder.bind(StandardMetrics.DbErrors, { operation, error_type: type }))
    return handle
  }

  private bounded(type: string): string {
    if (this.errorTypes.has(type)) return type
    if (this.errorTypes.size >= maxErrorTypes) return "_OTHER"
    this.errorTypes.add(type)
    return type
  }
}
