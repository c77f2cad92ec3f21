import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { check, event, metricName, type MetricKind, number, type Tag, tag, tagField } from "./DatadogEncoding.ts"

export type Tags = Readonly<Record<string, string>>

export interface MessageOptions {
  readonly tags?: Tags
  /** Share of the calls that is sent, above 0 and at most 1; the agent makes up for the rest. Default 1. */
  readonly sampleRate?: number
  /** Seconds since the epoch; counts and gauges only (protocol 1.3). The agent then does not add up. */
  readonly time?: number
}

export interface EventOptions {
  readonly tags?: Tags
  /** Seconds since the epoch. Default: when the agent gets it. */
  readonly time?: number
  readonly hostname?: string
  /** Events of one key are shown together. */
  readonly aggregationKey?: string
  readonly priority?: "normal" | "low"
  readonly sourceTypeName?: string
  readonly alertType?: "error" | "warning" | "info" | "success"
}

export interface CheckOptions {
  readonly tags?: Tags
  /** Seconds since the epoch. */
  readonly time?: number
  readonly hostname?: string
  readonly message?: string
}

/** The verdict of a service check. */
export type CheckStatus = "ok" | "warning" | "critical" | "unknown"

/**
 * Messages of DogStatsD that no metric of a program stands for: events, service checks, sets, and single values that are sent one by one. They
 * wait in a queue of their own, in the hub's books as `<name>.messages`; recording never waits and never fails.
 *
 * For counters, gauges and histograms use `MetricsRecorder`: every backend gets them, added up before they are sent.
 *
 * @example
 * ```ts
 * const deployed = Effect.gen(function*() {
 *   const dogstatsd = yield* Dogstatsd
 *   yield* dogstatsd.event("deployed", "version 1.2.3 is live", { alertType: "success", tags: { team: "shop" } })
 *   yield* dogstatsd.serviceCheck("shop.payment", "ok")
 * })
 * ```
 */
export class Dogstatsd extends Context.Service<Dogstatsd, {
  readonly count: (name: string, value?: number, options?: MessageOptions) => Effect.Effect<void>
  readonly gauge: (name: string, value: number, options?: MessageOptions) => Effect.Effect<void>
  readonly histogram: (name: string, value: number, options?: MessageOptions) => Effect.Effect<void>
  readonly distribution: (name: string, value: number, options?: MessageOptions) => Effect.Effect<void>
  /** Milliseconds. */
  readonly timing: (name: string, millis: number, options?: MessageOptions) => Effect.Effect<void>
  /** How many different values there were. */
  readonly set: (name: string, value: string | number, options?: MessageOptions) => Effect.Effect<void>
  readonly event: (title: string, text?: string, options?: EventOptions) => Effect.Effect<void>
  readonly serviceCheck: (name: string, status: CheckStatus, options?: CheckOptions) => Effect.Effect<void>
  /** As the calls above, from code without effects: `false` when it was refused and counted. */
  readonly sendUnsafe: (kind: MetricKind, name: string, value: string | number, options?: MessageOptions) => boolean
}>()("@effect-observability/datadog/Dogstatsd") {}

export interface MessagesOptions {
  readonly tags: ReadonlyArray<Tag>
  readonly originFields: string
  /** `false`: nobody takes messages. */
  readonly offer: ((message: string) => boolean) | undefined
  readonly refuse: (reason: string) => void
  /** At least 0, below 1. */
  readonly random: () => number
}

const statuses = { ok: 0, warning: 1, critical: 2, unknown: 3 } as const

/** Longest text of an event and message of a check; a datagram holds no more. */
const maxText = 4_000

