import { type CounterHandle, MetricDefinition, MetricsRecorder, type ObserverHandle, Tracer } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import type * as EffectTracer from "effect/Tracer"
import * as MethodMetrics from "../MethodMetrics.ts"

/** What a method's span is opened with; `Tracer.withSpan` of core takes attributes as a function too. */
export type SpanOptions = NonNullable<Parameters<typeof Tracer.withSpan>[2]>

/** One observed method: its name, and its series once they were found. */
export class Method {
  readonly name: string
  private readonly options: SpanOptions
  private recorder: MetricsRecorder["Service"] | undefined
  private duration: ObserverHandle | undefined
  private success: CounterHandle | undefined

  constructor(name: string, options: SpanOptions = noOptions) {
    this.name = name
    this.options = options
  }

  /** A child span, and around what happens in it the clock: the exemplar of a slow call is the call itself. */
  effect<A, E, R>(self: Effect.Effect<A, E, R>, options: SpanOptions = this.options): Effect.Effect<A, E, R> {
    return Tracer.withSpan(this.measured(self), this.name, options) as Effect.Effect<A, E, R>
  }

  /** As `effect`, from the stream's start to its end, whoever ends it. Every run of the stream is a call. */
  stream<A, E, R>(self: Stream.Stream<A, E, R>, options: SpanOptions = this.options): Stream.Stream<A, E, R> {
    return Stream.unwrap(Effect.withFiber<Stream.Stream<A, E, R>>((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      const start = clock.monotonicTimeNanosUnsafe()
      const recorder = Context.getOrUndefined(fiber.context, MetricsRecorder)
      const spanOptions = { ...options, attributes: attributesOf(options), captureStackTrace: false } as EffectTracer.SpanOptions
      const measured = recorder === undefined ? self : Stream.onExit(self, (exit) =>
        Effect.sync(() => this.record(recorder, clock, start, exit)))
      return Effect.succeed(Stream.withSpan(measured, this.name, spanOptions) as Stream.Stream<A, E, R>)
    }))
  }

  private measured<A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) => {
      const recorder = Context.getOrUndefined(fiber.context, MetricsRecorder)
      if (recorder === undefined) return self
      const clock = fiber.getRef(Clock.Clock)
      const start = clock.monotonicTimeNanosUnsafe()
      return Effect.onExitPrimitive(self, (exit) => {
        this.record(recorder, clock, start, exit)
        return undefined
      })
    })
  }

  private record(recorder: MetricsRecorder["Service"], clock: Clock.Clock, start: bigint, exit: Exit.Exit<unknown, unknown>): void {
    if (recorder !== this.recorder) this.bind(recorder)
    this.duration!.observeUnsafe(Number(clock.monotonicTimeNanosUnsafe() - start) / 1e9)
    if (Exit.isSuccess(exit)) {
      this.success ??= recorder.bind(MethodMetrics.MethodTotal, { method: this.name, outcome: "success", error_type: "" })
      this.success.incrementUnsafe()
    } else {
      recorder.incrementCounterUnsafe(MethodMetrics.MethodTotal, 1, {
        method: this.name,
        outcome: MetricDefinition.outcomeOf(exit),
        error_type: MetricDefinition.errorTypeOf(exit)
      })
    }
  }

  private bind(recorder: MetricsRecorder["Service"]): void {
    this.recorder = recorder
    this.duration = recorder.bind(MethodMetrics.MethodDuration, { method: this.name })
    this.success = undefined
  }
}

const noOptions: SpanOptions = {}

/** What a function of attributes throws costs the attributes, as with core's `withSpan`. */
const attributesOf = ({ attributes }: SpanOptions): Readonly<Record<string, unknown>> | undefined => {
  if (typeof attributes !== "function") return attributes
  try {
    return attributes()
  } catch {
    return { "otel.attributes": "[unreadable]" }
  }
}
