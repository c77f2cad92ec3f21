import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { DatadogConfigError, type DatadogOptions } from "./DatadogConfig.ts"

/** Datadog's variables that are read, through Effect's `ConfigProvider`. */
const names = [
  "DD_AGENT_HOST", "DD_TRACE_AGENT_HOSTNAME", "DD_TRACE_AGENT_URL", "DD_TRACE_AGENT_PORT", "DD_TRACE_ENABLED", "DD_DOGSTATSD_URL", "DD_DOGSTATSD_SOCKET",
  "DD_DOGSTATSD_HOST", "DD_DOGSTATSD_PORT", "DD_DOGSTATSD_DISABLE", "DD_SERVICE", "DD_ENV", "DD_VERSION", "DD_TAGS", "DD_ENTITY_ID", "DD_EXTERNAL_ENV",
  "DD_CARDINALITY", "DD_ORIGIN_DETECTION_ENABLED"
] as const

type Name = (typeof names)[number]

interface Problem {
  readonly field: string
  readonly message: string
}

/** The options with what the environment says over them. */
export const fromEnvironment = (options: DatadogOptions): Effect.Effect<DatadogOptions, DatadogConfigError> =>
  Effect.gen(function*() {
    const given = new Map<Name, string>()
    for (const name of names) {
      const value = yield* Config.option(Config.String(name)).pipe(Effect.map(Option.getOrUndefined), Effect.catch(() => Effect.succeed(undefined)))
      if (value !== undefined && value.trim() !== "") given.set(name, value.trim())
    }
    const { options: out, problems } = overlay(options, given)
    return problems.length === 0 ? out : yield* new DatadogConfigError({ problems })
  })

const overlay = (options: DatadogOptions, given: ReadonlyMap<Name, string>): { readonly options: DatadogOptions; readonly problems: ReadonlyArray<Problem> } => {
  const problems: Array<Problem> = []
  const host = given.get("DD_AGENT_HOST") ?? given.get("DD_TRACE_AGENT_HOSTNAME")
  const plain = host ?? options.host ?? "127.0.0.1"
  const port = (name: Name): number | undefined => {
    const text = given.get(name)
    if (text === undefined) return undefined
    const value = Number(text)
    if (Number.isInteger(value) && value >= 1 && value <= 65_535) return value
    problems.push({ field: name, message: `is ${JSON.stringify(text.slice(0, 20))}: use a port from 1 to 65535` })
    return undefined
  }
  const flag = (name: Name): boolean | undefined => {
    const text = given.get(name)?.toLowerCase()
    if (text === undefined) return undefined
    if (["true", "1", "yes", "y", "on"].includes(text)) return true
    if (["false", "0", "no", "n", "off"].includes(text)) return false
    problems.push({ field: name, message: `is ${JSON.stringify(text.slice(0, 20))}: use true or false` })
    return undefined
  }
  const socket = given.get("DD_DOGSTATSD_SOCKET")
  const statsdPort = port("DD_DOGSTATSD_PORT")
  const statsdHost = given.get("DD_DOGSTATSD_HOST")
  const tracePort = port("DD_TRACE_AGENT_PORT")
  const dogstatsd = flag("DD_DOGSTATSD_DISABLE") === true
    ? false
    : given.get("DD_DOGSTATSD_URL") ?? (socket !== undefined
      ? `unix://${socket.replace(/^unix(gram)?:\/\//, "")}`
      : statsdPort !== undefined || statsdHost !== undefined
      ? `udp://${authority(statsdHost ?? plain)}:${statsdPort ?? 8125}`
      : host === undefined || options.dogstatsd === false
      ? options.dogstatsd
      : `udp://${authority(host)}:8125`)
  const traces = flag("DD_TRACE_ENABLED") === false
    ? false
    : given.get("DD_TRACE_AGENT_URL") ?? (tracePort !== undefined
      ? `http://${authority(plain)}:${tracePort}`
      : host === undefined || options.traces === false
      ? options.traces
      : `http://${authority(host)}:8126`)
  const tags = given.has("DD_TAGS") ? { ...options.tags, ...tagsIn(given.get("DD_TAGS")!) } : options.tags
  const cardinality = given.get("DD_CARDINALITY")?.toLowerCase() as DatadogOptions["cardinality"]
  const text = <K extends keyof DatadogOptions>(key: K, name: Name): Partial<DatadogOptions> => given.has(name) ? { [key]: given.get(name) } : {}
  return {
    problems,
    options: {
      ...options,
      ...(host === undefined ? {} : { host }),
      ...(dogstatsd === undefined ? {} : { dogstatsd }),
      ...(traces === undefined ? {} : { traces }),
      ...text("service", "DD_SERVICE"),
      ...text("env", "DD_ENV"),
      ...text("version", "DD_VERSION"),
      ...text("entityId", "DD_ENTITY_ID"),
      ...text("externalData", "DD_EXTERNAL_ENV"),
      ...(cardinality === undefined ? {} : { cardinality }),
      ...(tags === undefined ? {} : { tags }),
      ...(flag("DD_ORIGIN_DETECTION_ENABLED") === false ? { containerId: false as const } : {})
    }
  }
}

const authority = (host: string): string => host.includes(":") && !host.startsWith("[") ? `[${host}]` : host

/** `a:1,b:2` or `a:1 b:2`, as Datadog's clients read it: a comma anywhere means that commas divide. */
const tagsIn = (text: string): Record<string, string> =>
  Object.fromEntries(
    text.split(text.includes(",") ? "," : /\s+/).map((one) => one.trim()).filter((one) => one !== "").map((one) => {
      const at = one.indexOf(":")
      return at < 0 ? [one, ""] : [one.slice(0, at), one.slice(at + 1)]
    })
  )
