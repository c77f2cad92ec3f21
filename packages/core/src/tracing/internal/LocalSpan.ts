import type * as Option from "effect/Option"
import type * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import type * as EffectTracer from "effect/Tracer"
import type { IdGenerator } from "../IdGenerator.ts"
import { hex16 } from "./hex.ts"
import type { LocalTrace } from "./LocalTrace.ts"

export type SpanOptions = Parameters<EffectTracer.Tracer["span"]>[0]

/** What recorded and unrecorded spans have in common: ids that stay numbers until read, and a status. */
export abstract class LocalSpan implements EffectTracer.Span {
  name: string
  readonly parent: Option.Option<EffectTracer.AnySpan>
  readonly annotations: Context.Context<never>
  readonly kind: EffectTracer.SpanKind
  readonly links: Array<EffectTracer.SpanLink>
  status: EffectTracer.SpanStatus
  /** The flag that goes out with the trace id. */
  abstract get propagated(): boolean
  abstract get sampled(): boolean
  abstract get trace(): LocalTrace
  abstract get attributes(): ReadonlyMap<string, unknown>
  private readonly high: number
  private readonly low: number
  private id: string | undefined = undefined

  constructor(options: SpanOptions, ids: IdGenerator) {
    this.name = options.name
    this.parent = options.parent
    this.annotations = options.annotations
    this.kind = options.kind
    this.links = options.links
    this.status = { _tag: "Started", startTime: options.startTime }
    const high = ids.next()
    const low = ids.next()
    this.high = high
    // All zero is the one invalid id (W3C Trace Context, 3.2.2.4).
    this.low = (high | low) === 0 ? 1 : low
  }

  // A getter, as all that is the same for every span of a class: fields would make each of them larger.
  get _tag(): "Span" {
    return "Span"
  }

  get traceId(): string {
    return this.trace.hex
  }

  get spanId(): string {
    return this.id ??= hex16(this.high, this.low)
  }

  abstract end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void
  abstract attribute(key: string, value: unknown): void
  abstract event(name: string, startTime: bigint, attributes?: Record<string, unknown>): void
  abstract addLinks(links: ReadonlyArray<EffectTracer.SpanLink>): void
}
