import type { MetricDefinition } from "@effect-observability/core"
import { DashboardBuilder, RowBuilder } from "@grafana/grafana-foundation-sdk/dashboard"
import type { Builder, Dataquery } from "@grafana/grafana-foundation-sdk/cog"
import type { Dashboard, DatasourceVariableBuilder, QueryVariableBuilder } from "@grafana/grafana-foundation-sdk/dashboard"
import { PanelBuilder } from "@grafana/grafana-foundation-sdk/timeseries"

type Definition = MetricDefinition.MetricDefinition

/** Definitions by what they are about, in the order of a dashboard. */
export const areasOf = (definitions: Iterable<Definition>): ReadonlyArray<readonly [string, ReadonlyArray<Definition>]> => {
  const areas: ReadonlyArray<readonly [string, RegExp]> = [
    ["HTTP", /^http_/], ["Spans", /^span_/], ["Database", /^db_/], ["Cache", /^cache_/], ["Messaging", /^(message|messaging)_/],
    ["Errors", /^errors?_/], ["Runtime", /^(process|nodejs|effect|v8js)_/], ["Observability", /^obs_/]
  ]
  const byArea = new Map<string, Array<Definition>>([["Service", []], ...areas.map(([title]) => [title, []] as [string, Array<Definition>])])
  for (const definition of definitions) {
    byArea.get(areas.find(([, pattern]) => pattern.test(definition.name))?.[0] ?? "Service")!.push(definition)
  }
  return [...byArea].filter(([, found]) => found.length > 0)
}

/** A query and how its lines are called. */
export type Target = Builder<Dataquery>

export interface Figure {
  readonly title: string
  readonly description: string
  readonly unit: string
  /** Whether the scale begins at zero: what may be negative chooses its own. */
  readonly fromZero: boolean
  readonly targets: ReadonlyArray<Target>
}

export interface DashboardOptions {
  readonly title: string
  readonly uid: string
  readonly tags: ReadonlyArray<string>
  readonly datasource: string
  readonly variables: ReadonlyArray<DatasourceVariableBuilder | QueryVariableBuilder>
  readonly rows: ReadonlyArray<readonly [title: string, figures: ReadonlyArray<Figure>]>
}

const width = 12
const height = 8

/** Rows of panels, two beside each other, with ids that stay when rows are added at the end. */
export const dashboard = (options: DashboardOptions): Dashboard => {
  let builder = new DashboardBuilder(options.title)
    .uid(options.uid).tags([...options.tags]).refresh("30s").time({ from: "now-1h", to: "now" }).timezone("browser").editable()
  for (const variable of options.variables) builder = builder.withVariable(variable)
  let id = 0
  let y = 0
  for (const [title, figures] of options.rows) {
    builder = builder.withRow(new RowBuilder(title).id(++id).gridPos({ x: 0, y: y++, w: 24, h: 1 }))
    figures.forEach((figure, i) => {
      const panel = new PanelBuilder()
        .id(++id).title(figure.title).description(figure.description).unit(figure.unit)
        .gridPos({ x: i % 2 * width, y: y + Math.floor(i / 2) * height, w: width, h: height })
        .datasource({ type: options.datasource, uid: "${datasource}" })
      if (figure.fromZero) panel.min(0)
      for (const target of figure.targets) panel.withTarget(target)
      builder = builder.withPanel(panel)
    })
    y += Math.ceil(figures.length / 2) * height
  }
  return builder.build()
}

/** Grafana's name of a unit. */
export const unitOf = (definition: Definition, perSecond: boolean): string => {
  const unit = definition.unit === "" ? suffixOf(definition.name) : definition.unit
  if (perSecond) return unit === "bytes" ? "Bps" : unit === "seconds" ? "percentunit" : "cps"
  return unit === "seconds" ? "s" : unit === "bytes" ? "bytes" : unit === "ratio" ? "percentunit" : "short"
}

const suffixOf = (name: string): string => /_(seconds|bytes|ratio)(_total)?$/.exec(name)?.[1] ?? ""

export const fromZero = ({ buckets, type }: Definition): boolean => type === "counter" || (type === "histogram" && (buckets?.[0] ?? 0) >= 0)

/**
 * Metrics that have no series as long as all is well. Their panels then show a zero, where a program tells its metrics at all: "No data" would
 * look like a dashboard that is broken.
 */
export const zeroIsGood = ({ name, type }: Definition): boolean =>
  type === "counter"
    ? name.startsWith("obs_") || /(^|_)(errors?|failures?|failed|dropped|rejected|refused|timeouts?|retries|overflow|repeats)_total$/.test(name)
    : ["obs_alerts_firing", "obs_load_level"].includes(name)

/** The label that tells most on a panel: the others can be looked at in Explore. */
export const leadingLabel = (definition: Definition): string | undefined => {
  const preferred = ["status", "state", "reason", "outcome", "error_type", "backend", "operation", "topic", "path", "cache_name"]
  return preferred.find((label) => definition.labelNames.includes(label)) ?? definition.labelNames[0]
}