export const make = (options: MessagesOptions): Dogstatsd["Service"] => {
  const { offer, originFields, random, refuse } = options
  const everywhere = tagField(options.tags, [])
  const keys = new Set(options.tags.map(({ key }) => key))
  // What stands before a value, for keys that need no care: few, and most of them come again.
  const known = new Map<string, string>()
  const beginOf = (key: string): string | undefined => {
    if (key === "" || key.length > 64 || keys.has(key) || /[:|@,#\n\r]/.test(key)) return undefined
    const begin = `,${key}:`
    if (known.size < 1000) known.set(key, begin)
    return begin
  }

  const tagsOf = (tags: Tags | undefined): string => {
    if (tags === undefined) return everywhere
    let out = ""
    let plain = true
    for (const key in tags) {
      const value = tags[key]!
      const begin = known.get(key) ?? beginOf(key)
      if (begin === undefined || !isPlainValue(value)) {
        plain = false
        break
      }
      out += begin + value
    }
    if (!plain) {
      const own = Object.entries(tags).filter(([key, value]) => key !== "" && value !== undefined && value !== null)
      return tagField(options.tags, own.map(([key, value]) => tag(key, String(value))))
    }
    return out === "" ? everywhere : everywhere === "" ? `|#${out.slice(1)}` : everywhere + out
  }

  const send = (kind: MetricKind, name: string, value: string | number, given?: MessageOptions): boolean => {
    if (offer === undefined) return false
    try {
      const refused = problemOf(kind, name, value, given)
      if (refused !== undefined) {
        refuse(refused)
        return false
      }
      const rate = given?.sampleRate ?? 1
      if (rate < 1 && random() >= rate) return true
      const text = typeof value === "number" ? number(value) : value.replace(/[|\n\r]/g, "_")
      const sampled = rate < 1 ? `|@${rate}` : ""
      const at = given?.time === undefined ? "" : `|T${Math.round(given.time)}`
      return offer(`${metricName(name)}:${text}|${kind}${sampled}${at}${tagsOf(given?.tags)}${originFields}`)
    } catch {
      // A getter or a `toString` of the caller's: the call it belongs to must not fail for it.
      refuse("invalid")
      return false
    }
  }

  const offered = (message: () => string | undefined): Effect.Effect<void> =>
    Effect.sync(() => {
      if (offer === undefined) return
      try {
        const made = message()
        if (made === undefined) refuse("invalid")
        else offer(made)
      } catch {
        refuse("invalid")
      }
    })

  const call = (kind: MetricKind) => (name: string, value: string | number, given?: MessageOptions): Effect.Effect<void> =>
    Effect.sync(() => void send(kind, name, value, given))

  return {
    count: (name, value = 1, given) => call("c")(name, value, given),
    gauge: call("g"),
    histogram: call("h"),
    distribution: call("d"),
    timing: call("ms"),
    set: call("s"),
    event: (title, text = title, given = {}) =>
      offered(() => {
        const shown = String(title).slice(0, maxText)
        if (shown === "") return undefined
        return event({
          title: shown,
          text: String(text).slice(0, maxText),
          tags: tagsOf(given.tags),
          time: timeOf(given.time),
          hostname: given.hostname,
          aggregationKey: given.aggregationKey,
          priority: given.priority,
          sourceTypeName: given.sourceTypeName,
          alertType: given.alertType
        }, originFields)
      }),
    serviceCheck: (name, status, given = {}) =>
      offered(() => {
        const code = Object.hasOwn(statuses, status) ? statuses[status] : undefined
        if (name === "" || code === undefined) return undefined
        return check({
          name: metricName(name),
          status: code,
          tags: tagsOf(given.tags),
          time: timeOf(given.time),
          hostname: given.hostname,
          message: given.message?.slice(0, maxText)
        }, originFields)
      }),
    sendUnsafe: send
  }
}

/** The ledger's word for what cannot be sent. */
const problemOf = (kind: MetricKind, name: string, value: unknown, given: MessageOptions | undefined): string | undefined => {
  if (typeof name !== "string" || name === "") return "invalid_name"
  // A set counts texts; elsewhere one value that is no number would spoil a whole window.
  if (kind === "s" ? value === "" || (typeof value !== "string" && typeof value !== "number") : typeof value !== "number" || !Number.isFinite(value)) return "invalid_value"
  if (given === undefined) return undefined
  const { sampleRate, time } = given
  if (sampleRate !== undefined && !(sampleRate > 0 && sampleRate <= 1)) return "invalid_value"
  if (time !== undefined && (!(time >= 1) || (kind !== "c" && kind !== "g"))) return "invalid_value"
  return undefined
}

const timeOf = (time: number | undefined): number | undefined => time === undefined || !(time >= 1) ? undefined : Math.round(time)

const isPlainValue = (value: string): boolean => {
  if (typeof value !== "string" || value.length > 100) return false
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i)
    // Line feed, carriage return, # , @ |
    if (c === 10 || c === 13 || c === 35 || c === 44 || c === 64 || c === 124) return false
  }
  return true
}
