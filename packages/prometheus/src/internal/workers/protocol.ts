import { MetricDefinition } from "@effect-observability/core"

// What primary and workers say to each other, as plain JSON: a channel may carry other messages too, so each has a mark.

/** Name of the property that tells our messages from others'; its value is the version of the protocol. */
export const mark = "effect-observability/workers"
const version = 1

/** A number JSON can carry. */
export type Figure = number | string

export interface FamilyNote {
  readonly id: number
  readonly definition: unknown
}

/** A series by its number; exemplars with their bucket, -1 for a counter. */
export interface SeriesNote {
  readonly id: number
  readonly family: number
  readonly labelValues: ReadonlyArray<string>
  readonly createdAt: number
}

export interface ExemplarNote {
  readonly series: number
  readonly bucket: number
  readonly traceId: string
  readonly spanId: string
  readonly value: number
  readonly time: number
}

/**
 * From a worker: what changed since its last report; an answer may take several. The figures of a series: the increase of a counter, of each
 * bucket and the sum of a histogram, of count and sum of a summary and then its quantiles; the value of a gauge or up-down counter.
 */
export interface Report {
  /** Of one lifetime of a worker's layer. */
  readonly session: string
  /** The primary that knows what was reported before; absent when none does. */
  readonly to?: string
  readonly families: ReadonlyArray<FamilyNote>
  readonly series: ReadonlyArray<SeriesNote>
  readonly values: ReadonlyArray<readonly [series: number, ...figures: ReadonlyArray<Figure>]>
  readonly exemplars: ReadonlyArray<ExemplarNote>
  /** Series that ended. */
  readonly gone: ReadonlyArray<number>
  /** The question that is answered in full with this. */
  readonly answers?: number
  /** The last report of the session: to be acknowledged. */
  readonly final?: boolean
}

/** From the primary: a question, or the receipt of a last report. */
export interface Question {
  /** Of one lifetime of a primary's layer: another one knows nothing yet. */
  readonly primary: string
  readonly ask?: number
  readonly received?: string
}

export const envelope = (body: Report | Question): unknown => ({ [mark]: version, body })

/** The body of one of our messages, `undefined` for anything else. What it holds is not checked. */
export const opened = (message: unknown): unknown => {
  if (typeof message !== "object" || message === null || !Object.hasOwn(message, mark)) return undefined
  const { body, [mark]: known } = message as { readonly body?: unknown; readonly [mark]: unknown }
  return known === version && typeof body === "object" && body !== null ? body : undefined
}

export const figure = (value: number): Figure => Number.isFinite(value) ? value : String(value)

/** What a page needs to know of a definition, in JSON. */
export const noteOf = ({ buckets, help, labelNames, name, objectives, type, unit }: MetricDefinition.MetricDefinition): unknown => ({
  name,
  type,
  help,
  unit,
  labelNames,
  ...(buckets === undefined ? {} : { buckets }),
  ...(objectives === undefined ? {} : { objectives })
})

/** Throws for what is no definition. */
export const definitionOf = (note: unknown): MetricDefinition.MetricDefinition => {
  const definition = new MetricDefinition.MetricDefinition(note as ConstructorParameters<typeof MetricDefinition.MetricDefinition>[0])
  const wrong = MetricDefinition.problem(definition)
  if (wrong !== undefined) throw wrong
  return definition
}
