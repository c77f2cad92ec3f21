import { type CompositionError, Exposition, type MetricDefinition, StandardMetrics, Telemetry } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { MessagePort, Worker } from "node:worker_threads"
import type { Registry } from "prom-client"
import { expositionOf } from "./internal/expositionOf.ts"
import { Pages } from "./internal/Pages.ts"
import { isGauge, type Rule } from "./internal/workers/Merged.ts"
import * as Ports from "./internal/workers/ports.ts"
import { Primary } from "./internal/workers/Primary.ts"
import { serve } from "./internal/workers/Subordinate.ts"

export type { Rule } from "./internal/workers/Merged.ts"

export interface PrimaryOptions {
  /**
   * How the values of a metric become one, by its name. Default: `sum`, as prom-client's cluster page does it, and `perWorker` for summaries,
   * whose quantiles cannot be added up. `max`, `min` and `last` are for gauges and up-down counters.
   */
  readonly rules?: Readonly<Record<string, Rule>>
  /** How the other gauges become one. Default `"sum"`. */
  readonly gauges?: Rule
  /** How long a page waits for a worker that does not answer. Default 1 second. */
  readonly deadline?: Duration.Input
  /** Time between two questions to the workers while nobody asks for a page: what a worker that is killed can lose. Default 1 second. */
  readonly interval?: Duration.Input
  /** A prom-client registry of the primary's own: its metrics appear on the page. */
  readonly registry?: Registry
  /** Adds `…_created` to OpenMetrics pages. Default `false`. */
  readonly createdTimestamps?: boolean
  /** Name of the backend in reports. Default `"prometheus"`. */
  readonly name?: string
}

/** A worker that has no primary to report to, or a rule that does not exist; the message says what to do. */
export class WorkersError extends Schema.TaggedError<WorkersError>()("WorkersError", {
  message: Schema.String
}) {}

/** The page of a primary, for threads to be counted in. */
export class WorkerPages extends Context.Service<WorkerPages, {
  /** Counts a thread in until the scope closes or the thread ends; give the `Worker`, or a port whose other end the thread has. */
  readonly attach: (thread: Worker | MessagePort) => Effect.Effect<void, never, Scope.Scope>
}>()("@effect-observability/prometheus/WorkerPages") {}

/**
 * The page of a primary: its own metrics and those of all its workers as one set. Workers of `node:cluster` are found by themselves, threads
 * are given to `WorkerPages.attach`; each of them provides `layerCluster` or `layerThread`.
 *
 * What a worker counted stays in the totals when it ends, so counters and histograms only rise; its gauges leave with it. A worker that
 * hangs is waited for once, for `deadline`, and named in the backend's report.
 *
 * @example
 * ```ts
 * const page = layerServer().pipe(Layer.provideMerge(Workers.layerPrimary({ rules: { config_version: "max" } })))
 * const main = cluster.isPrimary ? Layer.launch(page) : Layer.launch(App.pipe(Layer.provide(Workers.layerCluster())))
 * ```
 */
export const layerPrimary = (
  options: PrimaryOptions = {}
): Layer.Layer<Exposition | WorkerPages | Layer.Success<typeof Telemetry.layer>, CompositionError | WorkersError> =>
  Layer.effectContext(makePrimary(options)).pipe(Layer.provideMerge(Telemetry.layer))

/** In a worker of `node:cluster`: everything recorded goes to the primary's page. */
export const layerCluster: (options?: WorkerOptions) => Layer.Layer<Layer.Success<typeof Telemetry.layer>, CompositionError | WorkersError> = (options) =>
  layerWorker(
    Ports.clusterPrimary,
    "this process is no worker of node:cluster: use layerPrimary or Prometheus.layer here",
    options
  )

/** In a thread: everything recorded goes to the page of who started it, over `port` or `parentPort`. */
export const layerThread = (
  options: WorkerOptions & { readonly port?: MessagePort } = {}
): Layer.Layer<Layer.Success<typeof Telemetry.layer>, CompositionError | WorkersError> =>
  layerWorker(
    () => options.port === undefined ? Ports.threadParent() : Ports.thread(options.port),
    "this is no thread of node:worker_threads: give its `port`, or use layerPrimary or Prometheus.layer here",
    options
  )

