import type { ObservabilitySettings, ServiceResource, SpanSelection } from "@effect-observability/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { type Dsn, dsnOf } from "./internal/dsn.ts"
import type { SentryEvent } from "./SentryEncoding.ts"

export interface SentryOptions {
  /** `https://key@host/project`. Default: `tracing.sentryDsn` of the settings (`SENTRY_DSN`). */
  readonly dsn?: Redacted.Redacted<string> | string
  /** Unique in the composition. Default `"sentry"`. */
  readonly name?: string
  /** Defaults: env and version of the settings (`SENTRY_ENVIRONMENT`, `SENTRY_RELEASE` with `layerConfig`). */
  readonly environment?: string
  readonly release?: string
  /** Default: the instance of the settings. */
  readonly serverName?: string
  /** On every event. */
  readonly tags?: Readonly<Record<string, string>>
  /**
   * How spans go: `"spans"`, each by itself (span protocol 2, what Sentry's SDK 11 sends), `"transactions"`, gathered under their local
   * root, for servers that do not know it, or `false` for errors alone. Default `"spans"`.
   */
  readonly traces?: "spans" | "transactions" | false
  /** Which of the kept spans go here; what is left out is counted. Default all. */
  readonly spans?: SpanSelection
  /** Log lines go too, as Sentry's logs. Default `false`: they are breadcrumbs of errors. */
  readonly logs?: boolean
  /** The last look at an event, when all secrets are out of it already; `undefined` drops it (`before_send`). One that throws drops it too. */
  readonly beforeSend?: (event: SentryEvent) => SentryEvent | undefined
  /** Last lines kept with an error, 0 to 100. Default 100. */
  readonly maxBreadcrumbs?: number
  /** How long spans and log lines wait for company. Default 2 s. */
  readonly flushInterval?: Duration.Input
}

/** Options that cannot be used: every one, with the fix, and no secret. */
export class SentryConfigError extends Schema.TaggedError<SentryConfigError>()("SentryConfigError", {
  problems: Schema.Array(Schema.Struct({ field: Schema.String, message: Schema.String }))
}) {
  override get message(): string {
    return this.problems.map(({ field, message }) => `Sentry: ${field} ${message}`).join("\n")
  }
}

/** The options, checked and complete. */
export interface SentryConfig {
  readonly name: string
  readonly dsn: Dsn
  readonly environment: string
  readonly release: string
  readonly serverName: string
  readonly service: string
  /** `""` for none. */
  readonly cluster: string
  readonly tags: Readonly<Record<string, string>>
  readonly traces: "spans" | "transactions" | false
  readonly spans: SpanSelection | undefined
  readonly logs: boolean
  readonly beforeSend: ((event: SentryEvent) => SentryEvent | undefined) | undefined
  readonly maxBreadcrumbs: number
  /** Milliseconds. */
  readonly flushInterval: number
}

/** Options over what the program says of itself; all problems come back at once. */
export const resolve = (
  options: SentryOptions,
  settings: ObservabilitySettings,
  resource: ServiceResource
): Effect.Effect<SentryConfig, SentryConfigError> =>
  Effect.suspend(() => {
    const problems: Array<{ readonly field: string; readonly message: string }> = []
    const wrong = (field: string, message: string) => void problems.push({ field, message })
    const given = options.dsn ?? settings.tracing.sentryDsn
    const dsn = given === undefined ? "is needed: https://key@host/project, here or as SENTRY_DSN" : dsnOf(Redacted.isRedacted(given) ? Redacted.value(given) : String(given))
    if (typeof dsn === "string") wrong("dsn", dsn)
    const text = (field: string, value: string, most: number): string => {
      if (typeof value !== "string" || /\p{Cc}/u.test(value) || value.length > most) wrong(field, `must be text of at most ${most} characters, without control characters`)
      return String(value)
    }
    const { logs = false, maxBreadcrumbs = 100, tags = {}, traces = "spans" } = options
    if (traces !== "spans" && traces !== "transactions" && traces !== false) wrong("traces", "must be \"spans\", \"transactions\" or false")
    if (!(Number.isInteger(maxBreadcrumbs) && maxBreadcrumbs >= 0 && maxBreadcrumbs <= 100)) wrong("maxBreadcrumbs", "must be a whole number from 0 to 100")
    if (options.beforeSend !== undefined && typeof options.beforeSend !== "function") wrong("beforeSend", "must be a function")
    for (const [key, value] of Object.entries(tags)) {
      // Sentry, "Tags": keys of at most 32 characters (200 since 2024; the lower bound is safe), values of at most 200 in one line.
      if (!/^[a-zA-Z0-9_.:-]{1,32}$/.test(key)) wrong("tags", `has the key ${JSON.stringify(key.slice(0, 40))}: use at most 32 letters, digits, _ . : -`)
      else text(`tags.${key}`, value, 200)
    }
    const interval = Duration.fromInput(options.flushInterval ?? "2 seconds")
    const flushInterval = interval._tag === "Some" ? Duration.toMillis(interval.value) : NaN
    if (!(flushInterval >= 10 && flushInterval <= 86_400_000)) wrong("flushInterval", "must be a duration from 10 milliseconds to a day")
    const name = text("name", options.name ?? "sentry", 100)
    if (name === "") wrong("name", "is empty: leave it out or give the backend a name")
    const config = {
      name,
      environment: text("environment", options.environment ?? resource.env, 64),
      release: text("release", options.release ?? resource.version, 200),
      serverName: text("serverName", options.serverName ?? resource.instance, 255),
      service: resource.service,
      cluster: resource.cluster,
      tags,
      traces,
      spans: options.spans,
      logs,
      beforeSend: options.beforeSend,
      maxBreadcrumbs,
      flushInterval
    }
    return typeof dsn === "string" || problems.length > 0
      ? Effect.fail(new SentryConfigError({ problems }))
      : Effect.succeed({ ...config, dsn })
  })
