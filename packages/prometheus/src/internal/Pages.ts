import type { MetricFamily, ServiceResource, Telemetry } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Registry } from "prom-client"
import { PrometheusEncoding } from "../PrometheusEncoding.ts"
import { collect, namesOf, registryPieces } from "../RegistryPage.ts"
import { paced } from "./paced.ts"
import { PageFamilies } from "./PageFamilies.ts"
import { printable } from "./printable.ts"
import { escapeLabel, type Format } from "./text.ts"

export interface PagesOptions {
  /** Every metric to show, asked anew for each page; by default those of the hub's store. */
  readonly families?: Effect.Effect<ReadonlyArray<MetricFamily>>
  /** Registries whose metrics join the page after ours. */
  readonly registries?: ReadonlyArray<Registry>
  /** Those of them that give way in silence where a name is taken. */
  readonly silent?: ReadonlyArray<Registry>
  readonly createdTimestamps?: boolean
  /** Begins with who is scraped. */
  readonly targetInfo?: boolean
}

/** Pages of a hub's metrics and of prom-client registries, by the settings in force when each is made. */
export class Pages {
  /** What the last complete page went without. */
  private leftOut: ReadonlySet<string> = new Set()
  private failures: ReadonlyMap<string, string> = new Map()
  private known = new PrometheusEncoding({ prefix: "", constantLabels: {} })
  private readonly telemetry: Telemetry["Service"]
  private readonly options: PagesOptions

  constructor(telemetry: Telemetry["Service"], options: PagesOptions = {}) {
    this.telemetry = telemetry
    this.options = options
  }

  encoding(): PrometheusEncoding {
    const { defaultLabels: constantLabels, prefix } = this.telemetry.settings().metrics
    const { options } = this.known
    if (options.prefix !== prefix || options.constantLabels !== constantLabels) this.known = new PrometheusEncoding({ prefix, constantLabels })
    return this.known
  }

  /** A page in chunks of text, each made when the reader pulls it; what it had to leave out is known when it is complete. */
  page(format: Format): Stream.Stream<string> {
    return Stream.unwrap(Effect.map(
      Effect.suspend(() => {
        this.telemetry.refreshSelfMetrics()
        return this.options.families ?? Effect.sync(() => this.telemetry.store.families())
      }),
      (families) => this.pageOf(format, families)
    ))
  }

  private pageOf(format: Format, all: ReadonlyArray<MetricFamily>): Stream.Stream<string> {
    // Those that get their first series while the page is made wait for the next one: names are decided now.
    const families = all.filter((family) => family.series.length > 0)
    const { createdTimestamps = false, registries = [], silent = [] } = this.options
    const encoding = this.encoding()
    const page = new PageFamilies(format, [
      ...families.map((family) => encoding.exposedName(family)),
      ...registries.flatMap(namesOf)
    ], createdTimestamps)
    const failed = new Map<string, string>()
    const theirs = registries.map((registry) =>
      Stream.unwrap(Effect.map(
        collect(registry, (metric, why) => failed.set(metric, why)),
        (answers) => paced(registryPieces(registry, answers, page, (name) => silent.includes(registry) || page.leftOut.add(name)))
      ))
    )
    const last = Stream.suspend(() => {
      this.leftOut = page.leftOut
      this.failures = failed
      return format === "openMetrics" ? Stream.succeed("# EOF\n") : Stream.empty
    })
    const first = this.options.targetInfo === true ? Stream.succeed(targetInfo(this.telemetry.resource, page)) : Stream.empty
    return [paced(encoding.pieces(families, page)), ...theirs, last].reduce((all, part) => Stream.concat(all, part), first)
  }

  /** In words what is wrong with the pages, if anything; `hidden` are names that are missing elsewhere. */
  problem(hidden: Iterable<string> = []): string | undefined {
    const names = new Set([...this.leftOut, ...hidden])
    const parts: Array<string> = []
    if (names.size > 0) parts.push(`left out because another metric has the same name or it cannot be shown: ${shorten([...names])}`)
    if (this.failures.size > 0) {
      parts.push(`a prom-client registry has metrics that give no values: ${shorten([...this.failures].map(([metric, why]) => `${metric} (${why})`))}`)
    }
    return parts.length === 0 ? undefined : parts.join("; ")
  }
}

/**
 * `target_info` (OpenTelemetry, "Prometheus and OpenMetrics compatibility", resource attributes): a series of value 1 that carries what is known of
 * the process, to be joined with its other series by `instance` and `job`.
 */
const targetInfo = ({ cluster, env, instance, service, version }: ServiceResource, page: PageFamilies): string => {
  const open = page.begin({ name: "target_info", type: "gauge", help: "Who is scraped", unit: "" })
  if (open === undefined) return ""
  const labels = Object.entries({
    service_name: service, service_version: version, service_instance_id: instance, deployment_environment_name: env, k8s_cluster_name: cluster
  }).filter(([, value]) => value !== "")
  return `${open.head}target_info{${labels.map(([name, value]) => `${name}="${escapeLabel(value)}"`).join(",")}} 1\n`
}

const shorten = (names: ReadonlyArray<string>): string => {
  const most = 10
  return names.slice(0, most).map((name) => printable(name)).join(", ") + (names.length > most ? ` and ${names.length - most} more` : "")
}
