import { MetricDefinition } from "@effect-observability/core"
import type { MetricFrame, Series, SpanData } from "@effect-observability/core"
import { createHash } from "node:crypto"
import { clean, encodeEntries, encodeRecord } from "./internal/json.ts"

/** Arithmetic only: frames and spans in, arrays for `unnest` out. */

// --------------------------------------------------------------------------------------------------------------- dictionaries

/** Which column of a frame a series stands in; the numbers are stored. */
export const kinds = { counters: 0, gauges: 1, histograms: 2, summaries: 3 } as const
export type Kind = keyof typeof kinds

/** One version of a metric's definition, as far as stored values depend on it. */
export interface FamilyRow {
  readonly hash: string
  readonly name: string
  readonly type: MetricDefinition.MetricDefinition["type"]
  readonly unit: string
  /** `{…}` literals of float8[]; empty when the type has none. */
  readonly bounds: string
  readonly quantiles: string
}

export interface SeriesRow {
  readonly hash: string
  readonly family: FamilyRow
  /** JSON object; absent labels are left out. */
  readonly labels: string
  /** How many numbers it has in the flattened column: buckets of a histogram, quantiles of a summary, else 0. */
  readonly width: number
}

export const bucketsOf = (definition: MetricDefinition.MetricDefinition): ReadonlyArray<number> => definition.buckets ?? []

export const family = (definition: MetricDefinition.MetricDefinition): FamilyRow => {
  const name = clean(definition.name, 255)
  const bounds = definition.type === "histogram" ? bucketsOf(definition) : []
  const quantiles = definition.type === "summary" ? MetricDefinition.quantilesOf(definition) : []
  return {
    hash: hash(["family", name, definition.type, bounds, quantiles]),
    name,
    type: definition.type,
    unit: clean(definition.unit, 50),
    bounds: `{${bounds.join(",")}}`,
    quantiles: `{${quantiles.join(",")}}`
  }
}

/** `shared` labels stand below the series' own. */
export const series = (one: Series, of: FamilyRow, shared: Readonly<Record<string, string>>): SeriesRow => {
  const labels = new Map<string, string>()
  for (const [name, value] of Object.entries(shared)) labels.set(clean(name), clean(value))
  one.definition.labelNames.forEach((name, i) => {
    const value = one.labelValues[i] ?? ""
    if (value !== "") labels.set(clean(name), clean(value))
  })
  const sorted = [...labels].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return {
    hash: hash(["series", of.hash, sorted]),
    family: of,
    labels: encodeEntries(sorted),
    width: of.type === "histogram"
      ? bucketsOf(one.definition).length + 1
      : of.type === "summary"
      ? MetricDefinition.quantilesOf(one.definition).length
      : 0
  }
}

/** The document's metadata row. */
export const metadata = (definition: MetricDefinition.MetricDefinition) => ({
  name: clean(definition.name, 255),
  type: definition.type,
  help: clean(definition.help),
  unit: clean(definition.unit, 50),
  labelNames: JSON.stringify(definition.labelNames.map((name) => clean(name))),
  buckets: definition.type === "histogram" ? JSON.stringify(bucketsOf(definition)) : null,
  objectives: definition.type === "summary" ? encodeRecord(definition.objectives ?? {}) : null,
  alertThreshold: definition.alertThreshold !== undefined && Number.isFinite(definition.alertThreshold)
    ? String(definition.alertThreshold)
    : null
})

const kindCodes = { internal: 0, server: 1, client: 2, producer: 3, consumer: 4 } as const
export const spanKinds = ["internal", "server", "client", "producer", "consumer"] as const
export const statusCodes = { unset: 0, ok: 1, error: 2 } as const
export const spanStatuses = ["unset", "ok", "error"] as const

export interface OperationRow {
  readonly hash: string
  readonly service: string
  readonly name: string
  readonly kind: number
}

export const operation = (service: string, name: string, kind: SpanData["kind"]): OperationRow => {
  const row = { service: clean(service, 255), name: clean(name, 4_096), kind: kindCodes[kind] ?? 0 }
  return { hash: hash(["operation", row.service, row.name, row.kind]), ...row }
}

/** A key of the dictionaries: the same on every process, whatever version of the library it runs. 128 bits as a uuid. */
export const hash = (value: unknown): string => createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 32)

// --------------------------------------------------------------------------------------------------------------------- frames

/** `array[from..to]` of each frame in a flattened column, counted from 1 as PostgreSQL does; empty when `to < from`. */
export interface Slices {
  readonly from: Int32Array
  readonly to: Int32Array
}

/** Increases are mostly small whole numbers: the narrowest of three forms that keeps every value exactly, the others `null`. */
export interface Narrowed {
  readonly int2: Int16Array | null
  readonly int4: Int32Array | null
  readonly float8: Float64Array | null
}

