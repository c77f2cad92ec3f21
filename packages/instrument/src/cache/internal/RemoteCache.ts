import { type MetricsRecorder, ObservabilityTracer, Spans } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as EffectTracer from "effect/Tracer"
import { CacheSeries } from "./CacheSeries.ts"
import { classify } from "./classify.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** How many of the keys that were asked for were there. */
export interface Found {
  readonly hits: number
  readonly misses: number
}

/** One kind of operation: its label, its span's name, and what its answers say about hits. */
export interface Operation {
  readonly label: string
  readonly spanName: string
  readonly attributes: ReadonlyArray<readonly [name: string, value: unknown]>
  readonly found?: ((answer: unknown) => Found | undefined) | undefined
}

/** A cache behind a client: each operation is measured, and is a span unless that is switched off. */
export class RemoteCache {
  readonly series: CacheSeries
  readonly spans: boolean

  constructor(recorder: MetricsRecorder["Service"], name: string, spans: boolean) {
    this.series = new CacheSeries(recorder, name)
    this.spans = spans
  }

  /** The exit hook stands before the span is opened. What runs inside has the span around it. */
  run<A, E, R>(operation: Operation, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) => {
      const call = new RemoteCall(this, operation, fiber)
      return Effect.onExitPrimitive(
        Effect.withFiber((fiber) => {
          const span = call.open(fiber)
          return span === undefined ? self : Effect.provideService(self, EffectTracer.ParentSpan, span)
        }),
        (exit) => {
          call.end(exit)
          return undefined
        }
      )
    })
  }
}

/** One operation on its way. */
export class RemoteCall {
  private readonly cache: RemoteCache
  private readonly operation: Operation
  private readonly clock: Clock.Clock
  private readonly timed: boolean
  private readonly started: bigint
  private readonly offset: bigint
  private span: EffectTracer.Span | undefined = undefined

  constructor(cache: RemoteCache, operation: Operation, fiber: AnyFiber) {
    this.cache = cache
    this.operation = operation
    this.clock = fiber.getRef(Clock.Clock)
    this.timed = fiber.getRef(References.TracerTimingEnabled)
    const { monotonic, offset } = Spans.moment(this.clock)
    this.started = monotonic
    this.offset = offset
  }

  open(fiber: AnyFiber): EffectTracer.Span | undefined {
    const { span: around, tracer } = fiber.cache
    if (!this.cache.spans || (around === undefined && (tracer === undefined || !ObservabilityTracer.isActive(tracer)))) return undefined
    const span = this.span = Spans.openUnsafe(fiber, this.operation.spanName, { kind: "client" }, this.timed ? this.started + this.offset : 0n)
    if (span?.sampled === true) {
      for (const [name, value] of this.operation.attributes) span.attribute(name, value)
      span.attribute("cache.name", this.cache.series.name)
    }
    return span
  }

  end(exit: Exit.Exit<unknown, unknown>): void {
    const { operation, span } = this
    const { series } = this.cache
    const nanos = this.clock.monotonicTimeNanosUnsafe() - this.started
    series.duration(operation.label, Number(nanos) / 1e9)
    const failure = classify(exit)
    if (failure !== undefined) series.error(operation.label, failure.type)
    const found = exit._tag === "Success" ? operation.found?.(exit.value) : undefined
    if (found !== undefined) {
      series.hits(found.hits)
      series.misses(found.misses)
    }
    if (span === undefined || span.status._tag === "Ended") return
    if (span.sampled) {
      if (found !== undefined) {
        if (found.hits + found.misses === 1) span.attribute("cache.hit", found.hits === 1)
        else {
          span.attribute("cache.hits", found.hits)
          span.attribute("cache.misses", found.misses)
        }
      }
      if (failure?.code !== undefined) span.attribute("db.response.status_code", failure.code)
    }
    // Errors of stores quote keys: the span says what kind of error it was.
    const interrupted = exit._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause)
    const shown = failure === undefined ? (interrupted ? exit : Exit.void) : Spans.failedStatus(failure.type, failure.type)
    span.end(this.timed ? this.started + nanos + this.offset : 0n, shown)
  }
}
