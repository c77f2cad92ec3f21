import type { SpanData, SpanEvent, SpanLinkData } from "@effect-observability/core"
import { clean, encodeRecord } from "../internal/json.ts"
import { hash, type Slices, slices, statusCodes, toInt8, type TracePart } from "../PostgresEncoding.ts"
import type { Shapes, Template } from "./Shapes.ts"

/** Arithmetic only: the rows of `obs_trace_part` that a batch becomes, as arrays; migration 5 has the form of a row. */

/** What a row has beside the numbers of its spans: bits of `flags`. What no span of a row has, the row does not have. */
export const has = {
  root: 1, wide: 2, statuses: 4, messages: 8, events: 16, links: 32, weights: 64, states: 128, lostAttributes: 256, lostEvents: 512, lostLinks: 1_024
} as const

/** Numbers of a span in `numbers`. */
export const width = 5

/** Ends the text of a row in the batch's; no JSON text has it. */
export const rowEnd = "\x1e"

/** The attributes of a batch, one entry per span, in the order of the rows. */
export interface Lines {
  readonly texts: ReadonlyArray<string>
  readonly templates: ReadonlyArray<Template | undefined>
}

export const lines = (rows: ReadonlyArray<TracePart>, shapes: Shapes): Lines => {
  const texts: Array<string> = []
  const templates: Array<Template | undefined> = []
  for (const { spans } of rows) {
    for (const span of spans) {
      texts.push(shapes.write(span.name, span.attributes))
      templates.push(shapes.template)
    }
  }
  return { texts, templates }
}

export interface SpanColumns extends Slices {
  readonly traceIds: ReadonlyArray<string>
  readonly start: BigInt64Array
  readonly end: BigInt64Array
  readonly errors: Int32Array
  readonly rootOperation: Int32Array
  readonly flags: Int32Array
  /** Each row's slice of `strangers`: ids of parents outside of the row; `null` when no span has any. */
  readonly strange: Slices | null
  readonly strangers: BigInt64Array | null
  /** The rows' attributes, each row's ended by `rowEnd`, each span's by a newline. */
  readonly texts: string
  // One entry per span; each row's are a slice.
  readonly spanIds: ReadonlyArray<string>
  /** `width` times as many: column by column within a row. */
  readonly numbers: Int32Array
  // `null` when no row of the batch has any.
  readonly starts: BigInt64Array | null
  readonly durations: BigInt64Array | null
  readonly statuses: Int16Array | null
  readonly messages: ReadonlyArray<string | null> | null
  readonly events: ReadonlyArray<string | null> | null
  readonly links: ReadonlyArray<string | null> | null
  readonly weights: Float64Array | null
  readonly states: ReadonlyArray<string | null> | null
  readonly lostAttributes: Int32Array | null
  readonly lostEvents: Int32Array | null
  readonly lostLinks: Int32Array | null
}

const none: ReadonlyArray<bigint> = []