export interface FrameColumns {
  /** End of the interval, milliseconds since the epoch. */
  readonly ts: Float64Array
  /** Its length in milliseconds. */
  readonly span: Float64Array
  readonly sources: Int32Array
  readonly counters: Slices & Narrowed
  readonly gauges: Slices & { readonly values: Float64Array }
  readonly histograms: Slices & { readonly sums: Float64Array; readonly mins: Float64Array; readonly maxs: Float64Array }
  readonly buckets: Slices & Narrowed
  readonly summaries: Slices & { readonly counts: Float64Array; readonly sums: Float64Array }
  readonly quantiles: Slices & { readonly values: Float64Array }
}

export const frames = (batch: ReadonlyArray<MetricFrame>): FrameColumns => {
  const buckets = batch.map(bucketValues)
  const quantiles = batch.map(quantileValues)
  const of = <A>(pick: (frame: MetricFrame) => A) => batch.map(pick)
  return {
    ts: Float64Array.from(batch, (frame) => Math.round(frame.endTime)),
    span: Float64Array.from(batch, (frame) => Math.max(0, Math.round(frame.endTime - frame.startTime))),
    sources: Int32Array.from(batch, (frame) => frame.sources),
    counters: { ...slices(of((frame) => frame.counters.values)), ...narrowed(flat(of((frame) => frame.counters.values))) },
    gauges: { ...slices(of((frame) => frame.gauges.values)), values: flat(of((frame) => frame.gauges.values)) },
    histograms: {
      ...slices(of((frame) => frame.histograms.sums)),
      sums: flat(of((frame) => frame.histograms.sums)),
      mins: flat(of((frame) => frame.histograms.mins)),
      maxs: flat(of((frame) => frame.histograms.maxs))
    },
    buckets: { ...slices(buckets), ...narrowed(flat(buckets)) },
    summaries: {
      ...slices(of((frame) => frame.summaries.sums)),
      counts: flat(of((frame) => frame.summaries.counts)),
      sums: flat(of((frame) => frame.summaries.sums))
    },
    quantiles: { ...slices(quantiles), values: flat(quantiles) }
  }
}

export interface ExemplarColumns {
  /** Milliseconds since the epoch. */
  readonly times: Float64Array
  readonly kinds: Int16Array
  /** Which frame of the batch it came with. */
  readonly frames: Int32Array
  /** The series' place in that frame's list of its kind, from 0. */
  readonly places: Int32Array
  readonly buckets: Int16Array
  readonly values: Float64Array
  readonly traceIds: ReadonlyArray<string>
  readonly spanIds: BigInt64Array
}

/** Most exemplars of one batch. */
const maxExemplars = 1_000

/** Of too many exemplars every so-manieth: they are examples. */
export const exemplars = (batch: ReadonlyArray<MetricFrame>): ExemplarColumns => {
  const all = batch.flatMap((frame, i) => frame.exemplars.map((one) => ({ ...one, frame: i })))
    .filter((one) => /^[0-9a-f]{32}$/.test(one.traceId) && Number.isFinite(one.time))
  const every = Math.ceil(all.length / maxExemplars)
  const kept = all.filter((_, i) => i % every === 0)
    .map((one) => ({ ...one, place: placeOf(one.series, batch[one.frame]!) }))
    .filter((one) => one.place >= 0)
  return {
    times: Float64Array.from(kept, (one) => one.time),
    kinds: Int16Array.from(kept, (one) => (one.series.definition.type === "histogram" ? kinds.histograms : kinds.counters)),
    frames: Int32Array.from(kept, (one) => one.frame),
    places: Int32Array.from(kept, (one) => one.place),
    buckets: Int16Array.from(kept, (one) => one.bucket),
    values: Float64Array.from(kept, (one) => one.value),
    traceIds: kept.map((one) => one.traceId),
    spanIds: BigInt64Array.from(kept, (one) => toInt8(one.spanId))
  }
}

export interface ExponentialColumns extends Slices {
  /** Which frame of the batch it is of, its end and length in milliseconds. */
  readonly frames: Int32Array
  readonly times: Float64Array
  readonly spans: Float64Array
  /** The series' place in that frame's list of histograms, from 0. */
  readonly places: Int32Array
  readonly scales: Int16Array
  readonly zeros: Float64Array
  readonly lows: Int32Array
  readonly negativeLows: Int32Array
  /** How many of a slice of `counts` are positive; the rest are negative. */
  readonly lengths: Int32Array
  readonly counts: Float64Array
}

