import { MetricsRecorder, type SpanData } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as EffectTracer from "effect/Tracer"
import { MetricsProbe } from "../contract/MetricsContract.ts"
import { SpansProbe } from "../contract/SpansContract.ts"

export { errorHistory, errors, logs } from "./events.ts"
export { laws as history } from "./history.ts"
export { traces } from "./traces.ts"

// Backends that are wrong in one way each: they show that a law bites. None of it is for programs.

/** Put over a right backend, it breaks one thing. */
export type Breakage = Layer.Layer<any, never, any> | Layer.Layer<never>

type Recorder = MetricsRecorder["Service"]
type Labels = Readonly<Record<string, string>> | undefined
/** The recorder without its label types: what is broken is broken for every metric. */
interface Loose {
  readonly incrementCounter: (metric: unknown, value?: number, labels?: Labels) => Effect.Effect<void>
  readonly setGauge: (metric: unknown, value: number, labels?: Labels) => Effect.Effect<void>
  readonly observeHistogram: (metric: unknown, value: number, labels?: Labels) => Effect.Effect<void>
  readonly observeSummary: (metric: unknown, value: number, labels?: Labels) => Effect.Effect<void>
  readonly incrementCounterUnsafe: (metric: unknown, value?: number, labels?: Labels) => void
  readonly registerGauge: (metric: unknown, read: () => Iterable<readonly [labels: Labels, value: number]>) => Effect.Effect<void>
  readonly bind: (metric: unknown, labels?: Labels) => unknown
}

const recorder = (change: (inner: Loose) => Partial<Loose>): Layer.Layer<MetricsRecorder, never, MetricsRecorder> =>
  Layer.effect(
    MetricsRecorder,
    Effect.map(MetricsRecorder, (inner) => ({ ...inner, ...change(inner as unknown as Loose) }) as unknown as Recorder)
  )

const metricsProbe = (change: (inner: MetricsProbe["Service"]) => Partial<MetricsProbe["Service"]>) =>
  Layer.effect(MetricsProbe, Effect.map(MetricsProbe, (inner) => MetricsProbe.of({ ...inner, ...change(inner) })))

const spansProbe = (change: (spans: ReadonlyArray<SpanData>) => ReadonlyArray<SpanData>) =>
  Layer.effect(
    SpansProbe,
    Effect.map(SpansProbe, (inner) => SpansProbe.of({ ...inner, trace: (traceId) => Effect.map(inner.trace(traceId), change) }))
  )

const each = (change: (span: SpanData, index: number) => Partial<SpanData>) =>
  spansProbe((spans) => spans.map((span, i) => ({ ...span, ...change(span, i) })))

const nameOf = (metric: unknown): string => typeof metric === "string" ? metric : (metric as { readonly name: string }).name

/** Keeps only what `allow` says, by call. */
const everySecond = (inner: Loose): Partial<Loose> => {
  let calls = 0
  return {
    incrementCounter: (metric, value, labels) => Effect.suspend(() => calls++ % 2 === 0 ? inner.incrementCounter(metric, value, labels) : Effect.void)
  }
}

