import { ConfigProvider, Effect, Fiber, Metric, Option } from "effect"
import {
  Diagnostics, type ErrorData, Exposition, type Ledger, type LogData, MetricDefinition, MetricsRecorder, Observability, ObservabilityConfig, type ObservabilityInput, Telemetry
} from "effect-observability"
import { randomUUID } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

// A program that records without pause while its backends are exchanged again and again, in a process of its own: what it holds can be measured.

export interface Order {
  readonly rounds: number
  /** Two accounts for one database; none: without PostgreSQL. */
  readonly postgres: readonly [string, string] | undefined
  readonly collectors: readonly [string, string]
  readonly clickhouse: string
  readonly agent: string
  readonly statsd: readonly [string, string]
  /** A DSN. */
  readonly sentry: string
}

export interface Held {
  readonly heap: number
  readonly fibers: number
  readonly resources: Readonly<Record<string, number>>
  readonly listeners: number
}

export interface Answer {
  readonly spans: number
  readonly jobs: number
  readonly errors: number
  readonly logs: number
  /** What PostgreSQL is to have: it is off in some rounds. */
  readonly stored: { readonly spans: number; readonly jobs: number; readonly errors: number }
  readonly books: Readonly<Record<string, Ledger.LedgerSnapshot>>
  readonly imbalances: ReadonlyArray<string>
  readonly failures: number
  readonly version: number
  readonly before: Held
  readonly after: Held
  readonly milliseconds: number
}

const Jobs = MetricDefinition.counter("jobs_total", { help: "Jobs", labelNames: [] })
const JobSeconds = MetricDefinition.histogram("job_seconds", { help: "Their duration", labelNames: [], buckets: [0.1, 1] })

const settings = (order: Order, round: number): ObservabilityInput => ({
  tracing: { serviceName: "reloaded", spanMetrics: "off" },
  flushInterval: 0.2,
  shutdownTimeout: 20,
  requestTimeout: 10,
  batchSize: 50 + round % 2,
  prometheus: { processMetrics: round % 8 === 7 },
  postgres: {
    enabled: order.postgres !== undefined && round % 6 !== 5,
    ...(order.postgres === undefined ? {} : { common: { connection: order.postgres[(round >> 1) % 2]!, batchSize: 50 + (round >> 2) % 3 } }),
    flushInterval: 0.2
  },
  opentelemetry: {
    endpoint: order.collectors[round % 2]!, headers: { authorization: `Bearer ${round}` }, maxQueueSize: 5_000 + round, batchSize: 100, flushInterval: 0.2,
    metrics: true, temporality: "delta"
  },
  clickhouse: {
    enabled: true, connection: order.clickhouse.replace("//", `//user${round % 3}:pass${round % 3}@`), flushInterval: 0.2, history: false, batchSize: 200, logs: true
  },
  sentry: { enabled: true, dsn: order.sentry, release: `r${round % 5}`, logs: true, flushInterval: 0.2 },
  datadog: { enabled: true, dogstatsd: order.statsd[round % 2]!, traces: order.agent, flushInterval: 0.2, batchSize: 100, tags: { round: String(round % 4) } }
})

const now = () => BigInt(Date.now()) * 1_000_000n
const nobody = { traceId: undefined, spanId: undefined, requestId: undefined, userId: undefined, tenantId: undefined, module: undefined }
const errorOf = (n: number): ErrorData => ({
  ...nobody, errorId: randomUUID().replaceAll("-", ""), time: now(), kind: "failure", errorClass: "system", level: "error", errorType: "JobFailed", message: `error ${n}`, stack: undefined,
  causes: [], fingerprint: "f00d", spanNames: [], sampled: false, attributes: new Map(), handled: true, breadcrumbs: []
})
const lineOf = (n: number): LogData => ({ ...nobody, time: now(), level: "info", message: `line ${n}`, attributes: new Map(), traceFlags: 0, errorId: undefined, logSpans: [], cause: undefined })

const fibers = { now: 0 }
const counting: Metric.FiberRuntimeMetricsService = {
  recordFiberStart: () => void fibers.now++,
  recordFiberEnd: () => void fibers.now--
}

const held: Effect.Effect<Held> = Effect.gen(function*() {
  const collect = (globalThis as unknown as { readonly gc: () => void }).gc
  for (let i = 0; i < 4; i++) {
    yield* Effect.sleep(50)
    collect()
  }
  const resources: Record<string, number> = {}
  for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1
  const listeners = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name as never), 0)
  return { heap: process.memoryUsage().heapUsed, fibers: fibers.now, resources, listeners }
})

/** Nobody is to ask for the page any more. */
const farewell = Effect.callback<void>((resume) => {
  process.once("message", () => resume(Effect.void))
  process.send!({ ending: true })
})

