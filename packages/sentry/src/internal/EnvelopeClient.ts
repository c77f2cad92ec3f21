import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Http from "node:http"
import * as Https from "node:https"
import { gzip } from "node:zlib"
import type { Dsn } from "./dsn.ts"
import { version } from "./version.ts"

export interface Answer {
  readonly status: number
  readonly limits: string | undefined
  /** The header as it came. */
  readonly retryAfter: string | undefined
  /** What it said, at most a few kilobytes. */
  readonly body: string
}

/** The server did not answer. */
export class NoAnswer extends Schema.TaggedClass<NoAnswer>()("NoAnswer", { message: Schema.String }) {}

const maxBody = 4_096
/** Node's own servers close idle connections after five seconds. */
const idleMillis = 4_000
const worthCompressing = 4_096

/** Posts envelopes on connections that are kept. Redirects are not followed: they would carry the data and its key elsewhere. */
export class EnvelopeClient {
  private readonly dsn: Dsn
  private readonly agent: Http.Agent

  constructor(dsn: Dsn) {
    this.dsn = dsn
    this.agent = new (dsn.url.protocol === "https:" ? Https : Http).Agent({ keepAlive: true, maxSockets: 2, timeout: idleMillis })
  }

  close(): void {
    this.agent.destroy()
  }

  /** `onSent` is called when all of the request has left: from then on Sentry may have it. An interruption breaks the request off. */
  readonly send = (envelope: string, onSent: () => void = () => {}): Effect.Effect<Answer, NoAnswer> =>
    Effect.flatMap(compressed(envelope), ({ body, encoding }) => this.post(body, encoding, onSent))

  private post(body: Buffer, encoding: string | undefined, onSent: () => void): Effect.Effect<Answer, NoAnswer> {
    return Effect.callback<Answer, NoAnswer>((resume) => {
      const { dsn } = this
      const failed = (error: unknown) => resume(Effect.fail(new NoAnswer({ message: `Sentry at ${dsn.label} gave no answer: ${causeOf(error)}` })))
      let current: Http.ClientRequest | undefined
      // Answered, or broken off by us: what happens to the connection then is no failure of the request, and it must not be sent again.
      let settled = false
      const attempt = (again: boolean): void => {
        const request = (dsn.url.protocol === "https:" ? Https : Http).request(dsn.url, {
          method: "POST",
          agent: this.agent,
          headers: {
            "content-type": "application/x-sentry-envelope",
            "content-length": body.length,
            "user-agent": `effect-observability/${version}`,
            "x-sentry-auth": `Sentry sentry_version=7, sentry_client=effect-observability/${version}, sentry_key=${Redacted.value(dsn.key)}`,
            ...(encoding === undefined ? {} : { "content-encoding": encoding })
          }
        })
        current = request
        request.on("finish", onSent)
        request.on("response", (response) => {
          settled = true
          const header = (name: string) => {
            const value = response.headers[name]
            return Array.isArray(value) ? value.join(",") : value
          }
          let text = ""
          let over = false
          const finish = () => {
            if (over) return
            over = true
            resume(Effect.succeed({
              status: response.statusCode ?? 0,
              limits: header("x-sentry-rate-limits"),
              retryAfter: header("retry-after"),
              body: text
            }))
          }
          response.setEncoding("utf8")
          response.on("data", (chunk: string) => {
            text = (text + chunk).slice(0, maxBody)
            if (text.length < maxBody) return
            finish()
            response.destroy()
          })
          for (const end of ["end", "error", "close"]) response.on(end, finish)
          // A success has been said already; an answer that stops here must not have the same spans sent twice.
          if (response.statusCode !== undefined && response.statusCode >= 200 && response.statusCode < 300) finish()
        })
        request.on("error", (error) => {
          if (settled) return
          // An idle connection was closed by the server in the moment it was used again: nobody has seen the request.
          if (again && request.reusedSocket && (error as NodeJS.ErrnoException).code === "ECONNRESET") attempt(false)
          else failed(error)
        })
        request.end(body)
      }
      try {
        attempt(true)
      } catch (error) {
        failed(error)
      }
      return Effect.sync(() => {
        settled = true
        current?.destroy()
      })
    })
  }
}

const compressed = (envelope: string): Effect.Effect<{ readonly body: Buffer; readonly encoding: string | undefined }> => {
  const plain = { body: Buffer.from(envelope), encoding: undefined }
  if (plain.body.length < worthCompressing) return Effect.succeed(plain)
  return Effect.callback((resume) => {
    gzip(plain.body, { level: 1 }, (error, body) => resume(Effect.succeed(error === null ? { body, encoding: "gzip" } : plain)))
  })
}

/** A code where there is one: messages of Node repeat what was asked. */
const causeOf = (error: unknown): string => {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  return typeof code === "string" ? code : error instanceof Error ? error.name : "unknown"
}
