import { type ErrorVerdict, type ReportedError, RequestContext, Telemetry } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as ProblemDetails from "effect/http/ProblemDetails"
import type * as Layer from "effect/Layer"

type Response = HttpServerResponse.HttpServerResponse

/** The header with the error's id. */
export const header = "x-error-id"

/**
 * Answers failed requests with problem details (RFC 9457) and reports what failed, once: the id is in the body (`error_id`, and as
 * `instance`), the header `x-error-id`, the log line, the server span and every backend.
 *
 * The body says nothing about the program: no message, stack, SQL, path or host, only the status, its standard phrase, and what the policy
 * has for the public (`ErrorVerdict.publicMessage`). A response that the error itself gives (`HttpServerRespondable`) is kept when it has a
 * body. What ends with a status below 500 is counted, not reported, unless the policy says otherwise; interruptions are left as they are.
 *
 * Give it to the routes inside of `HttpInstrumentation.layer`.
 *
 * @example
 * ```ts
 * const Server = HttpRouter.serve(Routes.pipe(Layer.provide(HttpErrors.layer), Layer.provide(HttpInstrumentation.layer)))
 * ```
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | Telemetry> = HttpRouter.middleware(
  Effect.map(Telemetry, (telemetry) => make(telemetry)),
  { global: true }
)

/** The same around any app. */
export const make = (telemetry: Telemetry["Service"]) =>
<E, R>(app: Effect.Effect<Response, E, R>): Effect.Effect<Response, E, R> =>
  Effect.catchCause(app, (cause) => {
    // A client that left, a server that stops, or a response that was thrown: no error.
    if (!cause.reasons.some((reason) => reason._tag === "Fail" || (reason._tag === "Die" && !isResponse(reason.defect)))) {
      return Effect.failCause(cause)
    }
    return Effect.flatMap(responseOf(cause), (response) =>
      Effect.withFiber((fiber) => Effect.succeed(answer(telemetry, fiber, cause, response))))
  })

/** What Effect would answer. An error that throws when it is looked at, or whose own response fails, is a 500 like any other. */
const responseOf = (cause: Cause.Cause<unknown>): Effect.Effect<Response> =>
  Effect.suspend(() => HttpServerError.causeResponse(cause)).pipe(
    Effect.map(([response]) => response),
    Effect.catchDefect(() => Effect.succeed(HttpServerResponse.empty({ status: 500 })))
  )

const isResponse = (defect: unknown): boolean => {
  try {
    return HttpServerResponse.isHttpServerResponse(defect)
  } catch {
    return false
  }
}

const answer = (telemetry: Telemetry["Service"], fiber: Fiber.Fiber<unknown, unknown>, cause: Cause.Cause<unknown>, response: Response): Response => {
  const fallback: ErrorVerdict = { status: response.status }
  const reported = telemetry.reportUnsafe(cause, fiber, { handled: false, fallback })
  const status = reported?.verdict.status ?? response.status
  if (reported?.data !== undefined && status >= 500) describe(fiber, reported)
  if (response.body._tag !== "Empty" && status === response.status) {
    return reported === undefined ? response : HttpServerResponse.setHeader(response, header, reported.errorId)
  }
  return HttpServerResponse.setHeaders(
    ProblemDetails.toResponse(problem({
      status,
      detail: reported?.verdict.publicMessage,
      errorId: reported?.errorId,
      requestId: fiber.getRef(RequestContext).requestId
    })),
    { ...safeHeaders(response), "cache-control": "no-store", ...(reported === undefined ? {} : { [header]: reported.errorId }) }
  )
}

/** Those that go with a status: how to log in, when to come again. */
const safeHeaders = ({ headers }: Response): Record<string, string> =>
  Object.fromEntries(["www-authenticate", "retry-after", "allow"].flatMap((name) => headers[name] === undefined ? [] : [[name, headers[name]]]))

/** Writes the error on the server's span: it ends with a response, not with the failure. */
const describe = (fiber: Fiber.Fiber<unknown, unknown>, { data }: ReportedError): void => {
  const span = fiber.cache.span
  if (span?._tag !== "Span" || data === undefined) return
  span.attribute("error.type", data.errorType)
  span.event("exception", fiber.getRef(Clock.Clock).currentTimeNanosUnsafe(), {
    "exception.type": data.errorType,
    "exception.message": data.message,
    "effect.cause": data.kind === "defect" ? "die" : "fail",
    ...(data.stack === undefined ? {} : { "exception.stacktrace": data.stack })
  })
}

/** The body of a failed request (RFC 9457, section 3): `error_id` and `request_id` are members of our own. */
export const problem = ({ detail, errorId, requestId, status }: {
  readonly status: number
  readonly detail?: string | undefined
  readonly errorId?: string | undefined
  readonly requestId?: string | undefined
}): ProblemDetails.ProblemDetails => ({
  // Without a type of its own a problem is its status (section 4.2.1).
  type: ProblemDetails.blankType,
  status,
  title: phrases.get(status) ?? (status >= 500 ? "Internal Server Error" : "Bad Request"),
  ...(detail === undefined ? {} : { detail }),
  ...(errorId === undefined ? {} : { instance: `urn:uuid:${asUuid(errorId)}`, error_id: errorId }),
  ...(requestId === undefined ? {} : { request_id: requestId })
})

const asUuid = (id: string): string => `${id.slice(0, 8)}-${id.slice(8, 12)}-${id.slice(12, 16)}-${id.slice(16, 20)}-${id.slice(20)}`

/** RFC 9110, section 15, and the registry of status codes. */
const phrases: ReadonlyMap<number, string> = new Map([
  [400, "Bad Request"], [401, "Unauthorized"], [402, "Payment Required"], [403, "Forbidden"], [404, "Not Found"], [405, "Method Not Allowed"],
  [406, "Not Acceptable"], [407, "Proxy Authentication Required"], [408, "Request Timeout"], [409, "Conflict"], [410, "Gone"],
  [411, "Length Required"], [412, "Precondition Failed"], [413, "Content Too Large"], [414, "URI Too Long"], [415, "Unsupported Media Type"],
  [416, "Range Not Satisfiable"], [417, "Expectation Failed"], [421, "Misdirected Request"], [422, "Unprocessable Content"], [423, "Locked"],
  [424, "Failed Dependency"], [425, "Too Early"], [426, "Upgrade Required"], [428, "Precondition Required"], [429, "Too Many Requests"],
  [431, "Request Header Fields Too Large"], [451, "Unavailable For Legal Reasons"], [500, "Internal Server Error"], [501, "Not Implemented"],
  [502, "Bad Gateway"], [503, "Service Unavailable"], [504, "Gateway Timeout"], [505, "HTTP Version Not Supported"], [507, "Insufficient Storage"],
  [508, "Loop Detected"], [511, "Network Authentication Required"]
])
