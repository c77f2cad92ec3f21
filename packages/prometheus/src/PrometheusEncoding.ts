import { canonicalNumber, type Exemplar, MetricDefinition, type MetricFamily, type Series } from "@effect-observability/core"
import type { FamilyHead, OpenFamily, PageFamilies } from "./internal/PageFamilies.ts"
import { contentTypes, escapeLabel, isLabelName, number } from "./internal/text.ts"

/** Content type of the text format (Prometheus exposition formats, "Text-based format"). */
export const contentType = contentTypes.text

/** Characters of a piece of a page: some ten microseconds of work. */
const pieceLength = 16 * 1024

export interface EncodingOptions {
  /** Precedes every name but `obs_*`, with an underscore between. */
  readonly prefix: string
  /** Labels on every line; a metric's own label of the same name wins. */
  readonly constantLabels: Readonly<Record<string, string>>
}

/** The name a metric has on the page. */
export const exposedName = (name: string, prefix: string): string =>
  prefix === "" || name.startsWith("obs_") ? name : `${prefix}${prefix.endsWith("_") ? "" : "_"}${name}`

export const typeOf = ({ definition: { type } }: MetricFamily) => type === "upDownCounter" ? "gauge" : type

/** Labels that may stand on every line; the settings check them, settings made by hand may not have been. */
export const usableLabels = (labels: Readonly<Record<string, string>>): ReadonlyArray<readonly [string, string]> =>
  Object.entries(labels).filter(([name]) => isLabelName(name) && name !== "le" && name !== "quantile")

/** The families of a store as lines of a page. What does not change in a line is made once and kept as long as its family. */
export class PrometheusEncoding {
  readonly options: EncodingOptions
  private readonly texts = new WeakMap<MetricFamily, FamilyText>()
  private readonly constants: ReadonlyArray<readonly [string, string]>

  constructor(options: EncodingOptions) {
    this.options = options
    this.constants = usableLabels(options.constantLabels)
  }

  exposedName(family: MetricFamily): string {
    return exposedName(family.definition.name, this.options.prefix)
  }

  /**
   * The lines in pieces. A family that cannot stand on the page is left out and its name noted there: one bad name must not make
   * the whole page unreadable.
   */
  *pieces(families: ReadonlyArray<MetricFamily>, page: PageFamilies): Generator<string> {
    let text = ""
    for (const family of families) {
      if (family.series.length === 0) continue
      // A copy: series may come and go while the reader takes its time.
      const series = family.series.slice()
      const lines = this.textOf(family)
      const open = lines.valid ? page.begin(lines.head) : undefined
      if (open === undefined) {
        page.leftOut.add(lines.head.name)
        continue
      }
      const writer = new FamilyWriter(lines, open, page)
      text += open.head
      for (let i = 0; i < series.length; i++) {
        if (series[i]!.index < 0) continue
        text += writer.lines(i, series[i]!)
        // The quantiles of one summary may take as long as a thousand counters.
        if (text.length >= pieceLength || lines.head.type === "summary") {
          yield text
          text = ""
        }
      }
      lines.forget(series.length)
    }
    if (text !== "") yield text
  }

  private textOf(family: MetricFamily): FamilyText {
    let text = this.texts.get(family)
    // A family may get more labels while the program runs.
    if (text === undefined || text.definition !== family.definition) {
      text = new FamilyText(this.exposedName(family), family, this.constants)
      this.texts.set(family, text)
    }
    return text
  }
}

/** What is constant in the lines of one family. */
class FamilyText {
  readonly head: FamilyHead
  readonly family: MetricFamily
  readonly definition: MetricDefinition.MetricDefinition
  /** Whether all its label names may stand on a page. */
  readonly valid: boolean
  /** `le="0.5"} ` of every bucket, `quantile="0.5"} ` of every quantile. */
  readonly ends: ReadonlyArray<string>
  readonly quantiles: ReadonlyArray<number>
  private readonly constants: ReadonlyArray<readonly [string, string]>
  // Side by side and by position: a WeakMap by series costs as much as all the rest of a line.
  private readonly known: Array<Series> = []
  private readonly parts: Array<string> = []

