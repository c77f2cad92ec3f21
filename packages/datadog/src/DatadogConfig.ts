import type { ServiceResource, SpanSelection } from "@effect-observability/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type AgentTarget, agentTarget, type StatsdTarget, statsdTarget } from "./internal/targets.ts"
import { detect } from "./internal/origin.ts"
import { hasControl } from "./internal/printable.ts"
import { type Tag, tagsOf } from "./DatadogEncoding.ts"

export interface DatadogOptions {
  /** Unique in the composition. Default `"datadog"`. */
  readonly name?: string
  /** The agent's host, for metrics and traces, where their own addresses are not given. Default `"127.0.0.1"`. */
  readonly host?: string
  /**
   * Where metrics go: `udp://host:8125`, `unix:///path` (datagrams; needs the optional peer `node-unix-socket`), `unixstream:///path`, or
   * `tcp://host:port` for receivers other than the agent that take lines. `false` sends none. Default `udp://` to `host`, port 8125.
   */
  readonly dogstatsd?: string | false
  /** Where traces go: `http://host:8126`, `https:`, or `unix:///path`. `false` sends none. Default `http://` to `host`, port 8126. */
  readonly traces?: string | false
  /** Unified service tags. Defaults: service, env and version of the settings; a cluster of the settings is the tag `kube_cluster_name`. */
  readonly service?: string
  readonly env?: string
  readonly version?: string
  /** On every metric and span. A label of the same name replaces one on its metric. */
  readonly tags?: Readonly<Record<string, string>>
  /** Precedes every metric name but `obs_*`, before the prefix of the settings: `"shop."`. */
  readonly prefix?: string
  /** The grid of the metric frames, 100 ms or more. Default 10 s: one report per window of the agent. */
  readonly flushInterval?: Duration.Input
  /** Most bytes per datagram, 128 to 65,507. Default 1,432 for UDP (one Ethernet frame), 8,192 otherwise. */
  readonly maxDatagramSize?: number
  /**
   * Histograms go as distributions. `"values"`: the values themselves, up to `maxValues` between two frames, the rest by their buckets;
   * `"buckets"`: all by their buckets, at no cost per record. Count and sum are exact either way. Default `"values"`.
   */
  readonly distributions?: "values" | "buckets"
  /** Values kept between two frames, 0 to 1,000,000. Default 10,000. */
  readonly maxValues?: number
  /**
   * `true`: counters and gauges that come late (their frame waited a flush interval or more) carry their time (protocol 1.3), so that an outage
   * is no peak after it. The agent then does not add up: use it only where every process has tags of its own. Default `false`.
   */
  readonly timestamps?: boolean
  /** Kubernetes pod id (`DD_ENTITY_ID`), for the agent's tags of that pod. */
  readonly entityId?: string
  /** Container id; found in `/proc` on Linux when there is no `entityId`. `false` sends none. */
  readonly containerId?: string | false
  /** `DD_EXTERNAL_ENV`, as the admission controller writes it. */
  readonly externalData?: string
  /** Which of the agent's own tags are added to metrics: `"none"`, `"low"`, `"orchestrator"`, `"high"`. Default: as the agent is configured. */
  readonly cardinality?: "none" | "low" | "orchestrator" | "high"
  /** Spans per request, 1 to 10,000; a trace in it is a chunk. Default 1,000. */
  readonly batchSize?: number
  /** How long a span waits for company. Default 2 s. */
  readonly spanInterval?: Duration.Input
  /** Which of the kept spans go here; what is left out is counted. Default all. */
  readonly spans?: SpanSelection
  /** Span events as the agent's own structure instead of text in a tag. Default `"auto"`: as the agent's `/info` says. */
  readonly nativeSpanEvents?: boolean | "auto"
}

/** Options that cannot be used: every one, with the fix. */
export class DatadogConfigError extends Schema.TaggedError<DatadogConfigError>()("DatadogConfigError", {
  problems: Schema.Array(Schema.Struct({ field: Schema.String, message: Schema.String }))
}) {
  override get message(): string {
    return this.problems.map(({ field, message }) => `Datadog: ${field} ${message}`).join("\n")
  }
}

/** The options, checked and complete. */
export interface DatadogConfig {
  readonly name: string
  readonly dogstatsd: StatsdTarget | undefined
  readonly traces: AgentTarget | undefined
  readonly service: string
  readonly env: string
  readonly version: string
  /** Of every span, beyond service, env and version. */
  readonly spanTags: ReadonlyArray<readonly [key: string, value: string]>
  /** Of every metric, ready for the wire. */
  readonly metricTags: ReadonlyArray<Tag>
  /** `|c:…|e:…|card:…`, or empty. */
  readonly originFields: string
  readonly entityId: string | undefined
  readonly containerId: string | undefined
  readonly externalData: string | undefined
  readonly prefix: string
  /** Milliseconds. */
  readonly flushInterval: number
  readonly maxDatagramSize: number
  readonly maxValues: number
  readonly timestamps: boolean
  readonly batchSize: number
  /** Milliseconds. */
  readonly spanInterval: number
  readonly spans: SpanSelection | undefined
  readonly nativeSpanEvents: boolean | "auto"
}

interface Problem {
  readonly field: string
  readonly message: string
}

const cardinalities: ReadonlyArray<string> = ["none", "low", "orchestrator", "high"]

