import type { CapacityParts, CapacityReport } from "@effect-observability/core"
import { kinds as kindNumbers } from "../PostgresEncoding.ts"
import { rollupBytes, seriesBytes } from "./columns.ts"
import type { LaneRate, Look, RowRate } from "./look.ts"
import { firstBytes, indexBytes, isLarge, rowBytes } from "./pages.ts"

const hour = 3_600_000
const day = 24 * hour

export interface EstimateOptions {
  readonly capacity: number | undefined
  /** Most series there can be in all: growth ends there. */
  readonly maxSeries?: number
  /** An earlier look: WAL is told from the difference. */
  readonly before?: Look | undefined
  /** Of finished days, where there are any: bytes of a day for metrics and for spans, for each sample and span of it. */
  readonly finished?: { readonly bytesPerSample: number | undefined; readonly bytesPerSpan: number | undefined } | undefined
  /** How many days there are, and how many are kept. */
  readonly kept: number
  readonly retentionDays: number
}

/** What PostgreSQL's compression leaves of arrays of numbers, as a rule (0.4 to 0.7 for the workloads of the bench). */
const compressed = 0.6
/** Spans that are packed together. */
const chunkSpans = 16_384
/** Where nothing is known: what spans of a web shop took (docs/postgres.md), with bounds as wide. */
const guessedSpanBytes = 90
/** What the arithmetic was off by at most, as a rule (docs/diagnostics.md). */
const arithmetic = 0.08
/** Roll-ups are guessed at until a day is finished. */
const rollupDoubt = 0.15

/** A lane that has not been heard of for this long has ended. Milliseconds. */
const aliveFor = (lane: LaneRate): number => Math.max(60_000, (3 * lane.covered) / Math.max(1, lane.frames))

/** Pure arithmetic over a look. */
export const estimate = (look: Look, options: EstimateOptions): CapacityReport => {
  // A process that has ended writes no more; one that was started in its place is another lane.
  const lanes = look.lanes.filter((lane) => look.now - lane.last <= aliveFor(lane) && lane.covered > 0)
  const series = lanes.reduce((sum, lane) => sum + lane.seriesNow, 0)
  const most = Math.max(series, options.maxSeries ?? Infinity)
  const growth = growthOf(look, lanes)
  // The hour that began with the window.
  const atStart = Math.max(0, series - growth * windowOf(look))
  const dayParts = (rate: number) => metricsOver(look, lanes, day, { series, growth: rate, most })

  const spansPerHour = perHour(look, look.spans)
  const errorsPerHour = perHour(look, look.errors)
  const spanBytes = options.finished?.bytesPerSpan ?? spanBytesOf(look.packedSpans, spansPerHour * 24) ?? guessedSpanBytes
  const piece = look.spans.items === 0 ? 0 : pieceBytes(look.spans) / look.spans.items
  // They wait ten minutes, then until there are enough for a chunk; their room is used again after the next vacuum. Half a chunk waits in the mean.
  const waiting = Math.min(spansPerHour, spansPerHour / 6 + 0.8 * chunkSpans + spansPerHour / 60)
  const packedInHour = Math.max(0, spansPerHour * (5 / 6) - chunkSpans / 2)
  const errorBytes = look.errors.rows === 0 ? 0 : rowBytes(56, look.errors.rowBytes) + 4 * indexBytes(24, 0.75)

  const partsOf = (metrics: number, packedSpans: number, hours: number, newSeries: number): CapacityParts => {
    const spans = packedSpans === 0 ? 0 : packedSpans * spanBytes + 2 * firstBytes(2, false)
    const errors = errorsPerHour === 0 ? 0 : errorsPerHour * hours * errorBytes + firstBytes(3, false)
    const dictionaries = newSeries * look.seriesBytes
    const total = metrics + spans + errors + dictionaries
    return { metrics, spans, errors, dictionaries, total, least: total, most: total }
  }
  const grown = (rate: number, millis: number) => Math.min(most, series + rate * millis) - series
  const inHour = metricsOver(look, lanes, hour, { series: atStart, growth, most })
  const hot = inHour.hot + (waiting === 0 ? 0 : waiting * piece + firstBytes(2, true))
  const anHour = partsOf(inHour.packed, packedInHour, 1, grown(growth, hour - windowOf(look)))
  const hourTotal = anHour.total + hot

  const samplesPerDay = lanes.reduce((sum, lane) => sum + framesPerHour(lane) * 24 * lane.seriesNow, 0)
  const perSample = options.finished?.bytesPerSample
  const inDay = dayParts(growth)
  const dayOf = (one: ReturnType<typeof metricsOver>, rate: number) =>
    partsOf(perSample === undefined ? one.packed + one.rollups : one.samples * perSample + one.rollups, spansPerHour * 24, 24, grown(rate, day))
  const today = dayOf(inDay, growth)
  const still = dayOf(dayParts(0), 0)
  const doubt = doubtOf(look, today)
  const dayDoubt = Math.hypot(doubt, perSample === undefined ? rollupDoubt * share(inDay.rollups, today.total) * 3 : 0)
  // Where most of the series are still to come, widths and forms of rows are still to come too.
  const hourDoubt = Math.hypot(doubt, 0.35 * share(grown(growth, hour), series + grown(growth, hour)))
  const bounds = (parts: CapacityParts, relative: number, low = parts.total): CapacityParts => ({
    ...parts, least: Math.max(0, Math.min(low, parts.total) * (1 - relative)), most: parts.total * (1 + relative)
  })
  const bytesPerDay = bounds(today, dayDoubt, still.total)
  const used = look.databaseBytes ?? look.storeBytes
  const fullAt = (perDay: number) => options.capacity === undefined ? undefined : whenFull(look.now, options.capacity - used, perDay, options.retentionDays - options.kept)
  const expected = fullAt(bytesPerDay.total)
  const rows = lanes.reduce((sum, lane) => sum + framesPerHour(lane), 0) + (look.spans.rows + look.errors.rows) * (hour / Math.max(1, windowOf(look)))
  return {
    at: look.now,
    observedMillis: windowOf(look),
    basis: perSample === undefined && options.finished?.bytesPerSpan === undefined ? "minutes" : "days",
    series,
    seriesPerDay: grown(growth, day),
    rowsPerDay: rows * 24,
    samplesPerDay,
    spansPerDay: spansPerHour * 24,
    errorsPerDay: errorsPerHour * 24,
    hotBytes: hot,
    hour: { ...anHour, hot, total: hourTotal, least: hourTotal * (1 - hourDoubt), most: hourTotal * (1 + hourDoubt) },
    bytesPerDay,
    walBytesPerDay: walPerDay(look, options.before, 24 * (anHour.metrics + anHour.spans)),
    usedBytes: used,
    keptDays: options.kept,
    capacity: options.capacity,
    fullAt: expected,
    fullAtEarliest: fullAt(bytesPerDay.most),
    fullAtLatest: expected === undefined ? undefined : fullAt(bytesPerDay.least),
    notes: look.notes
  }
}