export interface WorkerOptions {
  /** Name of the backend in reports. Default `"prometheus"`. */
  readonly name?: string
}

const rules: ReadonlySet<Rule> = new Set(["sum", "max", "min", "last", "perWorker"])

const makePrimary = (options: PrimaryOptions) =>
  Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const { createdTimestamps = false, deadline = "1 second", gauges = "sum", interval = "1 second", name = "prometheus" } = options
    const given = new Map(Object.entries(options.rules ?? {}))
    for (const [metric, rule] of [...given, ["other gauges", gauges] as const]) {
      if (!rules.has(rule)) return yield* new WorkersError({ message: `rule ${JSON.stringify(rule)} for ${metric}: use one of ${[...rules].join(", ")}` })
    }
    for (const [field, duration] of Object.entries({ deadline, interval })) {
      if (!(Duration.toMillis(duration) >= 1)) return yield* new WorkersError({ message: `${field} is ${String(duration)}: use at least a millisecond` })
    }
    const settings = telemetry.settings().metrics
    const misplaced = new Set<string>()
    const primary = yield* Primary.make(telemetry.store, {
      id: yield* newId,
      deadline: Duration.toMillis(deadline),
      interval: Duration.toMillis(interval),
      maxSeries: settings.maxSeries,
      maxSeriesPerMetric: settings.maxSeriesPerMetric,
      ruleOf: (definition) => {
        const rule = given.get(definition.name)
        if (rule === undefined) return defaultRule(definition, gauges)
        if (isGauge(definition) || rule === "sum" || rule === "perWorker") return rule
        misplaced.add(`${definition.name} is a ${definition.type}, for which there is no rule ${rule}: its values are added up`)
        return "sum"
      }
    })
    yield* Effect.acquireRelease(
      Effect.sync(() => Ports.onClusterWorker((worker) => primary.join(Ports.clusterWorker(worker)))),
      (stop) => Effect.sync(stop)
    )
    const pages = new Pages(telemetry, {
      families: primary.families,
      registries: options.registry === undefined ? [] : [options.registry],
      createdTimestamps
    })
    yield* telemetry.register({
      name,
      kind: "prometheus",
      report: () => {
        const problems = [primary.problem(), pages.problem(), ...misplaced].filter((problem) => problem !== undefined)
        return { name, kind: "prometheus", status: problems.length === 0 ? "up" : "degraded", reason: problems.length === 0 ? undefined : problems.join("; "), signals: [] }
      }
    })
    return Context.make(Exposition, expositionOf(pages)).pipe(
      Context.add(WorkerPages, { attach: (thread) => primary.attach(Ports.thread(thread)) })
    )
  })

const defaultRule = (definition: MetricDefinition.MetricDefinition, gauges: Rule): Rule =>
  definition.name === StandardMetrics.QueueAge.name ? "max"
    : isGauge(definition) ? gauges
    : definition.type === "summary" ? "perWorker"
    : "sum"

/** Longest wait at the end for the primary to say that it has everything. */
const maxPatience = 1_000

const layerWorker = (
  portOf: () => Ports.Port | undefined,
  missing: string,
  { name = "prometheus" }: WorkerOptions = {}
): Layer.Layer<Layer.Success<typeof Telemetry.layer>, CompositionError | WorkersError> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const port = portOf()
    if (port === undefined) return yield* new WorkersError({ message: missing })
    yield* telemetry.register({ name, kind: "prometheus", report: () => ({ name, kind: "prometheus", status: "up", reason: undefined, signals: [] }) })
    yield* serve(telemetry, port, yield* newId, Math.min(maxPatience, telemetry.settings().shutdownTimeout))
  })).pipe(Layer.provideMerge(Telemetry.layer))

/** Not the same after a restart, even of a process that is given the same seed. */
const newId: Effect.Effect<string> = Effect.map(
  Effect.all([Clock.currentTimeNanos, Random.nextIntBetween(0, 2 ** 48)]),
  ([time, random]) => `${time.toString(36)}-${random.toString(36)}`
)
