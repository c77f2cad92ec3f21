import type { MetricFrame, Series, SeriesExemplar, SpanData } from "@effect-observability/core"
import { cut, entriesOf, recordEntries, type Entry, writeMap, writeTypes } from "./internal/attributeText.ts"
import { type LogRecord, severities } from "./internal/logRecord.ts"
import { repaired, RowWriter } from "./internal/RowWriter.ts"
import type { MetricTable } from "./internal/tables.ts"

// Rows as RowBinary, in the order of the columns of `internal/tables.ts`. Nothing here throws for what a program recorded.

/** Rows of one table, without a header. */
export interface Rows {
  readonly table: "traces" | "logs" | MetricTable
  readonly count: number
  readonly body: Buffer
}

/** Bytes after which another insert begins. */
const fullInsert = 8 * 1024 * 1024

/** Delta and cumulative (OpenTelemetry's `AggregationTemporality`). */
const delta = 1
const cumulative = 2

// ------------------------------------------------------------------------------------------------------------------------ spans

/** As the collector writes them. */
const kinds = { internal: "Internal", server: "Server", client: "Client", producer: "Producer", consumer: "Consumer" } as const
const statuses = { unset: "Unset", ok: "Ok", error: "Error" } as const

/** Rows are dropped by their age, which the server counts in 32 bits. */
const latest = 4_102_444_800_000_000_000n

const timeOf = (nanos: bigint): bigint => (nanos < 0n ? repaired("time", 0n) : nanos > latest ? repaired("time", latest) : nanos)
const longest = 2n ** 63n - 1n
const stored = (nanos: bigint): bigint => (nanos < -longest ? repaired("time", -longest) : nanos > longest ? repaired("time", longest) : nanos)

/** A row per span. `resource` is what `resourceBytes` made. */
export const spans = (writer: RowWriter, batch: ReadonlyArray<SpanData>, resource: Uint8Array): Rows => {
  writer.clear()
  for (const span of batch) writeSpan(writer, span, resource)
  return { table: "traces", count: batch.length, body: writer.bytes() }
}

const writeSpan = (writer: RowWriter, span: SpanData, resource: Uint8Array): void => {
  const attributes = entriesOf(span.attributes)
  const events = span.events.map((event) => recordEntries(event.attributes))
  const links = span.links.map((link) => recordEntries(link.attributes))
  const duration = span.endTime - span.startTime
  writer.raw(resource)
  writer.int64(timeOf(span.startTime))
  writer.string(span.traceId)
  writer.string(span.spanId)
  writer.string(span.parentSpanId ?? "")
  writer.string(cut(span.traceState, 1_024))
  writer.string(cut(span.name, 4_096))
  writer.string(kinds[span.kind] ?? "Internal")
  writeMap(writer, attributes)
  writer.int64(duration < 0n ? repaired("time", 0n) : stored(duration))
  writer.string(statuses[span.status] ?? "Unset")
  writer.string(cut(span.statusMessage ?? ""))
  writer.count(events.length)
  for (const { time } of span.events) writer.int64(stored(time))
  writer.count(events.length)
  for (const { name } of span.events) writer.string(cut(name, 4_096))
  writeMaps(writer, events)
  writer.count(links.length)
  for (const { traceId } of span.links) writer.string(traceId)
  writer.count(links.length)
  for (const { spanId } of span.links) writer.string(spanId)
  writer.count(links.length)
  for (let i = 0; i < links.length; i++) writer.string("")
  writeMaps(writer, links)
  writeTypes(writer, attributes)
  writer.count(events.length)
  for (const entries of events) writeTypes(writer, entries)
  writer.count(links.length)
  for (const entries of links) writeTypes(writer, entries)
  writer.float64(Number.isFinite(span.weight) ? span.weight : repaired("number", 1))
  writer.uint32(span.droppedAttributes)
  writer.uint32(span.droppedEvents)
  writer.uint32(span.droppedLinks)
}

const writeMaps = (writer: RowWriter, all: ReadonlyArray<ReadonlyArray<Entry>>): void => {
  writer.count(all.length)
  for (const entries of all) writeMap(writer, entries)
}

// ------------------------------------------------------------------------------------------------------------------------- logs

/** A row per record. `resource` is what `resourceBytes` made. */
export const logs = (writer: RowWriter, records: ReadonlyArray<LogRecord>, resource: Uint8Array): Rows => {
  writer.clear()
  for (const record of records) {
    const attributes = entriesOf(record.attributes)
    writer.raw(resource)
    writer.int64(timeOf(record.time))
    writer.string(record.traceId ?? "")
    writer.string(record.spanId ?? "")
    writer.uint8(record.flags & 0xff)
    writer.string(record.level.toUpperCase())
    writer.uint8(severities[record.level] ?? 0)
    writer.string(cut(record.body))
    // ResourceSchemaUrl, ScopeSchemaUrl, ScopeAttributes
    writer.string("")
    writer.string("")
    writer.count(0)
    writeMap(writer, attributes)
    writeTypes(writer, attributes)
  }
  return { table: "logs", count: records.length, body: writer.bytes() }
}