/** Options over what the program says of itself; all problems come back at once. */
export const resolve = (options: DatadogOptions, resource: ServiceResource): Effect.Effect<DatadogConfig, DatadogConfigError> =>
  Effect.suspend(() => {
    const problems: Array<Problem> = []
    const wrong = (field: string, message: string) => void problems.push({ field, message })
    const within = (field: string, value: number, least: number, most: number): number => {
      if (!(Number.isInteger(value) && value >= least && value <= most)) wrong(field, `is ${String(value).slice(0, 40)}: use a whole number from ${least} to ${most}`)
      return value
    }
    const text = (field: string, value: string | undefined): string => {
      if (value === undefined) return ""
      if (typeof value !== "string" || hasControl(value)) wrong(field, "is no plain text: leave control characters out")
      return String(value).trim()
    }
    const millis = (field: string, value: Duration.Input, least: number): number => {
      const parsed = Duration.fromInput(value)
      const found = parsed._tag === "Some" ? Math.round(Duration.toMillis(parsed.value)) : NaN
      if (!(found >= least && found <= 86_400_000)) wrong(field, `is ${shown(value)}: use a duration from ${least} milliseconds to a day`)
      return found
    }
    const name = text("name", options.name ?? "datadog")
    if (name === "") wrong("name", "is empty: leave it out or give the backend a name")
    const host = text("host", options.host ?? "127.0.0.1")
    if (!isHost(host)) wrong("host", "is no host: give a name or an address alone, such as 10.0.0.1; a port or a path belongs to dogstatsd and traces")
    const authority = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host
    const service = text("service", options.service ?? resource.service)
    const env = text("env", options.env ?? resource.env)
    const version = text("version", options.version ?? resource.version)
    const entityId = text("entityId", options.entityId)
    const externalData = text("externalData", options.externalData).replaceAll("|", "")
    const { cardinality } = options
    if (cardinality !== undefined && !cardinalities.includes(cardinality)) wrong("cardinality", `is ${shown(cardinality)}: use ${cardinalities.join(", ")}`)
    const container = options.containerId === false || entityId !== "" ? "" : options.containerId ?? detect() ?? ""
    const containerId = text("containerId", container)
    if (/[|,\s]/.test(containerId)) wrong("containerId", "has a comma, a blank or a bar: give the id alone")
    const prefix = text("prefix", options.prefix)
    const { distributions = "values" } = options
    if (distributions !== "values" && distributions !== "buckets") wrong("distributions", `is ${shown(distributions)}: use "values" or "buckets"`)
    const { nativeSpanEvents = "auto" } = options
    if (typeof nativeSpanEvents !== "boolean" && nativeSpanEvents !== "auto") wrong("nativeSpanEvents", `is ${shown(nativeSpanEvents)}: use true, false or "auto"`)
    if (options.tags !== undefined && (typeof options.tags !== "object" || options.tags === null || Array.isArray(options.tags))) {
      wrong("tags", "is no record: write { team: \"shop\" }")
    }
    const given = isRecord(options.tags) ? options.tags : {}
    const tags = Object.entries({ ...(resource.cluster === "" ? {} : { kube_cluster_name: resource.cluster }), ...given }).map(([key, value]) => [key, String(value)] as const)
    if (tags.length > 200) wrong("tags", `has ${tags.length} tags: use at most 200`)
    const given8125 = options.dogstatsd ?? (isHost(host) ? `udp://${authority}:8125` : undefined)
    const given8126 = options.traces ?? (isHost(host) ? `http://${authority}:8126` : undefined)
    const dogstatsd = given8125 === false || given8125 === undefined ? undefined : statsdTarget(given8125)
    const traces = given8126 === false || given8126 === undefined ? undefined : agentTarget(given8126)
    if (typeof dogstatsd === "string") wrong("dogstatsd", dogstatsd)
    if (typeof traces === "string") wrong("traces", traces)
    const usual = typeof dogstatsd === "object" && dogstatsd.kind !== "udp" ? 8_192 : 1_432
    const config: DatadogConfig = {
      name,
      dogstatsd: typeof dogstatsd === "object" ? dogstatsd : undefined,
      traces: typeof traces === "object" ? traces : undefined,
      service,
      env,
      version,
      // Not on metrics: there it would make every process a custom metric of its own.
      spanTags: [...(Object.hasOwn(given, "service.instance.id") ? [] : [["service.instance.id", resource.instance] as const]), ...tags],
      metricTags: tagsOf([
        ...tags,
        ...([["dd.internal.entity_id", entityId], ["env", env], ["service", service], ["version", version]] as const).filter(([, value]) => value !== "")
      ]),
      originFields: [
        ...(containerId === "" ? [] : [`|c:${containerId}`]),
        ...(externalData === "" ? [] : [`|e:${externalData}`]),
        ...(cardinality === undefined ? [] : [`|card:${cardinality}`])
      ].join(""),
      entityId: entityId === "" ? undefined : entityId,
      containerId: containerId === "" ? undefined : containerId,
      externalData: externalData === "" ? undefined : externalData,
      prefix,
      flushInterval: millis("flushInterval", options.flushInterval ?? "10 seconds", 100),
      maxDatagramSize: within("maxDatagramSize", options.maxDatagramSize ?? usual, 128, 65_507),
      maxValues: distributions === "buckets" ? 0 : within("maxValues", options.maxValues ?? 10_000, 0, 1_000_000),
      timestamps: options.timestamps ?? false,
      batchSize: within("batchSize", options.batchSize ?? 1_000, 1, 10_000),
      spanInterval: millis("spanInterval", options.spanInterval ?? "2 seconds", 10),
      spans: options.spans,
      nativeSpanEvents
    }
    return problems.length === 0 ? Effect.succeed(config) : Effect.fail(new DatadogConfigError({ problems }))
  })

const shown = (value: unknown): string => {
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, 60)
  } catch {
    return typeof value
  }
}

const isHost = (host: string): boolean => host !== "" && !/[/@?#\s]/.test(host) && URL.canParse(`http://${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}/`)

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === "object" && value !== null && !Array.isArray(value)