/** A wrong backend for each metrics law, by the law's name. */
export const metrics: Readonly<Record<string, Breakage>> = {
  "a counter adds up": recorder(everySecond),
  "an increment without a value is one": recorder((inner) => ({ incrementCounter: (metric, value = 0, labels) => inner.incrementCounter(metric, value, labels) })),
  "label sets are kept apart": metricsProbe((inner) => ({ counter: (name) => inner.counter(name) })),
  "the order of label keys does not matter": recorder((inner) => ({
    incrementCounter: (metric, value, labels) =>
      inner.incrementCounter(metric, value, labels && Object.keys(labels)[0] === "b" ? { a: labels["b"]!, b: labels["a"]! } : labels)
  })),
  "a counter never goes down": metricsProbe((inner) => ({ counter: (name, labels) => Effect.map(inner.counter(name, labels), (value) => value - 3) })),
  "NaN and infinity are left out and harm nothing": recorder((inner) => ({
    observeHistogram: (metric, value, labels) => inner.observeHistogram(metric, Number.isFinite(value) ? value : 0, labels)
  })),
  "a gauge keeps its last value": recorder((inner) => {
    let set = false
    return {
      setGauge: (metric, value, labels) =>
        Effect.suspend(() => {
          if (set) return Effect.void
          set = true
          return inner.setGauge(metric, value, labels)
        })
    }
  }),
  // Reads once, when it is told.
  "a gauge that is read has the value of the moment": recorder((inner) => ({
    registerGauge: (metric, read) => Effect.forEach([...read()], ([labels, value]) => inner.setGauge(metric, value, labels), { discard: true })
  })),
  "what Effect's own Metric counts is there once": metricsProbe((inner) => ({
    counter: (name, labels) => Effect.map(inner.counter(name, labels), (value) => name.startsWith("law_effect_") ? value * 2 : value)
  })),
  "an up-down counter goes both ways": recorder((inner) => ({
    incrementCounter: (metric, value = 1, labels) => value < 0 ? Effect.void : inner.incrementCounter(metric, value, labels)
  })),
  "a histogram keeps count, sum and every bucket; bounds are inclusive": recorder((inner) => ({
    observeHistogram: (metric, value, labels) => inner.observeHistogram(metric, value + 1e-9, labels)
  })),
  "a summary keeps the sum": recorder((inner) => ({ observeSummary: (metric, value, labels) => inner.observeSummary(metric, Math.floor(value), labels) })),
  "a name means the same as its definition": recorder((inner) => ({
    incrementCounter: (metric, value, labels) => inner.incrementCounter(typeof metric === "string" ? `${metric}_by_name` : metric, value, labels)
  })),
  "a handle means the same as its labels": recorder((inner) => ({
    bind: () => ({ increment: () => inner.incrementCounter("elsewhere_total"), incrementUnsafe: () => {} })
  })),
  "an undeclared name is declared by its first use": recorder((inner) => ({
    incrementCounter: (metric, value, labels) => typeof metric === "string" ? Effect.void : inner.incrementCounter(metric, value, labels)
  })),
  "a missing label is recorded as absent": recorder((inner) => ({
    incrementCounter: (metric, value, labels) => labels !== undefined && !("b" in labels) ? Effect.void : inner.incrementCounter(metric, value, labels)
  })),
  "an unknown label is left out and the total kept": recorder((inner) => ({
    incrementCounter: (metric, value, labels) => labels !== undefined && "color" in labels ? Effect.void : inner.incrementCounter(metric, value, labels)
  })),
  "the wrong type for a name disturbs nothing": recorder((inner) => ({ setGauge: (metric, value) => inner.incrementCounter(nameOf(metric), value) })),
  "label values come back as they went in": recorder((inner) => ({
    incrementCounter: (metric, value, labels) =>
      inner.incrementCounter(metric, value, labels && Object.fromEntries(Object.entries(labels).map(([key, one]) => [key, one.trim()])))
  })),
  "1,000 series are kept apart": recorder((inner) => ({
    incrementCounter: (metric, value, labels) =>
      inner.incrementCounter(metric, value, labels?.["id"] === undefined ? labels : { id: labels["id"].slice(0, 3) })
  })),
  "concurrent fibers add up": recorder((inner) => {
    let value = 0
    return {
      // Read, yield, write: the classic lost update.
      incrementCounter: (metric) =>
        Effect.suspend(() => {
          const read = value
          return Effect.andThen(Effect.yieldNow, Effect.suspend(() => {
            const step = read + 1 - value
            value = read + 1
            return inner.incrementCounter(metric, Math.max(0, step))
          }))
        })
    }
  }),
  "recording never waits": recorder((inner) => ({
    incrementCounter: (metric, value, labels) => Effect.delay(inner.incrementCounter(metric, value, labels), "1 millis")
  })),
  "flushing twice does not double": metricsProbe((inner) => {
    let settled = 0
    return {
      settle: Effect.andThen(Effect.sync(() => {
        settled++
      }), inner.settle),
      counter: (name, labels) => Effect.map(inner.counter(name, labels), (value) => value * Math.max(1, settled - 1))
    }
  })
}

