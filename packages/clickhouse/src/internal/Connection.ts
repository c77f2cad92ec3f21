import { Exporter } from "@effect-observability/core"
import { ClickHouseLogLevel, createClient } from "@clickhouse/client"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Readable } from "node:stream"
import type { Target } from "../ClickHouseConfig.ts"
import { type Answer, ClickHouseFailure } from "./errors.ts"

export interface Statement {
  readonly sql: string
  /** Values of `{name:Type}` in it. */
  readonly parameters?: Readonly<Record<string, unknown>>
  /** Rows of an INSERT, in pieces. */
  readonly body?: ReadonlyArray<Uint8Array>
  readonly settings?: Readonly<Record<string, string | number>>
  /** Bytes of the answer that are read before it is cut off. */
  readonly limit?: number
}

/** Statements over HTTP, by the official client. */
export interface Connection {
  /** The answer's body. Never followed elsewhere, never read for longer than `limit`; interrupting it aborts the request. */
  readonly ask: (statement: Statement) => Effect.Effect<string, ClickHouseFailure>
}

/** What an answer without rows may take: an error message. */
const shortAnswer = 64 * 1024
/** Characters of a message that are shown. */
const shown = 300

type Client = ReturnType<typeof createClient>

export const make = (target: Target, options: { readonly connections: number }): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => createClient({
        url: target.url,
        username: target.username,
        password: Redacted.value(target.password),
        database: "default",
        application: "effect-observability",
        max_open_connections: options.connections,
        // The deadline is whoever asks; this only ends what nobody waits for any more.
        request_timeout: 600_000,
        compression: { request: compressionOf(target.compression), response: false },
        use_multipart_params_auto: true,
        log: { level: ClickHouseLogLevel.OFF, LoggerClass: Silent },
        ...(target.tls === undefined ? {} : { tls: target.tls })
      })),
      (client) => Effect.promise(() => client.close().catch(() => {}))
    ),
    (client) => ({ ask: (statement) => ask(client, target, statement) })
  )

const compressionOf = (compression: Target["compression"]) =>
  compression === "none" ? false : compression === "zstd" ? { codec: "zstd", level: 1 } as const : { codec: "gzip", level: 1 } as const

const ask = (client: Client, target: Target, { body, limit = shortAnswer, parameters, settings, sql }: Statement): Effect.Effect<string, ClickHouseFailure> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.flatMap(
      Effect.tryPromise({
        try: async (signal) => {
          const { http_status_code: status = 0, response_headers: headers, stream } = await client.exec({
            query: sql,
            ...(body === undefined ? {} : { values: Readable.from(body) }),
            ...(parameters === undefined ? {} : { query_params: { ...parameters } }),
            clickhouse_settings: { ...settings },
            abort_signal: signal,
            ignore_error_response: true
          } as Parameters<Client["exec"]>[0])
          const good = status >= 200 && status < 300 && headers["x-clickhouse-exception-code"] === undefined
          const text = await read(stream, signal, good ? limit : shortAnswer)
          return { good, status, headers, text }
        },
        catch: (error) => new ClickHouseFailure(unreached(error, target))
      }),
      ({ good, headers, status, text }) => {
        // An exception after the answer began stands at its end.
        const end = text.slice(-shortAnswer)
        const code = codeOf(headers["x-clickhouse-exception-code"], end)
        const failed = (said: string) =>
          Effect.fail(new ClickHouseFailure({ _tag: "Answered", status, code, said, retryAfter: Exporter.retryAfter(headers["retry-after"], now) }))
        if (!good || code !== undefined) return failed(firstLine(end, target))
        if (body !== undefined && text.trim() !== "") return failed("an INSERT was answered with text: is this ClickHouse's HTTP interface?")
        return Effect.succeed(text)
      }
    ))

class TooLong extends Error {}

const read = async (stream: Readable, signal: AbortSignal, limit: number): Promise<string> => {
  const chunks: Array<Buffer> = []
  let size = 0
  const abort = () => stream.destroy(new Error("aborted"))
  signal.addEventListener("abort", abort, { once: true })
  try {
    for await (const chunk of stream) {
      size += (chunk as Buffer).length
      if (size > limit) {
        if (limit > shortAnswer) throw new TooLong(`the answer has more than ${limit} bytes`)
        break
      }
      chunks.push(chunk as Buffer)
    }
  } finally {
    signal.removeEventListener("abort", abort)
    // Read to its end it has freed its connection; otherwise the connection goes with it.
    stream.destroy()
  }
  return Buffer.concat(chunks).toString("utf8")
}

/** What Node reports before a byte of the request can have left. */
const unsentCodes: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "CERT_HAS_EXPIRED", "DEPTH_ZERO_SELF_SIGNED_CERT", "SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "ERR_TLS_CERT_ALTNAME_INVALID"])

const unreached = (error: unknown, target: Target): Answer => {
  if (error instanceof TooLong) {
    return { _tag: "Answered", status: 200, code: 396, said: `${error.message}: ask for less`, retryAfter: undefined }
  }
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : error
  const code = typeof first === "object" && first !== null && "code" in first ? String(first.code) : ""
  const message = first instanceof Error ? first.message : String(first)
  return { _tag: "Unreached", reason: clean(message === "" ? code : message, target), unsent: unsentCodes.has(code) }
}

/** ClickHouse writes `Code: 60. DB::Exception: … (UNKNOWN_TABLE) (version …)`. */
const firstLine = (text: string, target: Target): string => {
  const said = text.match(/DB::Exception: ([^\n]*)/)?.[1] ?? text.split("\n", 1)[0] ?? ""
  const version = said.lastIndexOf("(version ")
  return clean(version < 0 ? said : said.slice(0, version), target)
}

const codeOf = (header: unknown, text: string): number | undefined => {
  const found = typeof header === "string" ? /^\d{1,5}$/.exec(header)?.[0] : /^Code: (\d{1,5})\. DB::Exception/m.exec(text)?.[1]
  return found === undefined ? undefined : Number(found)
}

/** One printable line, without what is secret in it. */
const clean = (text: string, { password }: Target): string => {
  const secret = Redacted.value(password)
  const beginning = text.slice(0, shown + secret.length)
  const without = secret === "" ? beginning : beginning.replaceAll(secret, "<redacted>")
  // eslint-disable-next-line no-control-regex
  return without.slice(0, shown).replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]+/g, " ").trim()
}

class Silent {
  trace(): void {}
  debug(): void {}
  info(): void {}
  warn(): void {}
  error(): void {}
}
