import { type SpanData, Tracestate } from "@effect-observability/core"
import { encoded, MsgpackWriter } from "./MsgpackWriter.ts"
import { eventsText, linksText, nestedText } from "./spanText.ts"
import { type Facts, factsOf, httpNames, operationOf, typeOf } from "./spanNames.ts"

export interface SpanWords {
  readonly service: string
  /** Empty for none, as is `version`. */
  readonly env: string
  readonly version: string
  readonly tags: ReadonlyArray<readonly [key: string, value: string]>
  readonly pid: number
}

/** Spans between two turns of the event loop. */
const perTurn = 200

/** What is written beside the attributes, so that no key comes twice. */
const own = new Set([
  "env", "version", "span.kind", "error.message", "error.stack", "events", "w3c.tracestate", "language", "_sampling_priority_v1", "_sample_rate", "process_id",
  "otel.dropped_attributes_count", "otel.dropped_events_count", "otel.dropped_links_count"
])
const isOwn = (name: string): boolean => own.has(name) || name.startsWith("_dd.")
/** Named by attributes, and fields of the span. */
const fields = new Set(["operation.name", "resource.name", "service.name", "span.type"])

const maxKnown = 1_000
const maxResource = 5_000

// Keys of every span, encoded once.
const key = {
  type: encoded("type"),
  trace_id: encoded("trace_id"),
  span_id: encoded("span_id"),
  parent_id: encoded("parent_id"),
  name: encoded("name"),
  resource: encoded("resource"),
  service: encoded("service"),
  error: encoded("error"),
  start: encoded("start"),
  duration: encoded("duration"),
  meta: encoded("meta"),
  metrics: encoded("metrics"),
  span_events: encoded("span_events"),
  time_unix_nano: encoded("time_unix_nano"),
  attributes: encoded("attributes"),
  kind: encoded("span.kind"), env: encoded("env"), version: encoded("version"), priority: encoded("_sampling_priority_v1"), topLevel: encoded("_dd.top_level"), measured: encoded("_dd.measured")
}

/** Spans in the agent's form (`/v0.4/traces`): an array of chunks, each the spans of one trace. */
export class SpanEncoder {
  private readonly writer = new MsgpackWriter()
  private readonly words: SpanWords
  private readonly tags: ReadonlyArray<readonly [key: string, value: string]>
  private readonly tagKeys: ReadonlySet<string>
  /** What is done with an attribute of a name; there are few. */
  private readonly known = new Map<string, { readonly skipped: boolean; readonly http: string | undefined }>()
  /** Entries of the map that is being written. */
  private count = 0
  private readonly numberKeys: Array<string> = []
  private readonly numbers: Array<number> = []
  private lastState = ""
  private lastContext: Incoming = plainContext
  /** Events and links that did not fit into a tag. */
  left = 0

  constructor(words: SpanWords) {
    this.words = words
    this.tags = words.tags.filter(([key]) => !isOwn(key) && !fields.has(key))
    this.tagKeys = new Set(this.tags.map(([key]) => key))
  }

  /** The request's body and its number of chunks; yields where the event loop may turn. Gives up when it becomes longer than `most` bytes. */
  *encode(batch: ReadonlyArray<SpanData>, nativeEvents: boolean, most: number): Generator<void, { readonly body: Buffer; readonly chunks: number } | undefined> {
    const { writer } = this
    writer.clear()
    const chunks = new Map<string, Array<SpanData>>()
    for (const span of batch) {
      const chunk = chunks.get(span.traceId)
      if (chunk === undefined) chunks.set(span.traceId, [span])
      else chunk.push(span)
    }
    let done = 0
    writer.array(chunks.size)
    for (const chunk of chunks.values()) {
      writer.array(chunk.length)
      // The last that ended comes first: the root of a trace that is whole, where Datadog looks for what is said once.
      for (let i = chunk.length - 1; i >= 0; i--) {
        this.span(chunk[i]!, i === chunk.length - 1, nativeEvents)
        if (writer.length > most) {
          writer.clear()
          return undefined
        }
        if (++done % perTurn === 0) yield
      }
    }
    const body = writer.bytes()
    writer.clear()
    return { body, chunks: chunks.size }
  }

