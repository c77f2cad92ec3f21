import { type ComponentReport, type CompositionError, pipesReport, quietly, type ReportedPipe, type SpanData, Telemetry } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { DatadogAgent } from "./DatadogAgent.ts"
import { type DatadogConfig, DatadogConfigError, type DatadogOptions, resolve } from "./DatadogConfig.ts"
import { fromEnvironment } from "./DatadogEnvironment.ts"
import * as Messages from "./DatadogMessages.ts"
import * as Metrics from "./DatadogMetrics.ts"
import * as Spans from "./DatadogSpans.ts"
import { Dogstatsd, make as makeDogstatsd } from "./Dogstatsd.ts"

export { DatadogConfigError, type DatadogOptions } from "./DatadogConfig.ts"

type Hub = Layer.Success<typeof Telemetry.layer>

/**
 * Metrics to an agent's DogStatsD and traces to its trace API. An agent that is away harms nobody: frames and spans wait, are sent when it is
 * back, and the report says so. Fails only when it was set up wrongly.
 *
 * @example
 * ```ts
 * const observability = Datadog.layer({ host: "10.0.0.1", service: "shop", env: "prod", tags: { team: "payment" } })
 * NodeRuntime.runMain(Layer.launch(App).pipe(Effect.provide(observability)))
 * ```
 */
export const layer = (options: DatadogOptions = {}): Layer.Layer<Dogstatsd | DatadogAgent | Hub, DatadogConfigError | CompositionError> =>
  layerBackend(options).pipe(Layer.provideMerge(Telemetry.layer))

/** `layer` with Datadog's variables over the options, where they are set: `DD_AGENT_HOST`, `DD_SERVICE`, `DD_TAGS`, … (see `docs/datadog.md`). */
export const layerConfig = (options: DatadogOptions = {}): Layer.Layer<Dogstatsd | DatadogAgent | Hub, DatadogConfigError | CompositionError> =>
  Layer.unwrap(Effect.map(fromEnvironment(options), layer))

/** The backend alone, on a hub that is there. */
export const layerBackend = (options: DatadogOptions = {}): Layer.Layer<Dogstatsd | DatadogAgent, DatadogConfigError | CompositionError, Telemetry> =>
  Layer.effectContext(quietly(make(options)))

const make = (
  options: DatadogOptions
): Effect.Effect<Context.Context<Dogstatsd | DatadogAgent>, DatadogConfigError | CompositionError, Telemetry | Scope.Scope> =>
  Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const settings = telemetry.settings()
    const config = yield* resolve(options, telemetry.resource)
    if (!settings.enabled) return services(config, silent, undefined)
    const { dogstatsd, traces } = config
    const metered = settings.metrics.enabled && dogstatsd !== undefined ? dogstatsd : undefined
    // First made, last drained: what the others take of the shutdown timeout is gone for it.
    const messages = metered === undefined ? undefined : yield* Messages.start(config, metered, telemetry)
    const metrics = metered === undefined ? undefined : yield* Metrics.start(config, metered, telemetry)
    const spans = settings.tracing.enabled && traces !== undefined ? yield* Spans.start(config, traces, telemetry) : undefined
    const clock = yield* Clock.Clock
    if (messages !== undefined) yield* Effect.addFinalizer(() => Effect.sync(() => messages.closing(Number(clock.monotonicTimeNanosUnsafe()) / 1e6)))

    yield* telemetry.register({
      name: config.name,
      kind: "datadog",
      ...(spans === undefined ? {} : { onSpan: (span: SpanData) => void spans.spans.offerUnsafe(span) }),
      flush: Effect.all([metrics?.frames.flush ?? Effect.void, spans?.spans.flush ?? Effect.void], { concurrency: 2, discard: true }),
      report: () => report(config, metrics, spans)
    })
    if (messages !== undefined) {
      const name = `${config.name}.messages`
      yield* telemetry.register({
        name,
        kind: "dogstatsd",
        flush: messages.queue.flush,
        report: () => ({ ...pipesReport([{ signal: "metrics", processor: messages.queue }]), name, kind: "dogstatsd", repaired: datagrams(messages.sender.counts) })
      })
    }
    return services(config, messages?.service ?? silent, spans)
  })

const services = (config: DatadogConfig, messages: Dogstatsd["Service"], spans: Spans.SpansPipe | undefined): Context.Context<Dogstatsd | DatadogAgent> => {
  const rates = () => spans?.rates() ?? new Map<string, number>()
  return Context.make(Dogstatsd, messages).pipe(Context.add(DatadogAgent, {
    rates: Effect.sync(rates),
    rate: Effect.sync(() => rates().get(`service:${config.service},env:${config.env}`) ?? rates().get("service:,env:") ?? 1)
  }))
}

const silent: Dogstatsd["Service"] = makeDogstatsd({ tags: [], originFields: "", offer: undefined, refuse: () => {}, random: () => 0 })

const report = (config: DatadogConfig, metrics: Metrics.MetricsPipe | undefined, spans: Spans.SpansPipe | undefined): ComponentReport => {
  const pipes: Array<ReportedPipe> = []
  if (metrics !== undefined) pipes.push({ signal: "metrics", processor: metrics.frames })
  if (spans !== undefined) pipes.push({ signal: "spans", processor: spans.spans })
  return {
    ...pipesReport(pipes),
    name: config.name,
    kind: "datadog",
    repaired: {
      ...(metrics === undefined ? {} : datagrams(metrics.sender.counts)),
      ...counted("values_by_bucket", metrics?.byBucket() ?? 0),
      ...counted("events_and_links_left_out", spans?.left() ?? 0)
    }
  }
}

const datagrams = ({ lost, refused }: { readonly lost: number; readonly refused: number }): Readonly<Record<string, number>> => ({
  ...counted("datagrams_too_long", refused),
  ...counted("datagrams_lost", lost)
})

const counted = (name: string, count: number): Readonly<Record<string, number>> => count === 0 ? {} : { [name]: count }