const program = (order: Order, say: (port: number) => void) =>
  Effect.gen(function*() {
    const recorder = yield* MetricsRecorder
    const telemetry = yield* Telemetry
    const exposition = Option.getOrThrow(yield* Effect.serviceOption(Exposition))
    const answer = Effect.runPromiseWith(yield* Effect.context())
    const server = yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer((_, response) => void answer(exposition.page).then(({ body }) => response.end(body), (error) => response.writeHead(500).end(String(error))))
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.promise(() => {
          server.closeAllConnections()
          return new Promise<void>((done) => server.close(() => done()))
        })
    )
    say((server.address() as AddressInfo).port)

    const count = { spans: 0, jobs: 0, errors: 0, logs: 0, storedSpans: 0, storedJobs: 0, storedErrors: 0 }
    // Hears of each span in the step in which the backends do.
    yield* telemetry.register({
      name: "witness",
      kind: "witness",
      onSpan: () => {
        count.spans++
        if (telemetry.settings().postgres.enabled) count.storedSpans++
      },
      onError: () => {
        count.errors++
        if (telemetry.settings().postgres.enabled) count.storedErrors++
      },
      onLog: () => void count.logs++,
      report: () => ({ name: "witness", kind: "witness", status: "up", reason: undefined, signals: [] })
    }).pipe(Effect.provideService(ObservabilityConfig, telemetry.settings()))
    let going = true
    let paused = false
    const work = Effect.gen(function*() {
      while (going) {
        for (let i = 0; i < 3 && !paused; i++) {
          yield* Effect.void.pipe(Effect.withSpan(`job ${count.spans}`))
          yield* Effect.sync(() => {
            recorder.incrementCounterUnsafe(Jobs, 1, {})
            recorder.observeHistogramUnsafe(JobSeconds, 0.05, {})
            if (count.jobs % 4 === 0) {
              telemetry.recordErrorUnsafe(errorOf(count.errors))
              telemetry.recordLogUnsafe(lineOf(count.logs))
            }
            count.jobs++
            if (telemetry.settings().postgres.enabled) count.storedJobs++
          })
        }
        yield* Effect.sleep(2)
      }
    })
    const worker = yield* Effect.forkChild(work)
    /** Everything is delivered, and those that left have gone. */
    const settled = Effect.gen(function*() {
      paused = true
      yield* Observability.flush
      for (let i = 0; i < 3_000; i++) {
        const { components, removed } = yield* (yield* Diagnostics).report
        const waiting = [...components.flatMap(({ signals }) => signals), ...removed].reduce((sum, { ledger }) => sum + ledger.queued + ledger.inFlight, 0)
        if (waiting === 0) return
        yield* Effect.sleep(10)
      }
    })
    const exchange = (from: number, to: number) =>
      Effect.gen(function*() {
        for (let round = from; round < to; round++) {
          yield* Observability.reload(settings(order, round))
          yield* Effect.sleep(round % 5)
        }
      })
    const began = performance.now()
    // Loads what is loaded once, and fills what is kept.
    const warm = Math.min(96, Math.max(8, order.rounds >> 2))
    yield* exchange(1, warm)
    yield* settled
    const before = yield* held
    paused = false
    yield* exchange(warm, order.rounds + 1)
    yield* settled
    // The settings of the measurement before: the same backends.
    yield* Observability.reload(settings(order, warm - 1))
    yield* settled
    const after = yield* held
    going = false
    yield* Fiber.join(worker)
    yield* settled
    yield* farewell
    const { components, configuration, imbalances, removed } = yield* (yield* Diagnostics).report
    const books: Record<string, Ledger.LedgerSnapshot> = {}
    for (const { name, signals } of components) for (const { ledger, signal } of signals) books[`${name} ${signal}`] = ledger
    for (const { backend, ledger, signal } of removed) books[`${backend} ${signal}`] = ledger
    return {
      spans: count.spans, jobs: count.jobs, errors: count.errors, logs: count.logs, books,
      stored: { spans: count.storedSpans, jobs: count.storedJobs, errors: count.storedErrors }, imbalances,
      failures: configuration.failures, version: configuration.version, before, after, milliseconds: performance.now() - began
    } satisfies Answer
  }).pipe(
    Effect.scoped,
    Effect.provide(Observability.layerConfig(settings(order, 0))),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord({})),
    Effect.provideService(Metric.FiberRuntimeMetrics, counting)
  )

process.once("message", (order: Order) => {
  Effect.runPromise(program(order, (port) => void process.send!({ port }))).then(
    (answer) => process.send!({ answer }, () => process.disconnect()),
    (error) => process.send!({ error: String(error instanceof Error ? error.stack : error) }, () => process.exit(1))
  )
})
