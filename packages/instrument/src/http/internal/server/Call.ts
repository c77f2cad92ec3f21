import { Requests } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerError from "effect/http/HttpServerError"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { Request } from "../attributes.ts"
import { line } from "./accessLog.ts"
import { bytesOf, counted, countReceived, isStreamed, type Size, sizeOf, withHeaders } from "./bodies.ts"
import { isLogged, withoutEffectsLine } from "./effects.ts"
import { answered, Exchange } from "./Exchange.ts"
import { cover } from "./mark.ts"
import type { Authenticate } from "./Options.ts"
import type { Server } from "./Server.ts"

type Response = HttpServerResponse.HttpServerResponse
type App<E, R> = Effect.Effect<Response, E, R>

export const wantsLine = (server: Server, fiber: Fiber.Fiber<unknown, unknown>): boolean => server.accessLog ?? isLogged(fiber)

/**
 * One request of an Effect server. It hears of two things: the response just before it is sent, whoever made it, and the end of the app it
 * wraps. Around a router's routes the end comes first; around a whole server, where the app sends too, the response does.
 */
export class Call extends Exchange {
  private readonly fiber: Fiber.Fiber<unknown, unknown>
  private readonly original: HttpServerRequest.HttpServerRequest
  private readonly logged: boolean
  private context: Context.Context<never>
  private response: Response | undefined = undefined
  private size: Size = undefined
  private exit: Exit.Exit<Response, unknown> | undefined = undefined
  private matched: string | undefined = undefined
  /** Whether the request's scope will tell when all is sent. */
  private awaited = false
  private announced = false

  constructor(server: Server, fiber: Fiber.Fiber<unknown, unknown>, request: HttpServerRequest.HttpServerRequest) {
    const source = request.source as NodeSource
    const headers = headersOf(request, source)
    super(server, fiber, request.method, request.url, headers, schemeOf(request, source))
    this.fiber = fiber
    this.original = request
    this.context = fiber.context
    this.logged = wantsLine(server, fiber)
    cover(source)
    if (headers["transfer-encoding"] !== undefined) this.received = countReceived(source)
  }

  get client(): string | undefined {
    const { remoteAddress } = this.original
    return remoteAddress._tag === "Some" ? remoteAddress.value : undefined
  }

  /** Node's requests say it, web ones do not. */
  get protocol(): string | undefined {
    const { httpVersion } = this.original.source as NodeSource
    return httpVersion === "2.0" ? "2" : httpVersion
  }

  run<E, R>(app: App<E, R>, authenticate: Authenticate<HttpServerRequest.HttpServerRequest> | undefined): App<E, R> {
    const { fiber } = this
    // Up to its route a request is not interruptible, and what follows may be done at once. Otherwise the exit hook has to be in place first.
    return authenticate === undefined && isUninterruptible(fiber) ? this.enter(app) : Effect.withFiber(() => this.authenticated(app, authenticate))
  }

  private authenticated<E, R>(app: App<E, R>, authenticate: Authenticate<HttpServerRequest.HttpServerRequest> | undefined): App<E, R> {
    if (authenticate === undefined) return this.enter(app)
    this.announce()
    return named(authenticate, this.original, (identity) => {
      Requests.identifyUnsafe(this.about, identity)
      return this.enter(app)
    })
  }

  /** Before anything can end the request. */
  private announce(): void {
    if (this.announced) return
    this.announced = true
    this.arrive()
    HttpEffect.appendPreResponseHandlerUnsafe(this.fiber.context, (_request, response) => this.sending(response))
  }

  private enter<E, R>(app: App<E, R>): App<E, R> {
    const { fiber } = this
    this.announce()
    // Left in place when the handler is done: sending the response and reporting its error still belong to the request.
    this.context = this.begin(fiber)
    fiber.setContext(this.context)
    return this.logged ? withoutEffectsLine(app) : app
  }

  /** The response as it goes out. */
  private sending(response: Response): Effect.Effect<Response> {
    const { original } = this
    this.response = response
    this.matched ??= this.route()
    const sent = withHeaders(response, this.about.requestId!, this.traceresponse)
    if (isStreamed(original, response)) {
      const [body, size] = counted(original, sent)
      this.size = size
      return Effect.as(this.awaitScope(), body)
    }
    this.size = sizeOf(original, response)
    if (this.logged) return Effect.as(this.awaitScope(), sent)
    if (this.exit !== undefined && !this.awaited) this.settle(Exit.void)
    return Effect.succeed(sent)
  }

  exited(exit: Exit.Exit<Response, unknown>): Effect.Effect<void> | undefined {
    this.exit = exit
    this.matched ??= this.route()
    if (this.awaited) return undefined
    if (this.response === undefined && !isServed(this.context)) this.unsent(exit)
    if (this.response !== undefined) {
      this.settle(Exit.void)
      return undefined
    }
    // A failure becomes a response only outside; should that go wrong too, the request still ends.
    return exit._tag === "Failure" ? this.awaitScope() : undefined
  }

  /** An app that no server runs, such as in a test: what it returns is all there will be. */
  private unsent(exit: Exit.Exit<Response, unknown>): void {
    this.response ??= exit._tag === "Success" ? exit.value : stripped(exit.cause)[0]
    this.size ??= sizeOf(this.original, this.response)
  }

  /** The request's scope closes when the response was sent, or when the client left. */
  private awaitScope(): Effect.Effect<void> {
    const scope = Context.getOrUndefined(this.context, Scope.Scope)
    if (scope === undefined || this.awaited) return Effect.void
    this.awaited = true
    // In the request's own context, which its server has left by then: what is measured has the span for its exemplar.
    return Scope.addFinalizerExit(scope, (sent) => Effect.provideContext(Effect.suspend(() => this.settle(sent) ?? Effect.void), this.context))
  }

