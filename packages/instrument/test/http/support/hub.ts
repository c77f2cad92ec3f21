import { Memory, MemoryBackend, ObservabilityConfig, type ObservabilityInput, type Sampler, type SpanData, type StandardMetrics, Telemetry } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export interface HubOptions {
  readonly ignoredPaths?: ReadonlyArray<string>
  /** Whether anybody listens for spans; the metrics are there in any case. */
  readonly listening?: boolean
  readonly sampleRate?: number
  readonly sampler?: Sampler.Sampler
  readonly conventions?: "standard" | "otel" | "both"
  /** More of the tracing settings. */
  readonly tracing?: ObservabilityInput["tracing"]
}

type HttpMetric = typeof StandardMetrics.HttpRequestDuration | typeof StandardMetrics.HttpRequestSize | typeof StandardMetrics.HttpResponseSize

/** The real hub with the memory backend, and what it has seen; still readable after its scope closed. */
export const makeHub = (options: HubOptions = {}) => {
  let spans: () => ReadonlyArray<SpanData> = () => []
  let store: Telemetry["Service"]["store"] | undefined
  let values: ReadonlyArray<{ readonly series: string; readonly value: number }> = []
  const peek = Layer.effectDiscard(Effect.gen(function*() {
    const telemetry = yield* Telemetry
    store = telemetry.store
    const tap = telemetry.store.tap({ capacity: 10_000 })
    yield* Effect.addFinalizer(() => Effect.sync(() => tap.close()))
    read = () => {
      values = [...values, ...tap.take().map(({ series, value }) => ({ series: nameOf(series), value }))]
      return values
    }
  }))
  const peekSpans = Layer.effectDiscard(Effect.map(MemoryBackend, (backend) => {
    spans = () => Effect.runSync(backend.spans)
  }))
  let read = () => values
  const hub = options.listening ?? true
    ? peekSpans.pipe(Layer.provideMerge(peek), Layer.provideMerge(Memory.layer()))
    : peek.pipe(Layer.provideMerge(Telemetry.layer))
  const tracing = {
    ...options.tracing,
    sampleRate: options.sampleRate ?? 1,
    ...(options.sampler === undefined ? {} : { sampler: options.sampler }),
    ...(options.ignoredPaths === undefined ? {} : { ignoredPaths: options.ignoredPaths })
  }
  return {
    /** Ended spans in the order in which they ended. */
    get spans() {
      return spans()
    },
    layer: hub.pipe(Layer.provide(ObservabilityConfig.layer({ tracing, metrics: { conventions: options.conventions ?? "standard" } })), Layer.orDie),
    /** `http_requests_total` by `method path status`. */
    requests: (): Record<string, number> => {
      const family = store?.family("http_requests_total")
      return Object.fromEntries((family?.series ?? []).map((one) => [one.labelValues.join(" "), family!.value(one)]))
    },
    /** The sums of a histogram, by its label values. */
    sums: (name: string): Record<string, number> => {
      const sums: Record<string, number> = {}
      for (const { series, value } of read()) {
        if (series.startsWith(`${name} `)) sums[series.slice(name.length + 1)] = (sums[series.slice(name.length + 1)] ?? 0) + value
      }
      return sums
    },
    /** The values of a counter, by its label values. */
    totals: (name: string): Record<string, number> => {
      const family = store?.family(name)
      return Object.fromEntries((family?.series ?? []).map((one) => [one.labelValues.join(" "), family!.value(one)]))
    },
    /** Requests that count as being answered. */
    inFlight: (): number => {
      const family = store?.family("http_requests_in_flight")
      return (family?.series ?? []).reduce((sum, one) => sum + family!.value(one), 0)
    },
    /** The single values of a histogram, by method and path. */
    values: (metric: HttpMetric, method: string, path: string): ReadonlyArray<number> =>
      read().filter((one) => one.series === `${metric.name} ${method} ${path}`).map((one) => one.value),
    /** Every series, as its name and label values. */
    all: (): ReadonlyArray<string> => (store?.families() ?? []).flatMap((family) => family.series.map(nameOf)),
    /** Every series of the HTTP metrics, as its name and label values. */
    series: (): ReadonlyArray<string> =>
      (store?.families() ?? []).filter((family) => family.definition.name.startsWith("http_")).flatMap((family) => family.series.map(nameOf))
  }
}

const nameOf = (series: { readonly definition: { readonly name: string }; readonly labelValues: ReadonlyArray<string | undefined> }): string =>
  [series.definition.name, ...series.labelValues].join(" ")
