import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * On whose behalf the running fiber works: the shared context that spans, logs and errors of one request agree on. A field nobody
 * knows is `undefined`; all four are outside of requests.
 *
 * Who is asked for is often known only after the work began. Two fields may therefore be filled in later by `identify`: read them when
 * they are needed, and do not copy them.
 */
export interface RequestContext {
  /** Names the request in headers, logs and spans: 1 to 128 characters of `[A-Za-z0-9._-]`. */
  readonly requestId: string | undefined
  /** The authenticated user; at most 256 characters, no control characters. */
  readonly userId: string | undefined
  /** The customer in whose name the user acts; as `userId`. */
  readonly tenantId: string | undefined
  /** The part of the program that works, such as `billing`; as `userId`. */
  readonly module: string | undefined
}

/** Who a request turned out to come from. */
export interface Identity {
  readonly userId?: string | undefined
  readonly tenantId?: string | undefined
}

/**
 * The request the running fiber works for. `HttpInstrumentation` provides it for each HTTP request; other work provides its own with
 * `within`. It lives in the fiber's context, so that nothing of it is left when the request is over.
 *
 * @example
 * ```ts
 * const line = Effect.map(RequestContext, ({ requestId, userId }) => `${requestId}: asked by ${userId ?? "nobody we know"}`)
 * ```
 */
export const RequestContext: Context.Reference<RequestContext> = Context.Reference<RequestContext>(
  "@effect-observability/core/RequestContext",
  { defaultValue: () => nobody }
)

/** A request's own context, with room for who turns out to ask. Fields that are no request id are left out. */
export const make = (fields: Partial<RequestContext> = {}): RequestContext => {
  const request = new Request(isRequestId(fields.requestId) ? fields.requestId : undefined, plain(fields.module), undefined)
  identifyUnsafe(request, fields)
  return request
}

/** `make` of an id that `isRequestId` has seen, or with `isOurs` of one that was drawn here, and of a module's name from the program itself. */
export const makeUnsafe = (requestId: string, module: string | undefined, isOurs: boolean): RequestContext => {
  const request = new Request(requestId, module, undefined)
  request.isOurs = isOurs
  return request
}

/** Whether a request's id was drawn here, at random: there is no secret of anybody's in it. */
export const isOurs = (context: RequestContext): boolean => context instanceof Request && (context.whole ?? context).isOurs

/** Runs an effect in a request context of its own: a message's consumer, a scheduled job. Nothing of the one around remains. */
export const within = (fields: Partial<RequestContext>) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.provideService(self, RequestContext, make(fields)))

/** Runs an effect as a part of the program; request, user and tenant stay those around it. */
export const inModule = (module: string) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => Effect.provideService(self, RequestContext, part(fiber.getRef(RequestContext), module)))

/**
 * Tells the request at hand who asks, once authentication knows: from here on its spans (those still open too), log lines and errors say
 * so. A field that is left out stays as it was. Outside of requests it does nothing, since nobody would take it back.
 */
export const identify = (identity: Identity): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    identifyUnsafe(fiber.getRef(RequestContext), identity)
    return Effect.void
  })

/** `identify` without an effect, for the context of a request. */
export const identifyUnsafe = (context: RequestContext, { tenantId, userId }: Identity): void => {
  if (!(context instanceof Request)) return
  const whole = context.whole ?? context
  if (userId !== undefined) whole.user = plain(userId)
  if (tenantId !== undefined) whole.tenant = plain(tenantId)
}

/** Whether an id from outside may go into headers, logs and attributes as it is. */
export const isRequestId = (text: unknown): text is string => typeof text === "string" && harmless.test(text)

const harmless = /^[A-Za-z0-9._-]{1,128}$/

/** A request's context, or that of a part of the program that works for it: who asks is known by the whole. */
class Request implements RequestContext {
  readonly requestId: string | undefined
  readonly module: string | undefined
  readonly whole: Request | undefined
  isOurs = false
  user: string | undefined = undefined
  tenant: string | undefined = undefined

  constructor(requestId: string | undefined, module: string | undefined, whole: Request | undefined) {
    this.requestId = requestId
    this.module = module
    this.whole = whole
  }

  get userId(): string | undefined {
    return this.whole === undefined ? this.user : this.whole.user
  }

  get tenantId(): string | undefined {
    return this.whole === undefined ? this.tenant : this.whole.tenant
  }
}

const part = (context: RequestContext, module: string): RequestContext =>
  context instanceof Request
    ? new Request(context.requestId, plain(module), context.whole ?? context)
    : Object.freeze({ ...context, module: plain(module) })

/** What may stand in a log line and a label: text of bounded length, without control characters that a terminal or a parser obeys. */
const plain = (value: unknown): string | undefined => {
  if (typeof value !== "string" || value === "") return undefined
  const short = value.length <= maxLength ? value : value.slice(0, maxLength)
  return short.replace(control, "").toWellFormed()
}

const maxLength = 256
const control = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** The context outside of requests. */
export const nobody: RequestContext = Object.freeze({ requestId: undefined, userId: undefined, tenantId: undefined, module: undefined })