// ---------------------------------------------------------------------------------------------------------------------- metrics

const nanosOf = (millis: number): bigint => BigInt(Number.isFinite(millis) ? Math.max(0, Math.round(millis)) : 0) * 1_000_000n

/** Rows of frames: one per series and frame. Encodes each series once; the same frames always give the same rows. */
export class FrameEncoder {
  private readonly resource: Buffer
  private readonly series = new WeakMap<Series, Buffer>()
  private readonly tables = new Map<MetricTable, Growing>()

  private readonly shared: Readonly<Record<string, string>>

  /** `resource` is what `resourceBytes` made; `shared` are labels below the own ones of every series. */
  constructor(resource: Uint8Array, shared: Readonly<Record<string, string>> = {}) {
    this.shared = shared
    const writer = new RowWriter(1_024)
    writer.raw(resource)
    // ResourceSchemaUrl, ScopeAttributes, ScopeDroppedAttrCount, ScopeSchemaUrl
    writer.string("")
    writer.count(0)
    writer.uint32(0)
    writer.string("")
    this.resource = writer.bytes()
  }

  encode(frames: ReadonlyArray<MetricFrame>): ReadonlyArray<Rows> {
    for (const growing of this.tables.values()) growing.begin()
    for (const frame of frames) this.frame(frame)
    return [...this.tables].flatMap(([table, growing]) => growing.end(table))
  }

  private frame(frame: MetricFrame): void {
    const { counters, gauges, histograms, summaries } = frame
    const times = new RowWriter(16)
    times.int64(nanosOf(frame.startTime))
    times.int64(nanosOf(frame.endTime))
    const interval = times.bytes()
    const exemplars = bySeries(frame.exemplars)
    const sums = this.table("sum")
    // What follows the value is the same for all counters without exemplars.
    const rest = new RowWriter(64)
    writeExemplars(rest, undefined)
    writeSumEnd(rest, frame, delta)
    const plainEnd = rest.bytes()
    for (let i = 0; i < counters.values.length; i++) {
      const value = counters.values[i]!
      if (!finite(value)) continue
      const one = counters.series[i]!
      const row = this.begin(sums, one, interval)
      row.float64(value)
      const kept = exemplars?.get(one)
      if (kept === undefined) row.raw(plainEnd)
      else {
        writeExemplars(row, kept)
        writeSumEnd(row, frame, delta)
      }
    }
    for (let i = 0; i < gauges.values.length; i++) {
      const value = gauges.values[i]!
      const one = gauges.series[i]!
      // A gauge that ended has none.
      if (Number.isNaN(value) || !finite(value)) continue
      if (one.definition.type === "upDownCounter") {
        const since = new RowWriter(16)
        since.int64(nanosOf(Math.min(one.createdAt > 0 ? one.createdAt : frame.startTime, frame.endTime)))
        since.int64(nanosOf(frame.endTime))
        const row = this.begin(sums, one, since.bytes())
        row.float64(value)
        writeExemplars(row, undefined)
        writeSumEnd(row, frame, cumulative)
      } else {
        const row = this.begin(this.table("gauge"), one, interval)
        row.float64(value)
        writeExemplars(row, undefined)
        row.uint32(0)
      }
    }
    for (let i = 0; i < histograms.counts.length; i++) this.histogram(frame, i, interval, exemplars)
    for (let i = 0; i < summaries.counts.length; i++) {
      const one = summaries.series[i]!
      const row = this.begin(this.table("summary"), one, interval)
      row.uint64(summaries.counts[i]!)
      row.float64(summaries.sums[i]!)
      const objectives = Object.keys(one.definition.objectives ?? {}).map(Number).sort((a, b) => a - b)
      row.float64s(objectives)
      row.float64s(objectives.map((_, q) => summaries.quantiles[i]?.[q] ?? NaN))
      row.uint32(0)
    }
    this.exponentials(frame, interval)
  }

  private histogram({ histograms }: MetricFrame, i: number, times: Uint8Array, exemplars: ReadonlyMap<Series, ReadonlyArray<SeriesExemplar>> | undefined): void {
    const one = histograms.series[i]!
    const bounds = one.definition.buckets ?? []
    const count = histograms.counts[i]!
    const row = this.begin(this.table("histogram"), one, times)
    row.uint64(count)
    row.float64(finite(histograms.sums[i]!) ? histograms.sums[i]! : 0)
    row.count(bounds.length + 1)
    for (let b = 0; b <= bounds.length; b++) row.uint64(histograms.buckets[histograms.offsets[i]! + b]!)
    row.float64s(bounds)
    writeExemplars(row, exemplars?.get(one))
    row.float64(count > 0 ? observed(histograms.mins[i]!) : 0)
    row.float64(count > 0 ? observed(histograms.maxs[i]!) : 0)
    row.int32(delta)
    row.uint32(0)
  }

