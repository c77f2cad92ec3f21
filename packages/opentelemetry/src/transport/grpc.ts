import { Exporter } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Http2 from "node:http2"
import type { SignalName } from "../encoding/envelope.ts"
import { version } from "../internal/version.ts"
import { grpcVerdict, httpVerdict } from "./answers.ts"
import { causeOf } from "./causeOf.ts"
import type { Exchange } from "./exchange.ts"
import { secureOptions } from "./http.ts"
import { maxReplyBytes, type Verdict } from "./Reply.ts"
import { labelOf, type Target, userAgent } from "./Target.ts"

const services: Readonly<Record<SignalName, string>> = {
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
}

/**
 * OTLP over gRPC: unary calls (gRPC over HTTP2, "Requests", "Responses") on one connection that is made when it is needed. A call that is
 * broken off takes the connection with it, as the receiver behind it may be gone.
 */
export const make = (target: Target): Effect.Effect<Exchange, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(Effect.sync(() => new Connection(target)), (connection) => Effect.sync(() => connection.drop())),
    (connection) => (body, encoding, onWritten) =>
      Effect.callback<Verdict, Exporter.ExportError>((resume) => {
        const fail = (error: unknown) => resume(Effect.fail(Exporter.unavailable(`${labelOf(target)} gave no answer: ${causeOf(error)}`)))
        let session: Http2.ClientHttp2Session | undefined
        try {
          session = connection.session()
          call(session, target, framed(body, encoding === "gzip"), encoding, onWritten, (verdict) => resume(Effect.succeed(verdict)), (error) => fail(connection.failure(session!) ?? error))
        } catch (error) {
          if (session !== undefined) connection.drop(session)
          fail(error)
        }
        return Effect.sync(() => connection.drop(session))
      })
  )

/** The present connection to a target; a new one when that has ended. */
class Connection {
  private readonly target: Target
  private current: Http2.ClientHttp2Session | undefined
  private readonly failures = new WeakMap<Http2.ClientHttp2Session, unknown>()

  constructor(target: Target) {
    this.target = target
  }

  session(): Http2.ClientHttp2Session {
    const { current, target } = this
    if (current !== undefined && !current.closed && !current.destroyed) return current
    const session = Http2.connect(target.url.origin, target.url.protocol === "https:" ? secureOptions(target.tls) : {})
    // An idle connection keeps no program alive.
    session.unref()
    session.on("error", (error) => this.failures.set(session, error))
    session.on("goaway", () => this.forget(session))
    session.on("close", () => this.forget(session))
    return this.current = session
  }

  /** Why a connection broke; its calls only say that it did. */
  failure(session: Http2.ClientHttp2Session): unknown {
    return this.failures.get(session)
  }

  drop(session = this.current): void {
    if (session === undefined) return
    this.forget(session)
    session.destroy()
  }

  private forget(session: Http2.ClientHttp2Session): void {
    if (this.current === session) this.current = undefined
  }
}

const call = (
  session: Http2.ClientHttp2Session,
  target: Target,
  message: Uint8Array,
  encoding: "gzip" | "identity",
  onWritten: () => void,
  done: (verdict: Verdict) => void,
  fail: (error: unknown) => void
): void => {
  const headers: Http2.OutgoingHttpHeaders = {}
  for (const name of Object.keys(target.headers)) headers[name] = Redacted.value(target.headers[name]!)
  const stream = session.request({
    ...headers,
    ":method": "POST",
    ":path": services[target.signal],
    "content-type": "application/grpc",
    te: "trailers",
    "user-agent": userAgent(version),
    "grpc-encoding": encoding,
    "grpc-accept-encoding": "identity",
    "grpc-timeout": `${Math.min(99_999_999, Math.max(1, Math.ceil(target.timeout)))}m`
  })
  let status: Http2.IncomingHttpHeaders & Http2.IncomingHttpStatusHeader = {}
  const chunks: Array<Buffer> = []
  let size = 0
  stream.on("finish", () => {
    if (!stream.pending) onWritten()
  })
  stream.on("response", (received) => {
    status = received
  })
  stream.on("trailers", (trailers) => {
    status = { ...status, ...trailers }
  })
  stream.on("data", (chunk: Buffer) => {
    if (size < maxReplyBytes) chunks.push(chunk)
    size += chunk.length
    // A response this long is none; what it says of itself will not be waited for.
    if (size >= 2 * maxReplyBytes) stream.close(Http2.constants.NGHTTP2_CANCEL)
  })
  stream.on("error", fail)
  stream.on("close", () => {
    const verdict = judge(status, Buffer.concat(chunks).subarray(0, maxReplyBytes))
    if (verdict === undefined) fail(new Error(size === 0 ? "the connection was closed" : "the answer was cut off"))
    else done(verdict)
  })
  stream.end(message)
}

const judge = (headers: Http2.IncomingHttpHeaders & Http2.IncomingHttpStatusHeader, body: Uint8Array): Verdict | undefined => {
  const code = headers["grpc-status"]
  if (code !== undefined) {
    const details = headers["grpc-status-details-bin"]
    return grpcVerdict(
      Number(code),
      decoded(String(headers["grpc-message"] ?? "")),
      details === undefined ? undefined : Buffer.from(String(details), "base64"),
      messageOf(body)
    )
  }
  const status = headers[":status"]
  // Somebody between us and the receiver, or no gRPC at all.
  if (status === undefined || status === 200) return undefined
  return httpVerdict(status, (name) => header(headers[name]), body, { now: 0, json: false })
}

const header = (value: string | ReadonlyArray<string> | undefined): string | undefined => typeof value === "object" ? value[0] : value

/** A length-prefixed message: whether it is compressed, four bytes of length, the message. */
const framed = (message: Uint8Array, compressed: boolean): Uint8Array => {
  const out = Buffer.allocUnsafe(5 + message.length)
  out[0] = compressed ? 1 : 0
  out.writeUInt32BE(message.length, 1)
  out.set(message, 5)
  return out
}

/** The first message of a body; a compressed one, which nobody asked for, says nothing. */
const messageOf = (body: Uint8Array): Uint8Array => body[0] === 0 ? body.subarray(5) : new Uint8Array(0)

/** `grpc-message` is percent-encoded. */
const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
