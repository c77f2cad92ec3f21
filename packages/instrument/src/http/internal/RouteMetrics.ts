import {
  type CounterHandle,
  type MetricsRecorder,
  type ObserverHandle,
  StandardMetrics
} from "@effect-observability/core"

/**
 * The RED metrics of a server. Series are found once per method, route and status and then only written; the maps are bounded
 * by the routes of the program, since paths and methods of callers never become keys.
 */
export class RouteMetrics {
  private readonly recorder: MetricsRecorder["Service"]
  private readonly routes = new Map<string, Map<string, Endpoint>>()

  constructor(recorder: MetricsRecorder["Service"]) {
    this.recorder = recorder
  }

  /** `method` is a known one or `_OTHER`, `path` a route template or `_unmatched`. */
  endpoint(method: string, path: string): Endpoint {
    let methods = this.routes.get(path)
    if (methods === undefined) this.routes.set(path, methods = new Map())
    let endpoint = methods.get(method)
    if (endpoint === undefined) methods.set(method, endpoint = new Endpoint(this.recorder, method, path))
    return endpoint
  }
}

class Endpoint {
  readonly spanName: string
  private readonly recorder: MetricsRecorder["Service"]
  private readonly labels: { readonly method: string; readonly path: string }
  private readonly duration: ObserverHandle
  private readonly statuses = new Map<number, CounterHandle>()
  private requestSize: ObserverHandle | undefined = undefined
  private responseSize: ObserverHandle | undefined = undefined

  constructor(recorder: MetricsRecorder["Service"], method: string, path: string) {
    this.recorder = recorder
    this.labels = { method, path }
    this.duration = recorder.bind(StandardMetrics.HttpRequestDuration, this.labels)
    this.spanName = `${method === "_OTHER" ? "HTTP" : method} ${path}`
  }

  /** Sizes in bytes, `undefined` when they are not known. */
  record(status: number, seconds: number, requestBytes: number | undefined, responseBytes: number | undefined): void {
    let counter = this.statuses.get(status)
    if (counter === undefined) {
      counter = this.recorder.bind(StandardMetrics.HttpRequestsTotal, { ...this.labels, status: String(status) })
      this.statuses.set(status, counter)
    }
    counter.incrementUnsafe()
    this.duration.observeUnsafe(seconds)
    if (requestBytes !== undefined) {
      this.requestSize ??= this.recorder.bind(StandardMetrics.HttpRequestSize, this.labels)
      this.requestSize.observeUnsafe(requestBytes)
    }
    if (responseBytes !== undefined) {
      this.responseSize ??= this.recorder.bind(StandardMetrics.HttpResponseSize, this.labels)
      this.responseSize.observeUnsafe(responseBytes)
    }
  }
}

export type { Endpoint }