const share = (part: number, of: number): number => of > 0 ? part / of : 0

/** How much recording the look saw: less than the window just after a start. */
const windowOf = ({ lanes, now, spans, window }: Look): number => {
  const first = Math.min(...lanes.map((lane) => lane.first - lane.covered / Math.max(1, lane.frames)))
  // Without frames nothing tells when it began.
  return Math.max(1_000, Math.min(window, Number.isFinite(first) ? now - first : spans.older > 0 ? window : window / 2))
}

const framesPerHour = (lane: LaneRate): number => (hour * lane.frames) / lane.covered

const perHour = (look: Look, { items }: RowRate): number => (items * hour) / windowOf(look)

/** New series in a millisecond, by the newer half: a start brings all it has at once, and then few. */
const growthOf = (look: Look, lanes: ReadonlyArray<LaneRate>): number => {
  const half = look.window / 2
  return lanes.reduce((sum, lane) => {
    const began = Math.max(look.now - half, lane.first)
    const millis = lane.last - began
    return millis < 30_000 || lane.first > look.now - half ? sum : sum + Math.max(0, lane.seriesNow - lane.seriesThen) / millis
  }, 0)
}

const kindsOf = { metric: [kindNumbers.counters, kindNumbers.gauges], histogram: [kindNumbers.histograms], summary: [kindNumbers.summaries] } as const

