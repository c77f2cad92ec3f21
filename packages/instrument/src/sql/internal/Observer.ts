import { type MetricsRecorder, ObservabilityTracer, type Redaction, Spans, type Telemetry } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as EffectTracer from "effect/Tracer"
import type { ResolvedOptions } from "../SqlOptions.ts"
import { classify, type DbFailure } from "./classify.ts"
import { withComment } from "./comment.ts"
import { type Conventions, DbMetrics, type OperationSeries } from "./DbMetrics.ts"
import { PoolCounts } from "./PoolWatch.ts"
import { SlowLog } from "./SlowLog.ts"
import { type StatementInfo, Statements } from "./Statements.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>
type Attributes = ReadonlyArray<readonly [name: string, value: unknown]>

export interface ObserverOptions extends ResolvedOptions {
  readonly poolName: string
  readonly dialect: Redaction.SqlDialect | undefined
  /** Of the client: `db.system.name`, `db.namespace`, `server.address`, … */
  readonly client: Attributes
}

/** All that one database client records. */
export class Observer {
  readonly options: ObserverOptions
  readonly statements: Statements
  readonly metrics: DbMetrics
  readonly pool: PoolCounts
  readonly slow: SlowLog
  readonly attributes: Attributes

  constructor(telemetry: Telemetry["Service"], recorder: MetricsRecorder["Service"], options: ObserverOptions) {
    const conventions: Conventions = telemetry.settings().metrics.conventions
    this.options = options
    this.statements = new Statements(options.dialect, options)
    this.metrics = new DbMetrics(recorder, conventions)
    this.pool = new PoolCounts(recorder, conventions, options.poolName)
    this.slow = new SlowLog(options.slowLogs)
    this.attributes = [...options.client, ...options.attributes]
  }
}

/** One statement on its way, from asking for a connection to its last row. `pooled` says whether it needs a connection of the pool. */
export class Call {
  private readonly observer: Observer
  private readonly clock: Clock.Clock
  private readonly timed: boolean
  private readonly started: bigint
  private state: "new" | "waiting" | "running" | "direct" = "new"
  private info: StatementInfo | undefined = undefined
  private span: EffectTracer.Span | undefined = undefined
  /** Of the wall clock, over `started`. */
  private readonly offset: bigint
  /** Counted by whoever sees the rows pass; `undefined` when nobody does. */
  rows: number | undefined = undefined

  constructor(observer: Observer, fiber: AnyFiber) {
    this.observer = observer
    this.clock = fiber.getRef(Clock.Clock)
    this.timed = fiber.getRef(References.TracerTimingEnabled)
    const { monotonic, offset } = Spans.moment(this.clock)
    this.started = monotonic
    this.offset = offset
  }

  /** Reads the statement, opens its span and begins to wait for a connection; returns the text to send. */
  begin(fiber: AnyFiber, sql: string, pooled: boolean): string {
    const { options, pool, statements } = this.observer
    const info = this.info = statements.info(sql)
    if (this.span === undefined) this.open(fiber, info.summary)
    else Spans.rename(this.span, info.summary)
    if (this.span?.sampled === true) this.describe(this.span, info)
    if (pooled) {
      pool.pending++
      this.state = "waiting"
    } else this.state = "direct"
    return options.tags === undefined ? sql : withComment(sql, info, options.tags, this.span)
  }

  /** The span under a preliminary name, for what wants to see it before the statement is known. */
  open(fiber: AnyFiber, name: string): EffectTracer.Span | undefined {
    const { span, tracer } = fiber.cache
    // Nobody would see it, and there is no trace to pass on.
    if (span === undefined && (tracer === undefined || !ObservabilityTracer.isActive(tracer))) return undefined
    return this.span = Spans.openUnsafe(fiber, name, { kind: "client" }, this.timed ? this.started + this.offset : 0n)
  }

  get current(): EffectTracer.Span | undefined {
    return this.span
  }

