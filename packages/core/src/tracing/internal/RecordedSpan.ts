import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import type * as EffectTracer from "effect/Tracer"
import type { IdGenerator } from "../IdGenerator.ts"
import { isOurs, type RequestContext } from "../../context/RequestContext.ts"
import { Classify } from "../Classify.ts"
import { isSpanId, isTraceId } from "../Propagation.ts"
import type { SpanData, SpanEvent, SpanLinkData, SpanStatus } from "../SpanData.ts"
import { describe, FailedStatus, firstLine } from "./failure.ts"
import { LocalSpan, type SpanOptions } from "./LocalSpan.ts"
import type { LocalTrace } from "./LocalTrace.ts"
import type { SpanHome } from "./SpanHome.ts"
import type { Values } from "./values.ts"

/** Reasons of one cause that become exception events. */
const maxExceptions = 8

/** A span that is kept. After its end nothing changes: it has handed one `SpanData` to its home. */
export class RecordedSpan extends LocalSpan {
  private readonly shared: LocalTrace
  private readonly home: SpanHome
  /** Asked at the end: who asks may be known only then. */
  private request: RequestContext | undefined
  private kept = true
  private held: Map<string, unknown> | undefined = undefined
  private happened: Array<SpanEvent> | undefined = undefined
  private lost: { attributes: number; events: number; links: number } | undefined = undefined

  /** Neighbours among the open spans; its home's own. */
  older: RecordedSpan | undefined = undefined
  newer: RecordedSpan | undefined = undefined

  constructor(options: SpanOptions, trace: LocalTrace, ids: IdGenerator, home: SpanHome, request?: RequestContext) {
    super(options, ids)
    this.shared = trace
    this.home = home
    this.request = request
    if (options.links.length > 0) {
      const { linkCount } = home.values().limits
      if (options.links.length > linkCount) this.losses.links += options.links.splice(linkCount).length
    }
    home.enter(this)
  }

  get trace(): LocalTrace {
    return this.shared
  }

  get sampled(): true {
    return true
  }

  get propagated(): boolean {
    return this.shared.decision.propagated
  }

  get attributes(): ReadonlyMap<string, unknown> {
    return this.held ??= new Map()
  }

  get events(): ReadonlyArray<SpanEvent> {
    return this.happened ?? noEvents
  }

  attribute(key: string, value: unknown): void {
    if (this.status._tag === "Ended" || typeof key !== "string") return
    const values = this.home.values()
    const entry = values.entry(key)
    const plain = values.plain(key, value, entry)
    if (plain === undefined) return
    const name = entry === undefined ? key : entry.shown
    const held = this.held ??= new Map()
    if (held.size < values.limits.attributeCount || held.has(name)) held.set(name, plain)
    else this.losses.attributes++
  }

  event(name: string, startTime: bigint, attributes?: Record<string, unknown>): void {
    if (this.status._tag === "Ended") return
    const values = this.home.values()
    const { attributePerEventCount, attributeValueLength, eventCount } = values.limits
    const happened = this.happened ??= []
    if (happened.length < eventCount) {
      happened.push({ name: values.text(name, attributeValueLength), time: startTime, attributes: values.record(attributes, attributePerEventCount) })
    } else this.losses.events++
  }

  addLinks(links: ReadonlyArray<EffectTracer.SpanLink>): void {
    if (this.status._tag === "Ended") return
    const { linkCount } = this.home.values().limits
    for (const link of links) {
      if (this.links.length < linkCount) this.links.push(link)
      else this.losses.links++
    }
  }

  /** Renames a span that is still open: a route is known only after it was matched. */
  rename(name: string): void {
    if (this.status._tag !== "Ended") this.name = name
  }

  /** Another request than that of the fiber which opened the span. */
  belongTo(request: RequestContext): void {
    this.request = request
  }

  /** Makes the end of this span hand over nothing: another span stands for the same work. */
  discard(): void {
    this.kept = false
    this.home.leave(this)
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    const started = this.status
    if (started._tag === "Ended") return
    const { home } = this
    if (!this.kept) {
      this.status = { _tag: "Ended", startTime: started.startTime, endTime, exit }
      return
    }
    home.leave(this)
    let status: SpanStatus = "unset"
    let message: string | undefined
    if (exit._tag === "Failure") message = this.fail(exit.cause, endTime)
    else if (this.annotations.mapUnsafe.size > 0) message = this.judge(exit.value)
    if (message !== undefined) status = "error"
    if (this.request !== undefined) this.describe(this.request, this.held ??= new Map())
    this.status = { _tag: "Ended", startTime: started.startTime, endTime, exit }
    home.take(this.data(endTime, status, message, this.held ?? noAttributes, this.happened ?? noEvents), this)
  }

  /** The span as it is now, ended at `now` and marked; the span itself goes on. */
  unfinished(now: bigint): SpanData {
    const attributes = new Map(this.held)
    if (this.request !== undefined) this.describe(this.request, attributes)
    attributes.set(unfinished, true)
    return this.data(now, "unset", undefined, attributes, [...this.happened ?? noEvents])
  }

