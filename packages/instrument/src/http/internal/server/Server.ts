import { type MetricsRecorder, type PropagationRules, propagationRules, Redaction, type Telemetry } from "@effect-observability/core"
import { isIgnored } from "../paths.ts"
import type { CommonOptions } from "./Options.ts"
import { RouteMetrics } from "./RouteMetrics.ts"

/** What the requests of one server share. */
export class Server {
  readonly metrics: RouteMetrics
  readonly trustIncoming: boolean
  readonly accessLog: boolean | undefined
  readonly module: string | undefined
  private readonly telemetry: Telemetry["Service"]
  private redactor: { readonly of: object; readonly use: Redaction.Redactor } | undefined

  constructor(telemetry: Telemetry["Service"], recorder: MetricsRecorder["Service"], options: CommonOptions) {
    this.telemetry = telemetry
    this.metrics = new RouteMetrics(recorder, telemetry.settings().metrics.conventions)
    this.trustIncoming = options.trustIncoming ?? true
    this.accessLog = options.accessLog
    this.module = options.module
  }

  get env(): string {
    return this.telemetry.resource.env
  }

  ignores(path: string): boolean {
    return isIgnored(path, this.telemetry.settings().tracing.ignoredPaths)
  }

  rules(): PropagationRules {
    return propagationRules(this.telemetry.settings())
  }

  /** A value as a log may keep it. */
  redacted(name: string, value: string): unknown {
    const { redaction } = this.telemetry.settings()
    if (this.redactor?.of !== redaction) this.redactor = { of: redaction, use: Redaction.make(redaction) }
    return this.redactor.use.value(name, value)
  }
}
