import * as Otel from "@opentelemetry/api"
import type { Clock } from "effect/Clock"
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import type * as EffectTracer from "effect/Tracer"
import { isSuppressed } from "./BridgedContext.ts"
import { linksOf } from "./BridgedSpan.ts"
import type { SpanPairs } from "./SpanPairs.ts"
import { nanosOf } from "./time.ts"

/** OpenTelemetry's kinds, by their numbers. */
const kinds: ReadonlyArray<EffectTracer.SpanKind> = ["internal", "server", "client", "producer", "consumer"]

/** A `TracerProvider` whose spans are spans of our tracer. */
export class BridgedTracerProvider implements Otel.TracerProvider {
  private readonly make: (name: string, version: string | undefined) => Otel.Tracer
  private readonly known = new Map<string, Otel.Tracer>()

  constructor(tracer: EffectTracer.Tracer, pairs: SpanPairs, clock: Clock) {
    this.make = (name, version) => new BridgedTracer(tracer, pairs, clock, name, version)
  }

  getTracer(name: string, version?: string): Otel.Tracer {
    const key = `${name}@${version ?? ""}`
    let tracer = this.known.get(key)
    if (tracer === undefined) this.known.set(key, tracer = this.make(name, version))
    return tracer
  }
}

class BridgedTracer implements Otel.Tracer {
  private readonly tracer: EffectTracer.Tracer
  private readonly pairs: SpanPairs
  private readonly clock: Clock
  private readonly scope: ReadonlyArray<readonly [string, string]>

  constructor(tracer: EffectTracer.Tracer, pairs: SpanPairs, clock: Clock, name: string, version: string | undefined) {
    this.tracer = tracer
    this.pairs = pairs
    this.clock = clock
    // OpenTelemetry's names for the scope where it is an attribute ("Mapping to non-OTLP formats").
    this.scope = [["otel.scope.name", name], ...(version === undefined ? [] : [["otel.scope.version", version] as const])]
  }

  startSpan(name: string, given?: Otel.SpanOptions, context: Otel.Context = Otel.context.active()): Otel.Span {
    const options = given ?? {}
    if (isSuppressed(context)) return Otel.trace.wrapSpanContext(Otel.INVALID_SPAN_CONTEXT)
    const around = options.root === true ? undefined : this.pairs.effect(Otel.trace.getSpan(context))
    const span = this.tracer.span({
      name: String(name),
      parent: around === undefined ? Option.none() : Option.some(around),
      annotations: noAnnotations,
      links: linksOf(options.links),
      startTime: nanosOf(options.startTime, this.clock),
      kind: kinds[options.kind ?? 0] ?? "internal",
      // The context was asked for its span already: nobody else is to be.
      root: around === undefined,
      sampled: around === undefined || around.sampled
    })
    const face = this.pairs.begun(span)
    if (span.sampled) {
      for (const [key, value] of this.scope) span.attribute(key, value)
      if (options.attributes !== undefined) face.setAttributes(options.attributes)
    }
    return face
  }

  startActiveSpan<F extends (span: Otel.Span) => unknown>(name: string, fn: F): ReturnType<F>
  startActiveSpan<F extends (span: Otel.Span) => unknown>(name: string, options: Otel.SpanOptions, fn: F): ReturnType<F>
  startActiveSpan<F extends (span: Otel.Span) => unknown>(name: string, options: Otel.SpanOptions, context: Otel.Context, fn: F): ReturnType<F>
  startActiveSpan<F extends (span: Otel.Span) => unknown>(name: string, ...rest: ReadonlyArray<unknown>): ReturnType<F> {
    const fn = rest.at(-1) as F
    const options = rest.length > 1 ? rest[0] as Otel.SpanOptions : {}
    const context = rest.length > 2 ? rest[1] as Otel.Context : Otel.context.active()
    const span = this.startSpan(name, options, context)
    return Otel.context.with(Otel.trace.setSpan(context, span), fn as never, undefined, span as never) as ReturnType<F>
  }
}

const noAnnotations: Context.Context<never> = Context.empty()
