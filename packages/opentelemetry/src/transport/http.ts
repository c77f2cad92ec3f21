import { Exporter } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import type { SecureContextOptions } from "node:tls"
import { version } from "../internal/version.ts"
import { httpVerdict } from "./answers.ts"
import { causeOf } from "./causeOf.ts"
import type { Exchange } from "./exchange.ts"
import { maxReplyBytes, type Verdict } from "./Reply.ts"
import { labelOf, type Target, userAgent } from "./Target.ts"

/** Longest time an idle connection is kept: below the 5 seconds after which Node's own servers close theirs. */
const idleMillis = 4_000

/** OTLP over HTTP/1.1 on connections that are kept open. Redirects are not followed: they would carry the data and its headers elsewhere. */
export const make = (target: Target): Effect.Effect<Exchange, never, Scope.Scope> =>
  Effect.map(
    Effect.all([
      Clock.Clock,
      Effect.acquireRelease(Effect.sync(() => agentOf(target)), (agent) => Effect.sync(() => agent.destroy()))
    ]),
    ([clock, agent]) => (body, encoding, onWritten) =>
      Effect.callback<Verdict, Exporter.ExportError>((resume) => {
        const json = target.protocol === "http/json"
        const headers: Http.OutgoingHttpHeaders = { "user-agent": userAgent(version) }
        for (const name of Object.keys(target.headers)) headers[name] = Redacted.value(target.headers[name]!)
        headers["content-type"] = json ? "application/json" : "application/x-protobuf"
        headers["content-length"] = body.length
        if (encoding === "gzip") headers["content-encoding"] = "gzip"
        let current: Http.ClientRequest | undefined
        // Answered, or broken off by us: what happens to the connection then is no failure of the request, and it must not be sent again.
        let over = false
        const attempt = (again: boolean): void => {
          const request = (target.url.protocol === "https:" ? Https : Http).request(target.url, { method: "POST", agent, headers })
          current = request
          request.on("finish", onWritten)
          request.on("response", (response) => {
            over = true
            read(response, (read) => {
              const header = (name: string) => {
                const value = response.headers[name]
                return Array.isArray(value) ? value[0] : value
              }
              resume(Effect.succeed(httpVerdict(response.statusCode ?? 0, header, read, { now: clock.currentTimeMillisUnsafe(), json })))
            })
          })
          request.on("error", (error) => {
            if (over) return
            // The receiver closed a connection that had been idle, in the moment it was used again: nobody has seen the request.
            if (again && request.reusedSocket && (error as NodeJS.ErrnoException).code === "ECONNRESET") attempt(false)
            else resume(Effect.fail(Exporter.unavailable(`${labelOf(target)} gave no answer: ${causeOf(error)}`)))
          })
          request.end(body)
        }
        try {
          attempt(true)
        } catch (error) {
          resume(Effect.fail(Exporter.unavailable(`${labelOf(target)} cannot be asked: ${causeOf(error)}`)))
        }
        return Effect.sync(() => {
          over = true
          current?.destroy()
        })
      })
  )

/** What was read of a body when it ended, was cut off, or was longer than anybody needs. */
const read = (response: Http.IncomingMessage, done: (body: Uint8Array) => void): void => {
  const chunks: Array<Buffer> = []
  let size = 0
  let over = false
  const finish = () => {
    if (over) return
    over = true
    done(Buffer.concat(chunks).subarray(0, maxReplyBytes))
  }
  response.on("data", (chunk: Buffer) => {
    if (over) return
    chunks.push(chunk)
    size += chunk.length
    if (size < maxReplyBytes) return
    finish()
    response.destroy()
  })
  response.on("end", finish)
  response.on("error", finish)
  response.on("close", finish)
}

const agentOf = ({ tls, url }: Target): Http.Agent => {
  const common = { keepAlive: true, maxSockets: 4, timeout: idleMillis }
  if (url.protocol !== "https:") return new Http.Agent(common)
  return new Https.Agent({ ...common, ...secureOptions(tls) })
}

/** Node's words for our TLS options. */
export const secureOptions = ({ ca, cert, key, serverName }: Target["tls"]): SecureContextOptions & { readonly servername?: string } => ({
  minVersion: "TLSv1.2",
  ...(ca === undefined ? {} : { ca: typeof ca === "string" ? ca : [...ca] }),
  ...(cert === undefined ? {} : { cert }),
  ...(key === undefined ? {} : { key: Redacted.value(key) }),
  ...(serverName === undefined ? {} : { servername: serverName })
})