/** Frames and packed rows over a time in which series grow at a rate. */
const metricsOver = (
  look: Look,
  lanes: ReadonlyArray<LaneRate>,
  millis: number,
  { growth, most, series }: { readonly series: number; readonly growth: number; readonly most: number }
): { readonly hot: number; readonly packed: number; readonly rollups: number; readonly samples: number } => {
  const end = Math.min(most, series + growth * millis)
  const now = lanes.reduce((sum, lane) => sum + lane.seriesNow, 0)
  /** What is there at the start of the time, of what is there now. */
  const there = now === 0 ? 0 : series / now
  /** And what comes meanwhile. */
  const added = now === 0 ? 0 : (end - series) / now
  /** Series in the middle of an hour of it, of those in the middle of the window. */
  const hourEnd = Math.min(end, series + growth * hour)
  const wider = now === 0 ? 1 : (series + hourEnd) / 2 / Math.max(1, now - (growth * windowOf(look)) / 2)
  let hot = 0
  let packed = 0
  let rollups = 0
  let samples = 0
  const tables = new Set<string>()
  const large = new Set<string>()
  for (const lane of lanes) {
    const perHour = framesPerHour(lane)
    const n = (perHour * millis) / hour
    // Frames widen with the series in them; an hour of frames waits at the most, and two minutes.
    const seen = lane.bytes.reduce((sum, bytes) => sum + bytes, 0) / lane.frames
    // A row that outgrows a quarter of a page is compressed from then on.
    const squeezed = !isLarge(56, seen) && isLarge(56, seen * wider) ? compressed : 1
    const wide = lane.bytes.map((bytes) => (bytes / lane.frames) * wider * squeezed)
    hot += perHour * (1 + 120_000 / hour) * (rowBytes(56, ...wide) + indexBytes(26, 0.9))
    if (isLarge(56, wide.reduce((sum, one) => sum + one, 0))) large.add(lane.table)
    tables.add(lane.table)
    samples += n * lane.seriesNow * (there + added / 2)
    // The segment that all its columns share.
    packed += 500
    for (const [number, counted] of seriesOf(look, lane)) {
      const kind = look.kinds.get(number)
      if (kind === undefined) continue
      packed += counted * there * seriesBytes(kind, n)
      // Those that come meanwhile are there for a part of the time, evenly.
      if (added > 0) for (const part of [0.125, 0.375, 0.625, 0.875]) packed += (counted * added * seriesBytes(kind, n * part)) / 4
      rollups += counted * (there + added) * rollupBytes(kind, number === kindNumbers.gauges, perHour / 60)
    }
  }
  for (const table of tables) hot += firstBytes(1, large.has(table))
  if (packed > 0) packed += firstBytes(1, false) + firstBytes(2, false)
  return { hot, packed, rollups, samples }
}

/** The lane's series by kind: those of a table are split as those that were looked at. */
const seriesOf = (look: Look, lane: LaneRate): ReadonlyArray<readonly [number, number]> => {
  const numbers: ReadonlyArray<number> = kindsOf[lane.table].filter((number) => look.kinds.has(number))
  const all = numbers.reduce((sum, number) => sum + (look.listed.get(number) ?? 0), 0)
  return numbers.map((number) => [number, all === 0 ? 0 : (lane.seriesNow * (look.listed.get(number) ?? 0)) / all])
}

/** A row of a trace's spans as they came. */
const pieceBytes = (spans: RowRate): number => spans.rows * (rowBytes(80, spans.rowBytes) + indexBytes(33, 0.7))

/**
 * Packed together, spans share what they have in common: the more of them, the less each takes, up to a chunk; from then on the indexes alone spread. By
 * two sizes of a trial, or one that is real.
 */
const spanBytesOf = (packed: Look["packedSpans"], perDay: number): number | undefined => {
  if (packed === undefined) return undefined
  const { bytes, half, spans } = packed
  const falls = half === undefined || half.spans >= spans ? 0.2 : Math.log(half.bytes / bytes) / Math.log(spans / half.spans)
  const slope = Math.min(0.3, Math.max(0.1, falls))
  const chunk = spans >= chunkSpans ? bytes : bytes * (spans / chunkSpans) ** slope
  return chunk * Math.min(1, Math.max(spans, chunkSpans) / Math.min(500_000, Math.max(spans, chunkSpans, perDay))) ** 0.04
}

/** How far the newer half of the window is from the older one, over what makes most of the bytes; and what few numbers cannot tell. */
const doubtOf = (look: Look, parts: CapacityParts): number => {
  const { newer, older } = look.spans
  const drift = older === 0 || newer === 0 ? (newer + older === 0 ? 0 : 0.5) : Math.abs(newer - older) / (newer + older)
  const frames = Math.max(1, ...look.lanes.map((lane) => lane.frames))
  const few = Math.min(0.5, 1 / Math.sqrt(frames * 4))
  const spans = share(parts.spans, parts.total)
  return Math.min(0.9, Math.hypot(arithmetic, few, spans * drift, look.spans.items > 0 && look.packedSpans === undefined ? spans * 0.6 : 0))
}

/** What was written meanwhile, and what packing will write, which goes with the removal of what it packed. */
const walPerDay = (look: Look, before: Look | undefined, packed: number): number | undefined => {
  if (before?.wal === undefined || look.wal === undefined) return undefined
  const millis = look.now - before.now
  // A clock that was set, or a server that was restored.
  return millis < 30_000 || look.wal < before.wal ? undefined : ((look.wal - before.wal) * day) / millis + 1.5 * packed
}

/** Once there are as many days as retention keeps, a new one takes the place of an old one. */
const whenFull = (now: number, left: number, perDay: number, daysToCome: number): number | undefined => {
  if (left <= 0) return now
  if (!(perDay > 0)) return undefined
  const days = left / perDay
  return days > Math.max(0, daysToCome) ? undefined : now + days * day
}