  constructor(name: string, family: MetricFamily, constants: ReadonlyArray<readonly [string, string]>) {
    const { buckets, help, labelNames, unit } = family.definition
    this.family = family
    this.definition = family.definition
    this.head = { name, type: typeOf(family), help, unit }
    this.valid = labelNames.every(isLabelName)
    this.constants = constants.filter(([label]) => !labelNames.includes(label))
    this.quantiles = this.head.type === "summary" ? MetricDefinition.quantilesOf(family.definition) : []
    this.ends = this.head.type === "histogram"
      ? [...buckets ?? [], Infinity].map((bound) => `le="${canonicalNumber(bound)}"} `)
      : this.quantiles.map((quantile) => `quantile="${canonicalNumber(quantile)}"} `)
  }

  /** `{a="x",b="y"}` of the series at position `i`; absent labels are left out. */
  labels(i: number, series: Series): string {
    if (this.known[i] === series) return this.parts[i]!
    this.known[i] = series
    return this.parts[i] = this.labelsOf(series)
  }

  /** Lets go of the positions from `length` on: series may have left the family. */
  forget(length: number): void {
    if (this.known.length > length) this.known.length = this.parts.length = length
  }

  private labelsOf(series: Series): string {
    const { labelNames: names } = this.definition
    const values = series.labelValues
    const parts: Array<string> = []
    const add = (name: string, value: string) => {
      if (value !== "") parts.push(parts.length === 0 ? "{" : ",", name, "=\"", escapeLabel(value), "\"")
    }
    for (let i = 0; i < names.length; i++) add(names[i]!, values[i] ?? "")
    for (const [name, value] of this.constants) add(name, value)
    if (parts.length === 0) return ""
    parts.push("}")
    // Joined, not added up: a string in one piece is smaller and quicker to copy.
    return parts.join("")
  }
}

/** Writes the samples of one family on one page. */
class FamilyWriter {
  private readonly text: FamilyText
  private readonly open: OpenFamily
  private readonly page: PageFamilies
  /** Labels with U+FFFD in them: two series may be the same once they are UTF-8. */
  private readonly replaced = new Set<string>()

  constructor(text: FamilyText, open: OpenFamily, page: PageFamilies) {
    this.text = text
    this.open = open
    this.page = page
  }

  /** All lines of the series at position `i`. */
  lines(i: number, series: Series): string {
    const { family, head: { name, type } } = this.text
    const labels = this.text.labels(i, series)
    if (labels.includes("\ufffd") && !this.first(labels)) {
      this.page.leftOut.add(`${name} (a series whose labels are the same in UTF-8)`)
      return ""
    }
    const { created, exemplars } = this.open
    const lines = type === "histogram" ? this.histogram(series, labels)
      : type === "summary" ? this.summary(series, labels)
      : `${name}${labels} ${number(family.value(series))}${exemplars ? exemplar(family.exemplar(series)) : ""}\n`
    return created === undefined ? lines : `${lines}${created}${labels} ${number(series.createdAt / 1000)}\n`
  }

  private first(labels: string): boolean {
    const first = !this.replaced.has(labels)
    this.replaced.add(labels)
    return first
  }

  private histogram(series: Series, labels: string): string {
    const { ends, family, head: { name } } = this.text
    const { exemplars } = this.open
    const start = `${name}_bucket${opened(labels)}`
    let text = ""
    let count = 0
    for (let i = 0; i < ends.length; i++) {
      count += family.bucket(series, i)
      text += start + ends[i]! + count + (exemplars ? exemplar(family.exemplar(series, i)) : "") + "\n"
    }
    return `${text}${name}_sum${labels} ${number(family.sum(series))}\n${name}_count${labels} ${count}\n`
  }

  private summary(series: Series, labels: string): string {
    const { ends, family, head: { name }, quantiles } = this.text
    let text = ""
    quantiles.forEach((quantile, i) => {
      text += `${name}${opened(labels)}${ends[i]}${number(family.quantile(series, quantile))}\n`
    })
    return `${text}${name}_sum${labels} ${number(family.sum(series))}\n${name}_count${labels} ${number(family.count(series))}\n`
  }
}

/** What follows a sample that has an exemplar; its labels are 63 characters of the 128 that OpenMetrics allows. */
const exemplar = (found: Exemplar | undefined): string =>
  found === undefined ? "" : ` # {trace_id="${found.traceId}",span_id="${found.spanId}"} ${number(found.value)} ${number(found.time / 1000)}`

/** Labels to which one more is going to be added. */
const opened = (labels: string): string => labels === "" ? "{" : `${labels.slice(0, -1)},`