  /** The pool has given a connection. */
  acquired(): void {
    if (this.state !== "waiting") return
    const { pool } = this.observer
    this.state = "running"
    pool.pending--
    pool.used++
    pool.waited(this.seconds())
  }

  /** The same for a connection whose statements are calls of their own. */
  acquiredOutside(): void {
    this.observer.pool.waited(this.seconds())
  }

  /** What is to be logged, if anything. */
  end(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined {
    const { metrics, options, pool } = this.observer
    if (this.state === "waiting") pool.pending--
    else if (this.state === "running") pool.used--
    this.state = "new"
    const nanos = this.clock.monotonicTimeNanosUnsafe() - this.started
    const seconds = Number(nanos) / 1e9
    const { info } = this
    const series = metrics.operation(info?.operation ?? "_OTHER", info?.table ?? "")
    const interrupted = exit._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause)
    const failure = exit._tag === "Failure" && !interrupted ? classify(Cause.squash(exit.cause)) : undefined
    const rows = this.rows ?? (exit._tag === "Success" ? rowsOf(exit.value) : undefined)
    metrics.record(series, seconds, rows, failure?.type)
    if (interrupted) metrics.interrupted(series)
    this.endSpan(exit, interrupted, failure, rows, nanos)
    return seconds >= options.slow && info !== undefined ? this.logSlow(series, info, seconds, rows) : undefined
  }

  private seconds(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe() - this.started) / 1e9
  }

  /** OpenTelemetry semantic conventions, database client spans. */
  private describe(span: EffectTracer.Span, info: StatementInfo): void {
    for (const [name, value] of this.observer.attributes) span.attribute(name, value)
    span.attribute("db.operation.name", info.operation)
    if (info.collection !== undefined) span.attribute("db.collection.name", info.collection)
    span.attribute("db.query.summary", info.summary)
    if (this.observer.options.queryText) span.attribute("db.query.text", info.text)
  }

  private endSpan(exit: Exit.Exit<unknown, unknown>, interrupted: boolean, failure: DbFailure | undefined, rows: number | undefined, nanos: bigint): void {
    const { span } = this
    if (span === undefined || span.status._tag === "Ended") return
    if (span.sampled) {
      if (rows !== undefined) span.attribute("db.response.returned_rows", rows)
      if (failure?.code !== undefined) span.attribute("db.response.status_code", failure.code)
    }
    // The driver's own message may quote what was sent: the span says what kind of error it was.
    const shown = failure === undefined ? (interrupted ? exit : Exit.void) : Spans.failedStatus(failure.type, messageOf(failure))
    span.end(this.timed ? this.started + nanos + this.offset : 0n, shown)
  }

  private logSlow(series: OperationSeries, info: StatementInfo, seconds: number, rows: number | undefined): Effect.Effect<void> | undefined {
    const { metrics, options, slow } = this.observer
    metrics.slow(series)
    const line = slow.line(this.clock.monotonicTimeNanosUnsafe(), {
      pool: options.poolName,
      "db.query.summary": info.summary,
      "db.operation.name": info.operation,
      ...(info.table === "" ? {} : { "db.collection.name": info.table }),
      ...(options.queryText ? { "db.query.text": info.text } : {}),
      ...(rows === undefined ? {} : { "db.response.returned_rows": rows }),
      duration_seconds: seconds
    })
    // With the span of the statement, so that the line leads to it.
    return line === undefined || this.span === undefined ? line : Effect.provideService(line, EffectTracer.ParentSpan, this.span)
  }
}

const messageOf = ({ code, constraint, type }: DbFailure): string =>
  `${type}${code === undefined ? "" : ` ${code}`}${constraint === undefined ? "" : ` (${constraint})`}`

/** Rows as Effect's clients return them; results of drivers say how many there are. */
const rowsOf = (value: unknown): number | undefined => {
  if (Array.isArray(value)) return value.length
  if (typeof value !== "object" || value === null) return undefined
  const { rows } = value as { readonly rows?: unknown }
  return Array.isArray(rows) ? rows.length : undefined
}
