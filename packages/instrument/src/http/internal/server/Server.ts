import { type MetricsRecorder, propagationRules, type Propagator, Redaction, type Telemetry } from "@effect-observability/core"
import type { Request } from "../attributes.ts"
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
  private readonly carrier = new Carrier()
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

  /** The trace and the baggage a request brought, in the formats of the settings. */
  incoming(headers: Request["headers"]): Propagator.Incoming {
    const { carrier } = this
    carrier.headers = headers
    const found = propagationRules(this.telemetry.settings()).propagator.extract(carrier)
    carrier.headers = nothing
    return found
  }

  /** A value as a log may keep it. */
  redacted(name: string, value: string): unknown {
    const { redaction } = this.telemetry.settings()
    if (this.redactor?.of !== redaction) this.redactor = { of: redaction, use: Redaction.make(redaction) }
    return this.redactor.use.value(name, value)
  }
}

const nothing: Request["headers"] = {}

/** Headers as a map: their names are in lower case already, so that one look answers for each. One is enough: it is read in one step. */
class Carrier {
  readonly set = undefined
  headers: Request["headers"] = nothing

  get(name: string): string | ReadonlyArray<string> | undefined {
    return this.headers[name]
  }
}