  private span(span: SpanData, first: boolean, nativeEvents: boolean): void {
    const { words, writer } = this
    const facts = factsOf(span.attributes)
    const type = typeOf(facts, span.kind)
    const native = nativeEvents && span.events.length > 0
    const service = facts.service ?? words.service
    writer.map(11 + (type === undefined ? 0 : 1) + (native ? 1 : 0))
    if (type !== undefined) {
      writer.raw(key.type)
      writer.word(type)
    }
    writer.raw(key.trace_id)
    writer.hex64(span.traceId, 16)
    writer.raw(key.span_id)
    writer.hex64(span.spanId, 0)
    writer.raw(key.parent_id)
    if (span.parentSpanId === undefined) writer.uint64(0n)
    else writer.hex64(span.parentSpanId, 0)
    writer.raw(key.name)
    writer.word(operationOf(facts, span.kind))
    writer.raw(key.resource)
    writer.word((facts.resource ?? span.name).slice(0, maxResource))
    writer.raw(key.service)
    writer.word(service.slice(0, 100))
    writer.raw(key.error)
    writer.number(span.status === "error" ? 1 : 0)
    writer.raw(key.start)
    writer.int64(span.startTime)
    writer.raw(key.duration)
    const duration = span.endTime - span.startTime
    writer.int64(duration < 0n ? 0n : duration)
    this.meta(span, facts, service, first, nativeEvents)
    this.metrics(span, first)
    if (native) this.events(span)
  }

  private put(name: string, value: string): void {
    this.writer.word(name)
    this.writer.text(value)
    this.count++
  }

  /** A value that comes again. */
  private putWord(name: string, value: string): void {
    this.writer.word(name)
    this.writer.word(value)
    this.count++
  }

  private putKey(name: Uint8Array, value: string): void {
    this.writer.raw(name)
    this.writer.word(value)
    this.count++
  }

  private meta(span: SpanData, facts: Readonly<Facts>, service: string, first: boolean, nativeEvents: boolean): void {
    const { words, writer } = this
    const { attributes } = span
    this.numberKeys.length = 0
    this.numbers.length = 0
    writer.raw(key.meta)
    const place = writer.openMap()
    this.count = 0
    this.putKey(key.kind, span.kind)
    if (words.env !== "") this.putKey(key.env, words.env)
    if (service === words.service) {
      if (words.version !== "") this.putKey(key.version, words.version)
    } else this.putWord("_dd.base_service", words.service)
    for (const [name, value] of this.tags) if (!attributes.has(name)) this.putWord(name, value)
    for (const [name, value] of attributes) this.attribute(name, value, facts.http, attributes)
    if (span.status === "error") this.failure(span)
    else if (span.status === "ok" && !attributes.has("otel.status_code")) this.putWord("otel.status_code", "Ok")
    const context = this.contextOf(span.traceState)
    if (span.traceState !== "") this.put("w3c.tracestate", span.traceState)
    if (context.origin !== undefined) this.putWord("_dd.origin", context.origin)
    if (span.links.length > 0) {
      const { left, text } = linksText(span.links)
      this.left += left
      this.put("_dd.span_links", text)
    }
    if (!nativeEvents && span.events.length > 0) {
      const { left, text } = eventsText(span.events)
      this.left += left
      this.put("events", text)
    }
    if (first) {
      this.putWord("language", "javascript")
      if (!span.traceId.startsWith("0000000000000000")) this.put("_dd.p.tid", span.traceId.slice(0, 16))
      // Who decided: 3 is a rule of the program's, 0 nobody (dd-trace-js, `SAMPLING_MECHANISM_*`).
      this.putWord("_dd.p.dm", context.maker ?? (span.weight > 1 ? "-3" : "-0"))
    }
    writer.closeMap(place, this.count)
  }

  private attribute(given: string, value: unknown, http: boolean, attributes: SpanData["attributes"]): void {
    let known = this.known.get(given)
    if (known === undefined) {
      known = { skipped: isOwn(given) || fields.has(given), http: httpNames.get(given) }
      if (this.known.size < maxKnown) this.known.set(given, known)
    }
    if (known.skipped) return
    const mapped = known.http
    const name = !http || mapped === undefined || attributes.has(mapped) || this.tagKeys.has(mapped) ? given : mapped
    if (typeof value === "number") {
      if (name === "http.status_code" || !Number.isFinite(value)) this.putWord(name, String(value))
      else {
        this.numberKeys.push(name)
        this.numbers.push(value)
      }
    } else if (typeof value === "string") this.put(name, value)
    else if (typeof value === "boolean") this.putWord(name, value ? "true" : "false")
    else this.put(name, nestedText(value))
  }

  private failure(span: SpanData): void {
    const exception = exceptionOf(span)
    const message = exception?.["exception.message"] ?? span.statusMessage
    if (typeof message === "string") this.put("error.message", message)
    const stack = exception?.["exception.stacktrace"]
    if (typeof stack === "string") this.put("error.stack", stack)
    if (exception !== undefined) this.putWord("_dd.span_events.has_exception", "true")
  }

