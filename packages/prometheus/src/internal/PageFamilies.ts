import { escapeHelp, type FamilyType, type Format, isMetricName, sampleNames } from "./text.ts"

export interface FamilyHead {
  readonly name: string
  readonly type: FamilyType
  readonly help: string
  readonly unit: string
}

/**
 * The families of one page in the making. A name can be had once: with a second owner the samples of two metrics would be read
 * as one metric, or the whole page not at all.
 */
export class PageFamilies {
  readonly format: Format
  /** What is missing on the page, for people. */
  readonly leftOut = new Set<string>()
  private readonly names: ReadonlySet<string>
  private readonly taken = new Set<string>()

  /** `names` are those of all the families that will come. */
  constructor(format: Format, names: Iterable<string>) {
    this.format = format
    this.names = new Set(names)
  }

  /** The lines that open a family; `undefined` when its name cannot be used, or a family before it has one of its sample names. */
  begin({ help, name, type, unit }: FamilyHead): string | undefined {
    const samples = sampleNames(name, type)
    if (!isMetricName(name) || samples.some((sample) => this.taken.has(sample))) return undefined
    for (const sample of samples) this.taken.add(sample)
    const { format } = this
    const [family, kind] = format === "text" ? [name, type] : this.openMetrics(name, type)
    return (help === "" ? "" : `# HELP ${family} ${escapeHelp(help, format)}\n`) +
      `# TYPE ${family} ${kind}\n` +
      (format === "openMetrics" && unit !== "" && family.endsWith(`_${unit}`) ? `# UNIT ${family} ${unit}\n` : "")
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