  private exponentials({ histograms }: MetricFrame, times: Uint8Array): void {
    if (histograms.exponentials.length === 0) return
    const positions = new Map(histograms.series.map((one, i) => [one, i]))
    for (const one of histograms.exponentials) {
      const at = positions.get(one.series)
      if (at === undefined) continue
      const row = this.begin(this.table("exponential_histogram"), one.series, times)
      row.uint64(histograms.counts[at]!)
      row.float64(histograms.sums[at]!)
      row.int32(one.scale)
      row.uint64(one.zeroCount)
      for (const side of [one.positive, one.negative]) {
        row.int32(side.offset)
        row.count(side.counts.length)
        for (const count of side.counts) row.uint64(count)
      }
      writeExemplars(row, undefined)
      row.float64(observed(histograms.mins[at]!))
      row.float64(observed(histograms.maxs[at]!))
      row.int32(delta)
      row.uint32(0)
    }
  }

  private table(name: MetricTable): Growing {
    let growing = this.tables.get(name)
    if (growing === undefined) this.tables.set(name, growing = new Growing())
    return growing
  }

  private begin(table: Growing, one: Series, times: Uint8Array): RowWriter {
    const row = table.next()
    row.raw(this.describe(one))
    row.raw(times)
    return row
  }

  /** Who is observed, then MetricName, MetricDescription, MetricUnit, Attributes. */
  private describe(one: Series): Buffer {
    const known = this.series.get(one)
    if (known !== undefined) return known
    const { help, labelNames, name, unit } = one.definition
    const writer = new RowWriter(1_024)
    writer.raw(this.resource)
    writer.string(name)
    writer.string(cut(help, 4_096))
    writer.string(cut(unit, 256))
    const own = labelNames.map((label, i) => [label, one.labelValues[i]!] as const).filter(([, value]) => value !== "")
    writeMap(writer, entriesOf(new Map([...Object.entries(this.shared), ...own])))
    const bytes = writer.bytes()
    this.series.set(one, bytes)
    return bytes
  }
}

/** AggregationTemporality, IsMonotonic, IntervalMillis, Flags */
const writeSumEnd = (row: RowWriter, frame: MetricFrame, temporality: number): void => {
  row.int32(temporality)
  row.uint8(temporality === delta ? 1 : 0)
  row.uint64(Math.max(0, Math.round(frame.endTime - frame.startTime)))
  row.uint32(0)
}

/** Least and greatest value as the collector writes them: 0 where nothing was observed. */
const observed = (value: number): number => (Number.isNaN(value) ? 0 : value)

const finite = (value: number): boolean => Number.isFinite(value) || repaired("number", false)

const bySeries = (exemplars: ReadonlyArray<SeriesExemplar>): ReadonlyMap<Series, ReadonlyArray<SeriesExemplar>> | undefined =>
  exemplars.length === 0 ? undefined : Map.groupBy(exemplars, (one) => one.series)

const writeExemplars = (row: RowWriter, all: ReadonlyArray<SeriesExemplar> = []): void => {
  row.count(all.length)
  for (let i = 0; i < all.length; i++) row.count(0)
  row.count(all.length)
  for (const { time } of all) row.int64(nanosOf(time))
  row.float64s(all.map(({ value }) => value))
  row.count(all.length)
  for (const { spanId } of all) row.string(spanId)
  row.count(all.length)
  for (const { traceId } of all) row.string(traceId)
}

/** Rows of one table, cut where an insert would become too large. */
class Growing {
  private readonly writer = new RowWriter()
  private done: Array<{ readonly count: number; readonly body: Buffer }> = []
  private count = 0

  begin(): void {
    this.writer.clear()
    this.done = []
    this.count = 0
  }

  next(): RowWriter {
    if (this.writer.size > fullInsert) this.cut()
    this.count++
    return this.writer
  }

  end(table: MetricTable): ReadonlyArray<Rows> {
    if (this.count > 0) this.cut()
    return this.done.map((one) => ({ table, ...one }))
  }

  private cut(): void {
    this.done.push({ count: this.count, body: this.writer.bytes() })
    this.writer.clear()
    this.count = 0
  }
}

/** The header of `RowBinaryWithNamesAndTypes`: a table of other types refuses the rows instead of misreading them. */
export const header = (columns: ReadonlyArray<{ readonly name: string; readonly type: string }>): Buffer => {
  const writer = new RowWriter(2_048)
  writer.count(columns.length)
  for (const { name } of columns) writer.string(name)
  for (const { type } of columns) writer.string(type)
  return writer.bytes()
}