/** What the frames' histograms have in base-2 exponential buckets. */
export const exponentials = (batch: ReadonlyArray<MetricFrame>): ExponentialColumns => {
  const all = batch.flatMap((frame, i) =>
    frame.histograms.exponentials.map((one) => ({ ...one, i, frame, place: placeIn(one.series, frame.histograms.series) }))
      .filter(({ place }) => place >= 0)
  )
  const counts = all.map(({ negative, positive }) => flat([positive.counts, negative.counts]))
  return {
    ...slices(counts),
    frames: Int32Array.from(all, ({ i }) => i),
    times: Float64Array.from(all, ({ frame }) => Math.round(frame.endTime)),
    spans: Float64Array.from(all, ({ frame }) => Math.max(0, Math.round(frame.endTime - frame.startTime))),
    places: Int32Array.from(all, ({ place }) => place),
    scales: Int16Array.from(all, ({ scale }) => scale),
    zeros: Float64Array.from(all, ({ zeroCount }) => zeroCount),
    lows: Int32Array.from(all, ({ positive }) => positive.offset),
    negativeLows: Int32Array.from(all, ({ negative }) => negative.offset),
    lengths: Int32Array.from(all, ({ positive }) => positive.counts.length),
    counts: flat(counts)
  }
}

/** A series' own index is that of the store's present generation: mostly, but not surely, the frame's. */
const placeIn = (series: Series, list: ReadonlyArray<Series>): number => (list[series.index] === series ? series.index : list.indexOf(series))

const placeOf = (series: Series, frame: MetricFrame): number =>
  placeIn(series, series.definition.type === "histogram" ? frame.histograms.series : frame.counters.series)

/** Buckets one series after the other, without gaps: the stored offsets follow from the definitions alone. */
const bucketValues = ({ histograms }: MetricFrame): Float64Array =>
  flat(histograms.series.map((one, i) => {
    const from = histograms.offsets[i]!
    return histograms.buckets.subarray(from, from + bucketsOf(one.definition).length + 1)
  }))

const quantileValues = ({ summaries }: MetricFrame): Float64Array => {
  const out: Array<number> = []
  summaries.series.forEach((one, i) => {
    const width = MetricDefinition.quantilesOf(one.definition).length
    for (let q = 0; q < width; q++) out.push(summaries.quantiles[i]?.[q] ?? NaN)
  })
  return Float64Array.from(out)
}

export const slices = (parts: ReadonlyArray<{ readonly length: number }>): Slices => {
  const from = new Int32Array(parts.length)
  const to = new Int32Array(parts.length)
  let next = 1
  parts.forEach((part, i) => {
    from[i] = next
    next += part.length
    to[i] = next - 1
  })
  return { from, to }
}

const flat = (parts: ReadonlyArray<Float64Array>): Float64Array => {
  if (parts.length === 1) return parts[0]!
  const out = new Float64Array(parts.reduce((length, part) => length + part.length, 0))
  let next = 0
  for (const part of parts) {
    out.set(part, next)
    next += part.length
  }
  return out
}

export const narrowed = (values: Float64Array): Narrowed => {
  let least = 0
  let greatest = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    // -0 has no integer form, but nothing tells it from 0 in a total.
    if (!Number.isInteger(value)) return { int2: null, int4: null, float8: values }
    if (value < least) least = value
    if (value > greatest) greatest = value
  }
  if (least >= -0x8000 && greatest <= 0x7fff) return { int2: Int16Array.from(values), int4: null, float8: null }
  if (least >= -0x8000_0000 && greatest <= 0x7fff_ffff) return { int2: null, int4: Int32Array.from(values), float8: null }
  return { int2: null, int4: null, float8: values }
}

// ---------------------------------------------------------------------------------------------------------------------- spans

/** Most spans of one row; the synthesised ids of the views count on it. */
export const maxSpansPerRow = 1_024

/** One trace's spans of one batch: a row. */
export interface TracePart {
  readonly traceId: string
  /** Nanoseconds since the epoch. */
  readonly start: bigint
  readonly end: bigint
  readonly spans: ReadonlyArray<SpanData>
  readonly root: SpanData
  readonly errors: number
}

export const parts = (batch: ReadonlyArray<SpanData>): ReadonlyArray<TracePart> => {
  const groups = new Map<string, Array<SpanData>>()
  const out: Array<TracePart> = []
  for (const span of batch) {
    let group = groups.get(span.traceId)
    if (group === undefined) groups.set(span.traceId, group = [])
    group.push(span)
    if (group.length === maxSpansPerRow) {
      out.push(part(group))
      groups.delete(span.traceId)
    }
  }
  for (const group of groups.values()) out.push(part(group))
  return out
}

const part = (spans: ReadonlyArray<SpanData>): TracePart => {
  let first = spans[0]!
  let end = first.endTime
  let errors = 0
  for (const span of spans) {
    if (span.startTime < first.startTime) first = span
    if (span.endTime > end) end = span.endTime
    if (span.status === "error") errors++
  }
  return {
    traceId: first.traceId,
    start: first.startTime,
    end,
    spans,
    root: spans.find((span) => span.parentSpanId === undefined) ?? first,
    errors
  }
}

/** 16 hex digits as the signed 8 bytes they are; ids that are none are 0. */
export const toInt8 = (hex: string): bigint => (/^[0-9a-fA-F]{1,16}$/.test(hex) ? BigInt.asIntN(64, BigInt(`0x${hex}`)) : 0n)

export const fromInt8 = (value: bigint): string => BigInt.asUintN(64, value).toString(16).padStart(16, "0")