/** A wrong backend for each span law, by the law's name. */
export const spans: Readonly<Record<string, Breakage>> = {
  "a span keeps name, kind and attributes": each(() => ({ kind: "internal" })),
  "a child belongs to its parent and to its trace": each(() => ({ parentSpanId: undefined })),
  "siblings share a parent, and ids differ": each(() => ({ spanId: "b7ad6b7169203331" })),
  "a success is no error": each(() => ({ status: "error" })),
  "a failure is an error with its message": each(() => ({ status: "unset" })),
  "a defect is an error with its message": each(() => ({ statusMessage: "Error" })),
  "an interruption ends the span": spansProbe((all) => all.filter((span) => span.name !== "stopped")),
  "times are in order, and a parent covers its child": each((span) => ({ startTime: span.endTime, endTime: span.startTime - 1n })),
  "events keep name, time and attributes": each((span) => ({ events: span.events.map((event) => ({ ...event, time: (event.time / 1_000_000n) * 1_000_000n })) })),
  "links are kept": each(() => ({ links: [] })),
  "links keep their attributes": each((span) => ({ links: span.links.map((link) => ({ ...link, attributes: {} })) })),
  "every kind of span is kept": each((span) => ({ kind: span.kind === "producer" ? "internal" : span.kind })),
  "numbers and lists come back as they went in": each((span) => ({
    attributes: new Map([...span.attributes].map(([key, value]) => [key, typeof value === "number" ? Math.fround(value) : value]))
  })),
  "a failure has its type and an exception event": each((span) => ({ events: span.events.filter((event) => event.name !== "exception") })),
  "a remote parent is kept, with its tracestate and the weight that says": each(() => ({ weight: 1 })),
  "what the limits leave out is counted": each(() => ({ droppedEvents: 0 })),
  "a huge span arrives, cut": each((span) => ({ events: span.events.slice(0, 64) })),
  "text that databases refuse costs no span": spansProbe((all) => all.filter((span) => ![...span.attributes.keys()].some((key) => key.includes("nul")))),
  "secrets never reach a backend": Layer.effect(
    EffectTracer.Tracer,
    Effect.map(EffectTracer.Tracer, (inner): EffectTracer.Tracer => ({
      span: (options) => {
        const span = inner.span(options)
        const { attribute } = span
        // Under a name that hides what it is, cut into pieces that no rule can know.
        span.attribute = (key, value) => attribute.call(span, key === "password" ? "harmless" : key, value)
        return span
      }
    }))
  ),
  "an unsampled span is not kept, nor what is below it": Layer.effect(
    EffectTracer.Tracer,
    Effect.map(EffectTracer.Tracer, (inner): EffectTracer.Tracer => ({ span: (options) => inner.span({ ...options, sampled: true }) }))
  ),
  "text comes back as it went in": each((span) => ({ name: span.name.slice(0, 12) })),
  "a span that has ended does not change": each((span) => ({ attributes: new Map([...span.attributes, ["late", 1]]) })),
  "200 spans of concurrent fibers all arrive, once": spansProbe((all) => all.length > 100 ? all.slice(0, 128) : all),
  "flushing twice does not double": spansProbe((all) => [...all, ...all]),
  "the toolkit makes no spans of its own: none over 100 flushes": Layer.effect(
    SpansProbe,
    Effect.map(SpansProbe, (inner) => SpansProbe.of({ ...inner, settle: Effect.withSpan(inner.settle, "flush") }))
  )
}