  /** Everything was sent, or will not be any more. */
  private settle(sent: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined {
    const { exit } = this
    const cause = exit?._tag === "Failure" ? exit.cause : sent._tag === "Failure" ? sent.cause : undefined
    const abortedBy = cause === undefined ? undefined : aborter(cause)
    const status = this.status(abortedBy)
    const responseBytes = bytesOf(this.size)
    const route = this.matched
    if (abortedBy !== undefined && this.span?.sampled === true) this.span.attribute("http.aborted_by", abortedBy)
    const seconds = this.finish(status, route, responseBytes, cause === undefined ? answered(status) : failed(cause, status, exit?._tag === "Success"))
    if (!this.logged || seconds === undefined) return undefined
    return line(this, { status, route, seconds, responseBytes, abortedBy })
  }

  /** Of what was sent; of a request that never came so far, what Effect's server makes of its end. */
  private status(abortedBy: "client" | "server" | undefined): number {
    const { upgradedResponse } = this.original as { readonly upgradedResponse?: Response | undefined }
    const sent = upgradedResponse ?? this.response
    return sent !== undefined ? sent.status : abortedBy === "client" ? 499 : abortedBy === "server" ? 503 : 500
  }

  /**
   * The template of the matched route. The router leaves it in the fiber's context; when a middleware moved the handler to
   * another fiber (a timeout does), what the router wrote on the span still tells.
   */
  private route(): string | undefined {
    const matched = Context.getOrUndefined(this.fiber.context, HttpRouter.RouteContext)
    if (matched !== undefined) return matched.route.path
    const written = this.span?.attributes.get("http.route")
    return typeof written === "string" ? written : undefined
  }
}

/** Runs on with whoever the hook names; nobody when it fails in any way. */
const named = <Request, A, E, R>(
  authenticate: Authenticate<Request>,
  request: Request,
  then: (identity: Requests.Identity) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  let identity: ReturnType<typeof authenticate>
  try {
    identity = authenticate(request)
  } catch {
    identity = undefined
  }
  if (!Effect.isEffect(identity)) return then(identity ?? {})
  // A request is not interruptible before its route; a client that leaves meanwhile is not waited for.
  const asked = Effect.catchCause(Effect.interruptible(identity), (cause) =>
    Cause.hasInterruptsOnly(cause) ? Effect.failCause(Cause.fromReasons<never>(cause.reasons.filter(Cause.isInterruptReason))) : Effect.undefined)
  return Effect.flatMap(asked, (found) => then(found ?? {}))
}

/** `begun` says that the response was on its way when it failed: its status then tells nothing about its end. */
const failed = (cause: Cause.Cause<unknown>, status: number, begun: boolean): Exit.Exit<unknown, unknown> => {
  const [, reason] = stripped(cause)
  const rest = Option.getOrUndefined(reason)
  // A client that leaves interrupts its request: no error of the server's.
  if (rest === undefined) return answered(status)
  if (Cause.hasInterruptsOnly(rest)) return status >= 500 && !begun ? answered(status) : Exit.failCause(rest)
  return begun || status >= 500 ? Exit.failCause(rest) : Exit.void
}

/** What Effect makes of a cause: its response, and what is left of it without. An error that throws when it is looked at is a 500 like any other. */
const stripped = <E>(cause: Cause.Cause<E>): readonly [response: Response, rest: Option.Option<Cause.Cause<E>>] => {
  try {
    return HttpServerError.causeResponseStripped(cause)
  } catch {
    return [HttpServerResponse.empty({ status: 500 }), Option.some(cause)]
  }
}

const aborter = (cause: Cause.Cause<unknown>): "client" | "server" | undefined => {
  const rest = Option.getOrUndefined(stripped(cause)[1])
  if (rest === undefined || !Cause.hasInterruptsOnly(rest)) return undefined
  return rest.reasons.some((reason) => reason.annotations.has(HttpServerError.ClientAbort.key)) ? "client" : "server"
}

/** What Node's requests have and web ones have not, by structure. */
interface NodeSource {
  readonly headers?: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly httpVersion?: string
  readonly httpVersionMajor?: number
  readonly socket?: { readonly encrypted?: unknown }
}

/** Node's own where they stand for the request: Effect's copy costs more than all that is looked at here. */
const headersOf = (request: HttpServerRequest.HttpServerRequest, source: NodeSource): Request["headers"] =>
  source.httpVersionMajor === 1 && source.headers !== undefined && (request as { readonly headersOverride?: unknown }).headersOverride === undefined
    ? source.headers
    : request.headers

/** Without making the whole URL, where there is a socket that knows. */
const schemeOf = (request: HttpServerRequest.HttpServerRequest, { httpVersionMajor, socket }: NodeSource): "http" | "https" =>
  request.protocol ?? (httpVersionMajor === 1 && socket !== undefined
    ? socket.encrypted === true ? "https" : "http"
    : request.originalUrl.startsWith("https:") ? "https" : "http")

/** Effect's own state of a request that a server answers: who has none will not hear of a response that is sent. */
const RequestState = Context.Service<unknown>("effect/http/HttpEffect/CurrentRequestState")
const isServed = (context: Context.Context<never>): boolean => Context.getOrUndefined(context, RequestState) !== undefined

const isUninterruptible = (fiber: object): boolean => (fiber as { readonly interruptible?: unknown }).interruptible === false