  private metrics(span: SpanData, first: boolean): void {
    const { numberKeys, numbers, words, writer } = this
    writer.raw(key.metrics)
    const place = writer.openMap()
    let count = numbers.length
    for (let i = 0; i < numbers.length; i++) {
      writer.word(numberKeys[i]!)
      writer.double(numbers[i]!)
    }
    const put = (name: string, value: number): void => {
      writer.word(name)
      writer.double(value)
      count++
    }
    const putOne = (name: Uint8Array): void => {
      writer.raw(name)
      writer.double(1)
      count++
    }
    writer.raw(key.priority)
    writer.double(this.contextOf(span.traceState).priority)
    count++
    const { kind } = span
    // The first span of a service in a trace, as the agent tells it of OpenTelemetry's spans: it counts requests by these.
    if (span.parentSpanId === undefined || kind === "server" || kind === "consumer") putOne(key.topLevel)
    if (kind !== "internal") putOne(key.measured)
    if (span.weight !== 1) put("_sample_rate", 1 / span.weight)
    if (first) put("process_id", words.pid)
    // OpenTelemetry, "Mapping to non-OTLP formats".
    if (span.droppedAttributes > 0) put("otel.dropped_attributes_count", span.droppedAttributes)
    if (span.droppedEvents > 0) put("otel.dropped_events_count", span.droppedEvents)
    if (span.droppedLinks > 0) put("otel.dropped_links_count", span.droppedLinks)
    writer.closeMap(place, count)
  }

  /** As the agent's structure: every attribute with its type. */
  private events({ events }: SpanData): void {
    const { writer } = this
    writer.raw(key.span_events)
    writer.array(events.length)
    for (const { attributes, name, time } of events) {
      const entries = Object.entries(attributes)
      writer.map(entries.length === 0 ? 2 : 3)
      writer.raw(key.name)
      writer.word(name)
      writer.raw(key.time_unix_nano)
      writer.uint64(time < 0n ? 0n : time)
      if (entries.length === 0) continue
      writer.raw(key.attributes)
      writer.map(entries.length)
      for (const [attribute, value] of entries) {
        writer.word(attribute)
        if (Array.isArray(value) && value.every(isScalar)) {
          this.typed(4, "array_value")
          writer.map(1)
          writer.word("values")
          writer.array(value.length)
          for (const one of value) this.scalar(one)
        } else this.scalar(value)
      }
    }
  }

  private scalar(value: unknown): void {
    const { writer } = this
    if (typeof value === "boolean") {
      this.typed(1, "bool_value")
      writer.boolean(value)
    } else if (typeof value === "number") {
      if (Number.isSafeInteger(value)) {
        this.typed(2, "int_value")
        writer.int64(BigInt(value))
      } else {
        this.typed(3, "double_value")
        writer.double(value)
      }
    } else {
      this.typed(0, "string_value")
      writer.text(typeof value === "string" ? value : nestedText(value))
    }
  }

  private typed(type: number, field: string): void {
    const { writer } = this
    writer.map(2)
    writer.raw(key.type)
    writer.number(type)
    writer.word(field)
  }

  /** What a Datadog tracer before us said of the trace; most spans have the state of the one before. */
  private contextOf(traceState: string): Incoming {
    if (traceState === "") return plainContext
    if (traceState !== this.lastState) {
      this.lastState = traceState
      this.lastContext = readContext(traceState)
    }
    return this.lastContext
  }
}

interface Incoming {
  readonly origin: string | undefined
  readonly maker: string | undefined
  readonly priority: number
}

const plainContext: Incoming = { origin: undefined, maker: undefined, priority: 1 }

const readContext = (traceState: string): Incoming => {
  let { maker, origin, priority } = plainContext
  for (const part of Tracestate.get(traceState, "dd")?.split(";") ?? []) {
    if (part.startsWith("o:")) origin = part.slice(2).replaceAll("~", "=")
    else if (part.startsWith("t.dm:")) maker = part.slice(5)
    // What was kept here is kept, whatever was said before.
    else if (part === "s:2") priority = 2
  }
  return { origin, maker, priority }
}

/** The failure itself: of several exceptions the one whose type the span has. */
const exceptionOf = ({ attributes, events }: SpanData): Readonly<Record<string, unknown>> | undefined => {
  let first: Readonly<Record<string, unknown>> | undefined
  for (const event of events) {
    if (event.name !== "exception") continue
    if (event.attributes["exception.type"] === attributes.get("error.type")) return event.attributes
    first ??= event.attributes
  }
  return first
}

const isScalar = (value: unknown): boolean => typeof value === "string" || typeof value === "number" || typeof value === "boolean"
