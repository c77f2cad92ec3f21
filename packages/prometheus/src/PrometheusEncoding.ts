import type { MetricDefinition, MetricFamily, MetricStore, Series } from "@effect-observability/core"

/** Content type of the text format (Prometheus exposition formats, "Text-based format"). */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

/** Lines per slice of a page: some hundred microseconds of work. */
const sliceLines = 2_000

export interface EncodingOptions {
  /** Precedes every name but `obs_*`, with an underscore between. */
  readonly prefix: string
  /** Labels on every line; a metric's own label of the same name wins. */
  readonly constantLabels: Readonly<Record<string, string>>
}

type Definition = MetricDefinition.MetricDefinition

/** The name a metric has on the page. */
export const exposedName = (name: string, prefix: string): string =>
  prefix === "" || name.startsWith("obs_") ? name : `${prefix}${prefix.endsWith("_") ? "" : "_"}${name}`

/** All sample names a metric puts on the page: two metrics must not share one. */
export const sampleNames = (name: string, type: string): ReadonlyArray<string> =>
  type === "histogram" ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]
    : type === "summary" ? [name, `${name}_sum`, `${name}_count`]
    : [name]

/** Text 0.0.4 of a store. The label part of a series is made once and kept as long as the series. */
export class PrometheusEncoding {
  private readonly options: EncodingOptions
  private readonly labelParts = new WeakMap<Series, string>()

  constructor(options: EncodingOptions) {
    this.options = options
  }

  /**
   * The page in slices. A family whose sample names meet those of an earlier one is left out and its name told to `onCollision`:
   * one bad name must not make the whole page unreadable.
   */
  *slices(store: MetricStore, taken: Set<string>, onCollision: (name: string) => void): Generator<string> {
    let lines: Array<string> = []
    for (const family of store.families()) {
      if (family.series.length === 0) continue
      const { definition } = family
      const name = exposedName(definition.name, this.options.prefix)
      const names = sampleNames(name, definition.type)
      if (names.some((one) => taken.has(one))) {
        onCollision(name)
        continue
      }
      for (const one of names) taken.add(one)
      lines.push(`# HELP ${name} ${escapeHelp(definition.help)}`, `# TYPE ${name} ${typeOf(definition)}`)
      for (let i = 0; i < family.series.length; i++) {
        this.push(lines, name, family, family.series[i]!)
        if (lines.length >= sliceLines) {
          yield `${lines.join("\n")}\n`
          lines = []
        }
      }
    }
    if (lines.length > 0) yield `${lines.join("\n")}\n`
  }

  private push(lines: Array<string>, name: string, family: MetricFamily, series: Series): void {
    const labels = this.labelsOf(series)
    const { definition } = family
    switch (definition.type) {
      case "histogram": {
        const bounds = definition.buckets!
        let count = 0
        for (let i = 0; i < bounds.length; i++) {
          count += family.bucket(series, i)
          lines.push(`${name}_bucket${braces(labels, `le="${number(bounds[i]!)}"`)} ${count}`)
        }
        count += family.bucket(series, bounds.length)
        lines.push(
          `${name}_bucket${braces(labels, "le=\"+Inf\"")} ${count}`,
          `${name}_sum${braces(labels)} ${number(family.sum(series))}`,
          `${name}_count${braces(labels)} ${count}`
        )
        return
      }
      case "summary": {
        for (const objective of Object.keys(definition.objectives ?? {}).map(Number).sort((a, b) => a - b)) {
          lines.push(`${name}${braces(labels, `quantile="${objective}"`)} ${number(family.quantile(series, objective))}`)
        }
        lines.push(
          `${name}_sum${braces(labels)} ${number(family.sum(series))}`,
          `${name}_count${braces(labels)} ${number(family.count(series))}`
        )
        return
      }
      default:
        lines.push(`${name}${braces(labels)} ${number(family.value(series))}`)
    }
  }

  /** `a="x",b="y"` of a series; absent labels are left out. */
  private labelsOf(series: Series): string {
    let part = this.labelParts.get(series)
    if (part === undefined) {
      const names = series.definition.labelNames
      const parts: Array<string> = []
      for (let i = 0; i < names.length; i++) {
        const value = series.labelValues[i]!
        if (value !== "") parts.push(`${names[i]}="${escapeLabel(value)}"`)
      }
      for (const [key, value] of Object.entries(this.options.constantLabels)) {
        if (!names.includes(key)) parts.push(`${key}="${escapeLabel(value)}"`)
      }
      part = parts.join(",")
      this.labelParts.set(series, part)
    }
    return part
  }
}

const braces = (labels: string, extra = ""): string =>
  labels === "" ? extra === "" ? "" : `{${extra}}` : extra === "" ? `{${labels}}` : `{${labels},${extra}}`

const typeOf = ({ type }: Definition): string => type === "upDownCounter" ? "gauge" : type

/** A sample value as Go's ParseFloat reads it. */
const number = (value: number): string => value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value)

const special = /[\\\n"]/
const escapeLabel = (value: string): string => {
  const text = value.isWellFormed() ? value : value.toWellFormed()
  return special.test(text) ? text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\"", "\\\"") : text
}

const escapeHelp = (help: string): string => help.toWellFormed().replaceAll("\\", "\\\\").replaceAll("\n", "\\n")
