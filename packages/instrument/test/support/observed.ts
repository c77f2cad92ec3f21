import { Memory, MemoryBackend, ObservabilityConfig, type ObservabilityInput, type SpanData, Telemetry } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"

/** A line of the log: message and annotations. */
export interface Line {
  readonly message: string
  readonly level: string
  readonly annotations: Readonly<Record<string, unknown>>
  readonly spanId: string | undefined
}

/** The real hub with the memory backend, what it has seen, and what was logged. */
export const makeObserved = (input: ObservabilityInput = {}, options: { readonly listening?: boolean } = {}) => {
  const lines: Array<Line> = []
  let telemetry: Telemetry["Service"] | undefined
  let memory: MemoryBackend["Service"] | undefined
  const peek = Layer.effectDiscard(Effect.map(Telemetry, (service) => {
    telemetry = service
  }))
  const peekMemory = Layer.effectDiscard(Effect.map(MemoryBackend, (service) => {
    memory = service
  }))
  const logger = Logger.layer([Logger.make((options) => {
    lines.push({
      message: String(Array.isArray(options.message) ? options.message.join(" ") : options.message),
      level: options.logLevel,
      annotations: options.fiber.getRef(References.CurrentLogAnnotations),
      spanId: options.fiber.cache.span?.spanId
    })
  })])
  const hub: Layer.Layer<Layer.Success<typeof Telemetry.layer>, unknown> = options.listening === false
    ? peek.pipe(Layer.provideMerge(Telemetry.layer))
    : peekMemory.pipe(Layer.provideMerge(peek), Layer.provideMerge(Memory.layer()))
  const family = (name: string) => {
    telemetry?.store.refresh()
    return telemetry?.store.family(name)
  }
  return {
    lines,
    layer: Layer.mergeAll(hub, logger).pipe(Layer.provide(ObservabilityConfig.layer(input)), Layer.orDie),
    get spans(): ReadonlyArray<SpanData> {
      return memory === undefined ? [] : Effect.runSync(memory.spans)
    },
    /** Values of a counter or gauge, counts of a histogram, by label values. */
    metric: (name: string): Record<string, number> => {
      const found = family(name)
      return Object.fromEntries((found?.series ?? []).map((one) => [
        one.labelValues.map((value) => value ?? "").join(" "),
        found!.definition.type === "histogram" ? found!.count(one) : found!.value(one)
      ]))
    },
    sum: (name: string): number => {
      const found = family(name)
      return (found?.series ?? []).reduce((sum, one) => sum + found!.sum(one), 0)
    },
    /** Everything that was recorded, logged or traced, as one text. */
    all: (): string => {
      telemetry?.store.refresh()
      const metrics = (telemetry?.store.families() ?? []).flatMap((one) => one.series.map((series) => [one.definition.name, ...series.labelValues]))
      const spans = memory === undefined ? [] : Effect.runSync(memory.spans)
      return JSON.stringify([metrics, spans.map((span) => [span.name, span.statusMessage, [...span.attributes], span.events]), lines], (_, value) => typeof value === "bigint" ? String(value) : value)
    }
  }
}
