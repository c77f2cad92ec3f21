import { type CounterHandle, type MetricsRecorder, type ObserverHandle, OtelMetrics, StandardMetrics } from "@effect-observability/core"

type Conventions = "standard" | "otel" | "both"

/**
 * The RED metrics of a server. Series are found once per method, route and status and then only written; the maps are bounded
 * by the routes of the program, since paths and methods of callers never become keys.
 */
export class RouteMetrics {
  private readonly recorder: MetricsRecorder["Service"]
  private readonly conventions: Conventions
  private readonly routes = new Map<string, Map<string, Endpoint>>()

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
}

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
    answers.total?.incrementUnsafe()
    for (const duration of answers.durations) duration.observeUnsafe(seconds)
    if (requestBytes !== undefined) {
      answers.requestSizes ??= this.bind(String(status), StandardMetrics.HttpRequestSize, OtelMetrics.HttpServerRequestBodySize)
      for (const size of answers.requestSizes) size.observeUnsafe(requestBytes)
    }
    if (responseBytes !== undefined) {
      answers.responseSizes ??= this.bind(String(status), StandardMetrics.HttpResponseSize, OtelMetrics.HttpServerResponseBodySize)
      for (const size of answers.responseSizes) size.observeUnsafe(responseBytes)
    }
  }

  private answersOf(status: string): Answers {
    const { conventions, method, path, recorder } = this
    return {
      total: conventions === "otel" ? undefined : recorder.bind(StandardMetrics.HttpRequestsTotal, { method, path, status }),
      durations: this.bind(status, StandardMetrics.HttpRequestDuration, OtelMetrics.HttpServerRequestDuration),
      requestSizes: undefined,
      responseSizes: undefined
    }
  }

  private bind(
    status: string,
    standard: typeof StandardMetrics.HttpRequestDuration,
    otel: typeof OtelMetrics.HttpServerRequestDuration
  ): ReadonlyArray<ObserverHandle> {
    const { conventions, method, path, recorder } = this
    const handles: Array<ObserverHandle> = []
    if (conventions !== "otel") handles.push(recorder.bind(standard, { method, path }))
    if (conventions !== "standard") handles.push(recorder.bind(otel, { http_request_method: method, http_response_status_code: status, http_route: path }))
    return handles
  }
}

/** The series of one status, by each convention that is recorded. */
interface Answers {
  readonly total: CounterHandle | undefined
  readonly durations: ReadonlyArray<ObserverHandle>
  requestSizes: ReadonlyArray<ObserverHandle> | undefined
  responseSizes: ReadonlyArray<ObserverHandle> | undefined
}

export type { Endpoint }
