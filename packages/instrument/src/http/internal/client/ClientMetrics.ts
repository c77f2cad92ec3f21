import type { CounterHandle, MetricDefinition, MetricsRecorder, ObserverHandle, Telemetry } from "@effect-observability/core"
import * as HttpMetrics from "../../HttpMetrics.ts"
import { methodOf } from "../attributes.ts"

/** How a request that was sent came out. */
export interface Sent {
  readonly method: string
  readonly host: string
  readonly port: number
  /** `undefined` when there was no answer. */
  readonly status: number | undefined
  /** `undefined` when nothing went wrong. */
  readonly errorType: string | undefined
  readonly seconds: number
  /** How many times this request had been sent before, because it failed. */
  readonly resends: number
}

/** Targets whose series are remembered. More come from a program that calls whatever it is told: the recorder's own budget bounds those. */
const maxKnown = 1_000

/** The metrics of a client, by method and host of the target, and by what went wrong. */
export class ClientMetrics {
  private readonly recorder: MetricsRecorder["Service"]
  private readonly conventions: "standard" | "otel" | "both"
  private readonly observers = new Map<string, ObserverHandle>()
  private readonly counters = new Map<string, CounterHandle>()

  constructor(telemetry: Telemetry["Service"], recorder: MetricsRecorder["Service"]) {
    this.recorder = recorder
    this.conventions = telemetry.settings().metrics.conventions
  }

  record({ errorType, host, method: given, port, resends, seconds, status }: Sent): void {
    const { conventions } = this
    const method = methodOf(given)
    if (conventions !== "otel") {
      this.count(HttpMetrics.ClientRequestsTotal, { method, host, status: status === undefined ? "_error" : String(status) })
      this.observe(HttpMetrics.ClientDuration, { method, host }, seconds)
    }
    if (conventions !== "standard") {
      this.observe(HttpMetrics.OtelClientRequestDuration, {
        http_request_method: method,
        server_address: host,
        server_port: String(port),
        http_response_status_code: status === undefined ? "" : String(status),
        error_type: errorType ?? ""
      }, seconds)
    }
    // OpenTelemetry has the errors in its histogram, and no metric for what is sent again.
    if (errorType !== undefined && conventions !== "otel") this.count(HttpMetrics.ClientErrors, { method, host, error_type: errorType })
    if (resends > 0) this.count(HttpMetrics.ClientResends, { method, host, attempt: resends < 10 ? String(resends) : "10+" })
  }

  private count(metric: MetricDefinition.MetricDefinition.Counter<any>, labels: Readonly<Record<string, string>>): void {
    const key = keyOf(metric.name, labels)
    let handle = this.counters.get(key)
    if (handle === undefined) {
      handle = this.recorder.bind(metric, labels) as CounterHandle
      if (this.counters.size < maxKnown) this.counters.set(key, handle)
    }
    handle.incrementUnsafe()
  }

  private observe(metric: MetricDefinition.MetricDefinition.Histogram<any>, labels: Readonly<Record<string, string>>, value: number): void {
    const key = keyOf(metric.name, labels)
    let handle = this.observers.get(key)
    if (handle === undefined) {
      handle = this.recorder.bind(metric, labels) as ObserverHandle
      if (this.observers.size < maxKnown) this.observers.set(key, handle)
    }
    handle.observeUnsafe(value)
  }
}

/** Values in the order in which they are written above; none of them has a blank. */
const keyOf = (name: string, labels: Readonly<Record<string, string>>): string => {
  let key = name
  for (const label in labels) key += ` ${labels[label]}`
  return key
}