export const columns = (
  rows: ReadonlyArray<TracePart>,
  { templates, texts }: Lines,
  operationOf: (span: SpanData) => number,
  shapeOf: (template: Template) => number
): SpanColumns => {
  const all = texts.length
  const numbers = new Int32Array(width * all)
  const spanIds: Array<string> = Array.from({ length: all })
  const flags = new Int32Array(rows.length)
  // Filled in the loop: `from` with a function asks an iterator for each element.
  const starts = new BigInt64Array(rows.length)
  const ends = new BigInt64Array(rows.length)
  const errors = new Int32Array(rows.length)
  const rootOperation = new Int32Array(rows.length)
  const from = new Int32Array(rows.length)
  const to = new Int32Array(rows.length)
  const traceIds: Array<string> = Array.from({ length: rows.length })
  const strangers: Array<bigint> = []
  const strange: Array<ReadonlyArray<bigint>> = []
  let wideStarts: BigInt64Array | null = null
  let wideDurations: BigInt64Array | null = null
  let text = ""
  let any = 0
  let next = 0
  for (let r = 0; r < rows.length; r++) {
    const row = rows[r]!
    const { spans, start } = row
    const count = spans.length
    starts[r] = start
    ends[r] = row.end
    errors[r] = row.errors
    rootOperation[r] = operationOf(row.root)
    from[r] = next + 1
    to[r] = next + count
    traceIds[r] = isTraceId(row.traceId) ? row.traceId : hash(["trace", clean(row.traceId)])
    const base = width * next
    const places = count > 16 ? new Map(spans.map((span, i) => [span.spanId, i])) : undefined
    const before = strangers.length
    let found = row.root.parentSpanId === undefined ? has.root : 0
    for (let i = 0; i < count; i++, next++) {
      const span = spans[i]!
      spanIds[next] = span.spanId
      if (span.parentSpanId !== undefined) {
        const place = places === undefined ? placeOf(spans, span.parentSpanId) : places.get(span.parentSpanId) ?? -1
        if (place >= 0) numbers[base + i] = place + 1
        else {
          const id = toInt8(span.parentSpanId)
          if (id !== 0n) numbers[base + i] = before - strangers.push(id)
        }
      }
      numbers[base + count + i] = operationOf(span)
      const template = templates[next]
      numbers[base + 2 * count + i] = template === undefined ? 0 : shapeOf(template)
      const since = span.startTime === start ? 0 : Number(span.startTime - start)
      const duration = Number(span.endTime - span.startTime)
      if (since <= 0x7fff_ffff && duration <= 0x7fff_ffff && duration >= -0x8000_0000) {
        numbers[base + 3 * count + i] = since
        numbers[base + 4 * count + i] = duration
      } else found |= has.wide
      found |= whatOf(span)
      text += `${texts[next]!}\n`
    }
    if (found & has.wide) {
      wideStarts ??= new BigInt64Array(all)
      wideDurations ??= new BigInt64Array(all)
      for (let i = 0; i < count; i++) {
        wideStarts[next - count + i] = spans[i]!.startTime - start
        wideDurations[next - count + i] = spans[i]!.endTime - spans[i]!.startTime
      }
    }
    text += rowEnd
    strange.push(strangers.length === before ? none : strangers.slice(before))
    flags[r] = found
    any |= found
  }
  // Most batches have none of what is asked of all spans once more.
  const spans = any === 0 || any === has.root ? noSpans : rows.flatMap((row) => row.spans)
  const when = <A>(flag: number, make: () => A): A | null => ((any & flag) === 0 ? null : make())
  return {
    from,
    to,
    traceIds,
    start: starts,
    end: ends,
    errors,
    rootOperation,
    flags,
    strange: strangers.length === 0 ? null : slices(strange),
    strangers: strangers.length === 0 ? null : BigInt64Array.from(strangers),
    // Without the last one: what follows it would be a row.
    texts: text.slice(0, -rowEnd.length),
    spanIds,
    numbers,
    starts: wideStarts,
    durations: wideDurations,
    statuses: when(has.statuses, () => Int16Array.from(spans, (span) => statusCodes[span.status] ?? 0)),
    messages: when(has.messages, () => spans.map((span) => (span.statusMessage === undefined ? null : clean(span.statusMessage)))),
    events: when(has.events, () => spans.map((span) => (span.events.length === 0 ? null : `[${span.events.map((event) => encodeEvent(event, span)).join(",")}]`))),
    links: when(has.links, () => spans.map((span) => (span.links.length === 0 ? null : `[${span.links.map(encodeLink).join(",")}]`))),
    weights: when(has.weights, () => Float64Array.from(spans, weightOf)),
    states: when(has.states, () => spans.map((span) => (span.traceState === "" ? null : clean(span.traceState, 512)))),
    lostAttributes: when(has.lostAttributes, () => Int32Array.from(spans, (span) => span.droppedAttributes)),
    lostEvents: when(has.lostEvents, () => Int32Array.from(spans, (span) => span.droppedEvents)),
    lostLinks: when(has.lostLinks, () => Int32Array.from(spans, (span) => span.droppedLinks))
  }
}

const noSpans: ReadonlyArray<SpanData> = []

/** 32 hex digits. */
const isTraceId = (id: string): boolean => {
  if (id.length !== 32) return false
  for (let i = 0; i < 32; i++) {
    const c = id.charCodeAt(i)
    if (!((c >= 48 && c <= 57) || (c >= 97 && c <= 102) || (c >= 65 && c <= 70))) return false
  }
  return true
}

const placeOf = (spans: ReadonlyArray<SpanData>, id: string): number => {
  for (let i = 0; i < spans.length; i++) if (spans[i]!.spanId === id) return i
  return -1
}

const whatOf = (span: SpanData): number =>
  (span.status === "unset" ? 0 : has.statuses) |
  (span.statusMessage === undefined ? 0 : has.messages) |
  (span.events.length === 0 ? 0 : has.events) |
  (span.links.length === 0 ? 0 : has.links) |
  (weightOf(span) === 1 ? 0 : has.weights) |
  (span.traceState === "" ? 0 : has.states) |
  (span.droppedAttributes > 0 ? has.lostAttributes : 0) |
  (span.droppedEvents > 0 ? has.lostEvents : 0) |
  (span.droppedLinks > 0 ? has.lostLinks : 0)

/** A weight that is none counts as one: sums must stay sums. */
const weightOf = (span: SpanData): number => (span.weight >= 1 && Number.isFinite(span.weight) ? span.weight : 1)

/** `t` counts nanoseconds from the span's start, as text: JSON's numbers are not read exactly everywhere. */
const encodeEvent = (event: SpanEvent, span: SpanData): string =>
  `{"n":${JSON.stringify(clean(event.name))},"t":"${event.time - span.startTime}","a":${encodeRecord(event.attributes)}}`

const encodeLink = (link: SpanLinkData): string =>
  `{"t":${JSON.stringify(clean(link.traceId, 32))},"s":${JSON.stringify(clean(link.spanId, 16))},"a":${encodeRecord(link.attributes)}}`
