import { MetricsRecorder, ObservabilityTracer, type SpanData, Telemetry } from "@effect-observability/core"
import * as Layer from "effect/Layer"
import * as EffectTracer from "effect/Tracer"

export interface HubOptions {
  readonly ignoredPaths?: ReadonlyArray<string>
  /** Whether anybody listens for spans. */
  readonly listening?: boolean
}

/** The services the middleware reads, kept in memory: every metric value and every ended span. */
export const fakeHub = (options: HubOptions = {}) => {
  const spans: Array<SpanData> = []
  const values = new Map<string, Array<number>>()
  const note = (name: string, labels: Readonly<Record<string, string>>, value: number) => {
    const series = `${name}{${Object.entries(labels).map(([key, one]) => `${key}=${one}`).join()}}`
    const known = values.get(series)
    if (known === undefined) values.set(series, [value])
    else known.push(value)
  }
  // Only what the middleware calls: anything else would be a TypeError in the test.
  const recorder = Layer.succeed(MetricsRecorder, {
    bind: (metric: { readonly name: string }, labels: Readonly<Record<string, string>>) => ({
      incrementUnsafe: (value = 1) => note(metric.name, labels, value),
      observeUnsafe: (value: number) => note(metric.name, labels, value)
    })
  } as unknown as MetricsRecorder["Service"])
  const settings = { tracing: { ignoredPaths: options.ignoredPaths ?? ["/metrics", "/health"] } }
  const telemetry = Layer.succeed(Telemetry, { settings: () => settings } as unknown as Telemetry["Service"])
  const tracer = Layer.succeed(
    EffectTracer.Tracer,
    ObservabilityTracer.make({ active: () => options.listening ?? true, sampleRate: () => 1, onEnd: (span) => spans.push(span) })
  )
  return {
    spans,
    layer: Layer.mergeAll(recorder, telemetry, tracer),
    /** How often `http_requests_total` was raised, by `method path status`. */
    requests: (): Record<string, number> => {
      const out: Record<string, number> = {}
      for (const [series, increments] of values) {
        const found = /^http_requests_total\{method=(.*),path=(.*),status=(.*)\}$/.exec(series)
        if (found !== null) out[found.slice(1).join(" ")] = increments.reduce((sum, one) => sum + one, 0)
      }
      return out
    },
    values: (series: string): ReadonlyArray<number> => values.get(series) ?? [],
    series: (): ReadonlyArray<string> => [...values.keys()]
  }
}

export type Hub = ReturnType<typeof fakeHub>