  /** On whose behalf the work was done: the words that logs use too. What the program has said itself stands. */
  private describe(request: RequestContext, attributes: Map<string, unknown>): void {
    const { module, requestId, tenantId, userId } = request
    if (requestId !== undefined) {
      if (!isOurs(request)) this.add(attributes, "request_id", requestId)
      else if (!attributes.has("request_id")) attributes.set("request_id", requestId)
    }
    if (userId !== undefined) this.add(attributes, "user_id", userId)
    if (tenantId !== undefined) this.add(attributes, "tenant_id", tenantId)
    if (module !== undefined) this.add(attributes, "module", module)
  }

  private add(attributes: Map<string, unknown>, key: string, value: string): void {
    if (!attributes.has(key)) attributes.set(key, this.home.values().plain(key, value))
  }

  private data(
    endTime: bigint,
    status: SpanStatus,
    statusMessage: string | undefined,
    attributes: ReadonlyMap<string, unknown>,
    events: ReadonlyArray<SpanEvent>
  ): SpanData {
    const lost = this.lost ?? nothingLost
    const values = this.home.values()
    return {
      traceId: this.shared.hex,
      spanId: this.spanId,
      parentSpanId: this.parent._tag === "Some" ? parentIdOf(this.parent.value) : undefined,
      name: values.text(this.name, values.limits.attributeValueLength),
      kind: this.kind,
      startTime: this.status.startTime,
      endTime,
      status,
      statusMessage,
      attributes,
      events,
      links: this.links.length === 0 ? noLinks : plainLinks(this.links, values),
      droppedAttributes: lost.attributes,
      droppedEvents: lost.events,
      droppedLinks: lost.links,
      weight: this.shared.decision.weight,
      traceState: this.shared.state
    }
  }

  /** What the span's `Classify` makes of a success; the status message, or `undefined` when it is one. */
  private judge(value: unknown): string | undefined {
    const classify = Context.getOrUndefined(this.annotations, Classify)
    if (classify === undefined) return undefined
    try {
      const verdict = classify(value)
      if (verdict === undefined) return undefined
      if (!this.held?.has("error.type")) this.force("error.type", this.home.values().text(verdict.type, maxType))
      return firstLine(this.home.values().text(verdict.message ?? verdict.type, maxType))
    } catch {
      return undefined
    }
  }

  /** Records why the span failed; the status message, or `undefined` when it was only interrupted. */
  private fail(cause: Cause.Cause<unknown>, time: bigint): string | undefined {
    if (Cause.hasInterruptsOnly(cause)) {
      this.force("effect.fiber.interrupted", true)
      return undefined
    }
    const values = this.home.values()
    const first = Cause.squash(cause)
    if (isFailedStatus(first)) {
      if (!this.held?.has("error.type")) this.force("error.type", first.type)
      return firstLine(values.text(first.message, maxType))
    }
    const main = describe(first, values)
    // Whoever knows better (an HTTP status, a SQLSTATE) has set it already.
    if (!this.held?.has("error.type")) this.force("error.type", main.type)
    let count = 0
    for (const reason of cause.reasons) {
      if (reason._tag === "Interrupt" || ++count > maxExceptions) continue
      const error = reason._tag === "Fail" ? reason.error : reason.defect
      const failure = error === first ? main : describe(error, values)
      // Expected failures and defects are told apart by Effect's own words for them.
      const attributes: Record<string, unknown> = {
        "exception.type": failure.type,
        "exception.message": failure.message,
        "effect.cause": reason._tag === "Fail" ? "fail" : "die"
      }
      if (failure.stack !== undefined) attributes["exception.stacktrace"] = failure.stack
      this.exception({ name: "exception", time, attributes })
    }
    return main.status
  }

  /** An exception takes the place of another event rather than be left out. */
  private exception(event: SpanEvent): void {
    const happened = this.happened ??= []
    const { eventCount } = this.home.values().limits
    if (happened.length >= eventCount) {
      this.losses.events += happened.length - Math.max(0, eventCount - 1)
      happened.length = Math.max(0, eventCount - 1)
    }
    happened.push(event)
  }

  private get losses(): { attributes: number; events: number; links: number } {
    return this.lost ??= { attributes: 0, events: 0, links: 0 }
  }

  /** Attributes of our own come on top of the limit: they say what a full span cannot. */
  private force(key: string, value: unknown): void {
    ;(this.held ??= new Map()).set(key, value)
  }
}

/** The attribute of a span that was still open when its backend closed. */
const unfinished = "span.unfinished"
const maxType = 256

/** An error may be a proxy that throws whatever it is asked, its prototype too: a revoked one does. */
const isFailedStatus = (error: unknown): error is FailedStatus => {
  try {
    return error instanceof FailedStatus
  } catch {
    return false
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

const plainLinks = (links: ReadonlyArray<EffectTracer.SpanLink>, values: Values): ReadonlyArray<SpanLinkData> => {
  const out: Array<SpanLinkData> = []
  for (const link of links) {
    try {
      const { attributes, span } = link
      const traceId = span.traceId.toLowerCase().padStart(32, "0")
      const spanId = span.spanId.toLowerCase()
      if (isTraceId(traceId) && isSpanId(spanId)) out.push({ traceId, spanId, attributes: values.record(attributes, values.limits.attributePerLinkCount) })
    } catch {
      // What is no link, from untyped code: a span that ends must not fail for it.
    }
  }
  return out
}
