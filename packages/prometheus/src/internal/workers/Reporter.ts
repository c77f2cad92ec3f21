import type { Exemplar, MetricDefinition, MetricFamily, MetricStore, Series } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import { type ExemplarNote, type FamilyNote, type Figure, figure, noteOf, type Report, type SeriesNote } from "./protocol.ts"

/** What is known of a series on the other side. */
interface Entry {
  readonly id: number
  readonly family: MetricFamily
  /** Totals (of a gauge its value) as they were when last reported. */
  readonly sent: Array<number>
  exemplars: Array<Exemplar | undefined> | undefined
  /** The last report that found it in the store. */
  seen: number
}

/** Changes in one message. */
const perMessage = 500
/** Between two messages of a report, so that they do not arrive at once: a channel's messages are all handled in one turn of the event loop. */
const pause = "1 millis"
/** Series looked at in one turn: about half a millisecond. */
const perTurn = 1_000
/** Most ended series remembered: one that comes back goes on with its total. The store forgets them sooner. */
const maxEnded = 20_000

type Body = Omit<Report, "session" | "to">

interface Draft {
  families: Array<FamilyNote>
  series: Array<SeriesNote>
  values: Array<readonly [number, ...ReadonlyArray<Figure>]>
  exemplars: Array<ExemplarNote>
  gone: Array<number>
}

const blank = (): Draft => ({ families: [], series: [], values: [], exemplars: [], gone: [] })

/** Tells what changed in a store since it was last asked, in messages of bounded size and short turns. */
export class Reporter {
  private readonly store: MetricStore
  /** By definition: a family that gets more labels has another one. */
  private readonly families = new Map<MetricDefinition.MetricDefinition, number>()
  private readonly entries = new Map<Series, Entry>()
  private readonly ended = new Map<string, Entry>()
  private ids = 0
  private round = 0
  private draft = blank()

  constructor(store: MetricStore) {
    this.store = store
  }

  /** One report after the other; the last holds `ending`. Run one at a time. */
  report(post: (body: Body) => Effect.Effect<void>, ending: Pick<Report, "answers" | "final">): Effect.Effect<void> {
    const send = (ending: Pick<Report, "answers" | "final">) => {
      const body = { ...this.draft, ...ending }
      this.draft = blank()
      return post(body)
    }
    return Effect.suspend(() => {
      const scan = this.scan()
      const turn: Effect.Effect<void> = Effect.suspend(() =>
        scan.next().done === true
          ? send(ending)
          : Effect.andThen(this.isFull ? Effect.andThen(send({}), Effect.sleep(pause)) : Effect.yieldNow, turn)
      )
      return turn
    })
  }

  private get isFull(): boolean {
    return this.draft.values.length + this.draft.series.length >= perMessage
  }

  /** Puts changes into the draft; pauses when a turn is over or a message is full. */
  private *scan(): Generator<void> {
    const round = ++this.round
    let turn = 0
    let found = 0
    for (const family of this.store.families()) {
      // A copy: series may end while this pauses.
      for (const series of family.series.slice()) {
        if (series.index < 0) continue
        found++
        this.look(family, series, round)
        if (++turn >= perTurn || this.isFull) {
          turn = 0
          yield
        }
      }
    }
    if (found !== this.entries.size) this.sweep(round)
  }

  private look(family: MetricFamily, series: Series, round: number): void {
    const entry = this.entries.get(series) ?? this.meet(family, series)
    entry.seen = round
    const values = this.changes(family, series, entry.sent)
    if (values === undefined) return
    this.draft.values.push([entry.id, ...values])
    this.noteExemplars(family, series, entry)
  }

