import { escapeHelp, type FamilyType, type Format, isMetricName, sampleNames } from "./text.ts"

export interface FamilyHead {
  readonly name: string
  readonly type: FamilyType
  readonly help: string
  readonly unit: string
}

/** What the lines of a family may have in this page. */
export interface OpenFamily {
  /** HELP, TYPE and UNIT. */
  readonly head: string
  /** Name of the samples that tell when a series began; absent where they are not wanted or the name is another metric's. */
  readonly created: string | undefined
  /** Whether samples may carry exemplars. */
  readonly exemplars: boolean
}

/**
 * The families of one page in the making. A name can be had once: with a second owner the samples of two metrics would be read
 * as one metric, or the whole page not at all.
 */
export class PageFamilies {
  readonly format: Format
  /** What is missing on the page, for people. */
  readonly leftOut = new Set<string>()
  private readonly createdTimestamps: boolean
  private readonly names: ReadonlySet<string>
  private readonly taken = new Set<string>()

  /** `names` are those of all the families that will come; `createdTimestamps` counts in OpenMetrics only. */
  constructor(format: Format, names: Iterable<string>, createdTimestamps: boolean) {
    this.format = format
    this.names = new Set(names)
    this.createdTimestamps = createdTimestamps && format === "openMetrics"
  }

  /** Opens a family; `undefined` when its name cannot be used, or a family before it has one of its sample names. */
  begin({ help, name, type, unit }: FamilyHead): OpenFamily | undefined {
    const samples = sampleNames(name, type)
    if (!isMetricName(name) || samples.some((sample) => this.taken.has(sample))) return undefined
    for (const sample of samples) this.taken.add(sample)
    const { format } = this
    const [family, kind] = format === "text" ? [name, type] : this.openMetrics(name, type)
    const head = (help === "" ? "" : `# HELP ${family} ${escapeHelp(help, format)}\n`) +
      `# TYPE ${family} ${kind}\n` +
      (format === "openMetrics" && unit !== "" && family.endsWith(`_${unit}`) ? `# UNIT ${family} ${unit}\n` : "")
    const cumulative = kind === "counter" || kind === "histogram" || kind === "summary"
    return {
      head,
      created: this.createdTimestamps && cumulative ? this.take(`${family}_created`) : undefined,
      exemplars: format === "openMetrics" && (kind === "counter" || kind === "histogram")
    }
  }

  private take(name: string): string | undefined {
    if (this.names.has(name) || this.taken.has(name)) return undefined
    this.taken.add(name)
    return name
  }

  /**
   * OpenMetrics adds `_total` to a counter's name by itself. A counter for which that does not work out keeps its name as
   * `unknown`: dashboards must find the same names in both formats.
   */
  private openMetrics(name: string, type: FamilyType): readonly [string, string] {
    if (type === "untyped") return [name, "unknown"]
    if (type !== "counter") return [name, type]
    const family = name.endsWith("_total") ? name.slice(0, -"_total".length) : ""
    return isMetricName(family) && !this.names.has(family) ? [family, type] : [name, "unknown"]
  }
}
