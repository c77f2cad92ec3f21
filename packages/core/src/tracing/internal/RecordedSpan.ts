import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import type * as EffectTracer from "effect/Tracer"
import type { IdGenerator } from "../IdGenerator.ts"
import { isSpanId, isTraceId } from "../Propagation.ts"
import type { SpanData, SpanEvent, SpanLinkData, SpanStatus } from "../SpanData.ts"
import { describe, FailedStatus, firstLine } from "./failure.ts"
import { LocalSpan, type SpanOptions } from "./LocalSpan.ts"
import type { TraceId } from "./TraceId.ts"
import { cut, limits, plain, plainRecord } from "./values.ts"

/** A span that is kept. After its end nothing changes: it has handed one `SpanData` to the sink. */
export class RecordedSpan extends LocalSpan {
  private readonly shared: TraceId
  private sink: ((span: SpanData) => void) | undefined
  private held: Map<string, unknown> | undefined = undefined
  private happened: Array<SpanEvent> | undefined = undefined
  private lost: { attributes: number; events: number; links: number } | undefined = undefined

  constructor(options: SpanOptions, trace: TraceId, ids: IdGenerator, sink: (span: SpanData) => void) {
    super(options, ids)
    this.shared = trace
    this.sink = sink
    if (options.links.length > limits.links) this.losses.links += options.links.splice(limits.links).length
  }

  get trace(): TraceId {
    return this.shared
  }

  get sampled(): true {
    return true
  }

  get propagated(): true {
    return true
  }

  get attributes(): ReadonlyMap<string, unknown> {
    return this.held ??= new Map()
  }

  get events(): ReadonlyArray<SpanEvent> {
    return this.happened ?? noEvents
  }

  attribute(key: string, value: unknown): void {
    if (this.status._tag === "Ended") return
    const kept = plain(value)
    if (kept === undefined) return
    const held = this.held ??= new Map()
    if (held.size < limits.attributes || held.has(key)) held.set(key, kept)
    else this.losses.attributes++
  }

  event(name: string, startTime: bigint, attributes?: Record<string, unknown>): void {
    if (this.status._tag === "Ended") return
    const happened = this.happened ??= []
    if (happened.length < limits.events) {
      happened.push({ name: cut(name, limits.valueLength), time: startTime, attributes: plainRecord(attributes) })
    } else this.losses.events++
  }

  addLinks(links: ReadonlyArray<EffectTracer.SpanLink>): void {
    if (this.status._tag === "Ended") return
    for (const link of links) {
      if (this.links.length < limits.links) this.links.push(link)
      else this.losses.links++
    }
  }

  /** Renames a span that is still open: a route is known only after it was matched. */
  rename(name: string): void {
    if (this.status._tag !== "Ended") this.name = name
  }

  /** Makes the end of this span hand over nothing: another span stands for the same work. */
  discard(): void {
    this.sink = undefined
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    const started = this.status
    if (started._tag === "Ended") return
    const sink = this.sink
    if (sink === undefined) {
      this.status = { _tag: "Ended", startTime: started.startTime, endTime, exit }
      return
    }
    let status: SpanStatus = "unset"
    let message: string | undefined
    if (exit._tag === "Failure") {
      message = this.fail(exit.cause, endTime)
      if (message !== undefined) status = "error"
    }
    const lost = this.lost ?? nothingLost
    this.status = { _tag: "Ended", startTime: started.startTime, endTime, exit }
    sink({
      traceId: this.shared.hex,
      spanId: this.spanId,
      parentSpanId: this.parent._tag === "Some" ? parentIdOf(this.parent.value) : undefined,
      name: this.name,
      kind: this.kind,
      startTime: started.startTime,
      endTime,
      status,
      statusMessage: message,
      attributes: this.held ?? noAttributes,
      events: this.happened ?? noEvents,
      links: this.links.length === 0 ? noLinks : plainLinks(this.links),
      droppedAttributes: lost.attributes,
      droppedEvents: lost.events,
      droppedLinks: lost.links,
      weight: 1,
      traceState: this.shared.state
    })
  }

  /** Records why the span failed; the status message, or `undefined` when it was only interrupted. */
  private fail(cause: Cause.Cause<unknown>, time: bigint): string | undefined {
    if (Cause.hasInterruptsOnly(cause)) {
      this.force("effect.fiber.interrupted", true)
      return undefined
    }
    const error = Cause.squash(cause)
    if (error instanceof FailedStatus) {
      if (!this.held?.has("error.type")) this.force("error.type", error.type)
      return firstLine(error.message)
    }
    const failure = describe(error)
    // Whoever knows better (an HTTP status, a SQLSTATE) has set it already.
    if (!this.held?.has("error.type")) this.force("error.type", failure.type)
    const attributes: Record<string, unknown> = { "exception.type": failure.type, "exception.message": failure.message }
    if (failure.stack !== undefined) attributes["exception.stacktrace"] = failure.stack
    const happened = this.happened ??= []
    if (happened.length >= limits.events) {
      happened.length = limits.events - 1
      this.losses.events++
    }
    happened.push({ name: "exception", time, attributes })
    return failure.status
  }

  private get losses(): { attributes: number; events: number; links: number } {
    return this.lost ??= { attributes: 0, events: 0, links: 0 }
  }

  /** Attributes of our own come on top of the limit: they say what a full span cannot. */
  private force(key: string, value: unknown): void {
    ;(this.held ??= new Map()).set(key, value)
  }
}

const nothingLost = { attributes: 0, events: 0, links: 0 }
const noAttributes: ReadonlyMap<string, unknown> = new Map()
const noEvents: ReadonlyArray<SpanEvent> = Object.freeze([])
const noLinks: ReadonlyArray<SpanLinkData> = Object.freeze([])

const parentIdOf = (parent: EffectTracer.AnySpan): string | undefined => {
  if (parent instanceof LocalSpan) return parent.spanId
  const id = parent.spanId.toLowerCase()
  return isSpanId(id) ? id : undefined
}

const plainLinks = (links: ReadonlyArray<EffectTracer.SpanLink>): ReadonlyArray<SpanLinkData> => {
  const out: Array<SpanLinkData> = []
  for (const { attributes, span } of links) {
    const traceId = span.traceId.toLowerCase().padStart(32, "0")
    const spanId = span.spanId.toLowerCase()
    if (isTraceId(traceId) && isSpanId(spanId)) out.push({ traceId, spanId, attributes: plainRecord(attributes) })
  }
  return out
}