  private meet(family: MetricFamily, series: Series): Entry {
    const { definition } = family
    let id = this.families.get(definition)
    if (id === undefined) {
      id = ++this.ids
      this.families.set(definition, id)
      this.draft.families.push({ id, definition: noteOf(definition) })
    }
    // No value of a gauge equals NaN: its first one is reported whatever it is.
    const sent = this.recall(series) ?? new Array<number>(sizeOf(family)).fill(isGauge(family) ? NaN : 0)
    const entry: Entry = { id: ++this.ids, family, sent, exemplars: undefined, seen: 0 }
    this.draft.series.push({ id: entry.id, family: id, labelValues: series.labelValues, createdAt: series.createdAt })
    this.entries.set(series, entry)
    return entry
  }

  /** What was reported of a series that ended and goes on; one that began anew is another one. */
  private recall(series: Series): Array<number> | undefined {
    if (this.ended.size === 0) return undefined
    const key = keyOf(series)
    const before = this.ended.get(key)
    if (before !== undefined) this.ended.delete(key)
    return before?.sent
  }

  /** The figures of a report, with `sent` brought up to date; `undefined` when nothing changed. */
  private changes(family: MetricFamily, series: Series, sent: Array<number>): Array<Figure> | undefined {
    const { definition: { buckets, objectives, type } } = family
    const out: Array<Figure> = []
    let changed = false
    const rise = (i: number, total: number) => {
      const before = sent[i]!
      out.push(figure(total === before ? 0 : total - before))
      changed ||= total !== before
      sent[i] = total
    }
    if (type === "histogram") {
      const n = buckets!.length + 1
      for (let i = 0; i < n; i++) rise(i, family.bucket(series, i))
      rise(n, family.sum(series))
    } else if (type === "summary") {
      rise(0, family.count(series))
      rise(1, family.sum(series))
      // Quantiles are costly, and change with the count only.
      if (changed) for (const q of ascending(objectives)) out.push(figure(family.quantile(series, q)))
    } else if (type === "counter") rise(0, family.value(series))
    else {
      const value = family.value(series)
      changed = value !== sent[0]
      sent[0] = value
      out.push(figure(value))
    }
    return changed ? out : undefined
  }

  private noteExemplars(family: MetricFamily, series: Series, entry: Entry): void {
    const { definition: { buckets, type } } = family
    if (type !== "counter" && type !== "histogram") return
    const n = type === "counter" ? 1 : buckets!.length + 1
    for (let i = 0; i < n; i++) {
      const bucket = type === "counter" ? -1 : i
      const exemplar = family.exemplar(series, bucket)
      if (exemplar === undefined || entry.exemplars?.[i] === exemplar) continue
      ;(entry.exemplars ??= [])[i] = exemplar
      const { spanId, time, traceId, value } = exemplar
      this.draft.exemplars.push({ series: entry.id, bucket, traceId, spanId, value, time })
    }
  }

  /** Lets go of series that are no longer in the store. */
  private sweep(round: number): void {
    for (const [series, entry] of this.entries) {
      if (entry.seen === round) continue
      this.entries.delete(series)
      this.draft.gone.push(entry.id)
      if (!isGauge(entry.family)) this.ended.set(keyOf(series), entry)
    }
    for (const key of this.ended.keys()) {
      if (this.ended.size <= maxEnded) break
      this.ended.delete(key)
    }
  }
}

/** Absent labels do not count: there may be more of them later. */
const keyOf = ({ createdAt, definition: { labelNames, name }, labelValues }: Series): string =>
  JSON.stringify([name, createdAt, ...labelValues.flatMap((value, i) => value === "" ? [] : [labelNames[i], value])])

const isGauge = ({ definition: { type } }: MetricFamily): boolean => type === "gauge" || type === "upDownCounter"

const ascending = (objectives: Readonly<Record<string, number>> | undefined): ReadonlyArray<number> =>
  Object.keys(objectives ?? {}).map(Number).sort((a, b) => a - b)

const sizeOf = ({ definition: { buckets, type } }: MetricFamily): number => type === "histogram" ? buckets!.length + 2 : type === "summary" ? 2 : 1
