import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { Request } from "../attributes.ts"

/** An Effect request in the words of `attributes.ts`; what costs something is read only when it is asked for. */
export class Incoming implements Request {
  readonly method: string
  readonly url: string
  readonly headers: Request["headers"]
  readonly scheme: "http" | "https"
  private readonly original: HttpServerRequest

  constructor(request: HttpServerRequest) {
    this.original = request
    this.method = request.method
    this.url = request.url
    this.headers = request.headers
    this.scheme = request.protocol ?? (isSecure(request) ? "https" : "http")
  }

  get client(): string | undefined {
    const { remoteAddress } = this.original
    return remoteAddress._tag === "Some" ? remoteAddress.value : undefined
  }

  /** Node's requests say it, web ones do not. */
  get protocol(): string | undefined {
    const { httpVersion } = this.original.source as { readonly httpVersion?: unknown }
    return typeof httpVersion !== "string" ? undefined : httpVersion === "2.0" ? "2" : httpVersion
  }
}

/** Without making the whole URL, where there is a socket that knows. */
const isSecure = (request: HttpServerRequest): boolean => {
  const { socket } = request.source as { readonly socket?: { readonly encrypted?: unknown } }
  return socket === undefined ? request.originalUrl.startsWith("https:") : socket.encrypted === true
}
