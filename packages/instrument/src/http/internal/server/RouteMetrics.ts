import { type CounterHandle, type MetricsRecorder, type ObserverHandle, OtelMetrics, StandardMetrics } from "@effect-observability/core"
import * as HttpMetrics from "../../HttpMetrics.ts"

type Conventions = "standard" | "otel" | "both"

/**
 * The metrics of a server. Series are found once per method, route and status and then only written; the maps are bounded by the routes
 * of the program, since paths and methods of callers never become keys.
 */
export class RouteMetrics {
  private readonly recorder: MetricsRecorder["Service"]
  private readonly conventions: Conventions
  private readonly routes = new Map<string, Map<string, Endpoint>>()
  private readonly active = new Map<string, ReadonlyArray<CounterHandle>>()

  constructor(recorder: MetricsRecorder["Service"], conventions: Conventions) {
    this.recorder = recorder
    this.conventions = conventions
  }

  /** `method` is a known one or `_OTHER`, `path` a route template or `_unmatched`. */
  endpoint(method: string, path: string): Endpoint {
    let methods = this.routes.get(path)
    if (methods === undefined) this.routes.set(path, methods = new Map())
    let endpoint = methods.get(method)
    if (endpoint === undefined) methods.set(method, endpoint = new Endpoint(this.recorder, this.conventions, method, path))
    return endpoint
  }

  /** Where the requests of a method are counted while they are answered: up when one comes, down when it is done. */
  inFlight(method: string, scheme: "http" | "https"): ReadonlyArray<CounterHandle> {
    const key = scheme === "http" ? method : secure(method)
    let handles = this.active.get(key)
    if (handles === undefined) {
      const { conventions, recorder } = this
      handles = [
        ...(conventions === "otel" ? [] : [recorder.bind(HttpMetrics.RequestsInFlight, { method })]),
        ...(conventions === "standard" ? [] : [recorder.bind(HttpMetrics.OtelActiveRequests, { http_request_method: method, url_scheme: scheme })])
      ]
      this.active.set(key, handles)
    }
    return handles
  }
}

const secure = (method: string): string => `${method} over TLS`

class Endpoint {
  readonly spanName: string
  private readonly recorder: MetricsRecorder["Service"]
  private readonly conventions: Conventions
  private readonly method: string
  private readonly path: string
  private readonly statuses = new Map<number, Answers>()

  constructor(recorder: MetricsRecorder["Service"], conventions: Conventions, method: string, path: string) {
    this.recorder = recorder
    this.conventions = conventions
    this.method = method
    this.path = path
    this.spanName = `${method === "_OTHER" ? "HTTP" : method} ${path}`
  }

  /** Sizes in bytes, `undefined` when they are not known. */
  record(status: number, seconds: number, requestBytes: number | undefined, responseBytes: number | undefined): void {
    let answers = this.statuses.get(status)
    if (answers === undefined) this.statuses.set(status, answers = this.answersOf(String(status)))
    answers.standard?.record(seconds, requestBytes, responseBytes)
    answers.otel?.record(seconds, requestBytes, responseBytes)
  }

  private answersOf(status: string): Answers {
    const { conventions, method, path, recorder } = this
    const labels = { method, path }
    const otel = { http_request_method: method, http_response_status_code: status, http_route: path }
    const { HttpRequestDuration, HttpRequestSize, HttpRequestsTotal, HttpResponseSize } = StandardMetrics
    const { HttpServerRequestBodySize, HttpServerRequestDuration, HttpServerResponseBodySize } = OtelMetrics
    return {
      standard: conventions === "otel" ? undefined : new Series(
        recorder.bind(HttpRequestsTotal, { method, path, status }),
        recorder.bind(HttpRequestDuration, labels),
        recorder.bind(HttpRequestSize, labels),
        recorder.bind(HttpResponseSize, labels)
      ),
      otel: conventions === "standard" ? undefined : new Series(
        undefined,
        recorder.bind(HttpServerRequestDuration, otel),
        recorder.bind(HttpServerRequestBodySize, otel),
        recorder.bind(HttpServerResponseBodySize, otel)
      )
    }
  }
}

/** The series of one status, by each convention that is recorded. */
interface Answers {
  readonly standard: Series | undefined
  readonly otel: Series | undefined
}

class Series {
  private readonly total: CounterHandle | undefined
  private readonly duration: ObserverHandle
  private readonly requestSize: ObserverHandle
  private readonly responseSize: ObserverHandle

  constructor(total: CounterHandle | undefined, duration: ObserverHandle, requestSize: ObserverHandle, responseSize: ObserverHandle) {
    this.total = total
    this.duration = duration
    this.requestSize = requestSize
    this.responseSize = responseSize
  }

  record(seconds: number, requestBytes: number | undefined, responseBytes: number | undefined): void {
    this.total?.incrementUnsafe()
    this.duration.observeUnsafe(seconds)
    if (requestBytes !== undefined) this.requestSize.observeUnsafe(requestBytes)
    if (responseBytes !== undefined) this.responseSize.observeUnsafe(responseBytes)
  }
}

export type { Endpoint }
