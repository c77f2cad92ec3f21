import { Effect, type Scope } from "effect"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { gunzipSync, zstdDecompressSync } from "node:zlib"
import { allTables, type Layout } from "../../src/internal/names.ts"

export interface Insert {
  readonly table: string
  readonly token: string
  /** Rows with their header. */
  readonly body: Buffer
  readonly url: URL
}

/** What happens to an insert: the rows were read, nothing was said yet. `effect` stores them. */
export type Fate = (insert: Insert, respond: { readonly request: IncomingMessage; readonly response: ServerResponse; readonly effect: () => void }) => void

/** As much of ClickHouse's HTTP interface as a writer needs, and every way to misbehave. Knows tokens, as tables with a window do. */
export interface FakeServer {
  readonly url: string
  /** Stored once per token: the inserts of a table. */
  readonly stored: (table: string) => ReadonlyArray<Insert>
  readonly attempts: () => ReadonlyArray<Insert>
  /** Every request, its headers and what it asked for. */
  readonly requests: () => ReadonlyArray<{ readonly url: string; readonly authorization: string | undefined; readonly sql: string }>
  /** For the next inserts, one each; after them all goes well. */
  readonly next: (...fates: ReadonlyArray<Fate>) => void
  /** For every statement that is no insert, until told otherwise. */
  readonly questions: (answer: ((sql: string, response: ServerResponse) => void) | undefined) => void
}

const layout = (database: string): Layout => ({
  names: { database, traces: "otel_traces", metrics: "otel_metrics", logs: "otel_logs" },
  cluster: undefined, engine: "MergeTree", distributed: false, retentionDays: 90
})

export const fakeServer: Effect.Effect<FakeServer, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(Effect.promise(() => listen()), ({ server }) =>
    Effect.promise(() => {
      server.closeAllConnections()
      return new Promise<void>((resolve) => server.close(() => resolve()))
    })),
  ({ fake }) => fake
)

const listen = async (): Promise<{ readonly server: Server; readonly fake: FakeServer }> => {
  const stored = new Map<string, Insert>()
  const attempts: Array<Insert> = []
  const requests: Array<{ readonly url: string; readonly authorization: string | undefined; readonly sql: string }> = []
  const fates: Array<Fate> = []
  let questions: ((sql: string, response: ServerResponse) => void) | undefined
  const server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const raw = Buffer.concat(chunks)
      const encoding = request.headers["content-encoding"]
      const body = encoding === "zstd" ? zstdDecompressSync(raw) : encoding === "gzip" ? gunzipSync(raw) : raw
      const url = new URL(request.url!, "http://localhost")
      const sql = url.searchParams.get("query") ?? body.toString("utf8")
      requests.push({ url: request.url!, authorization: request.headers.authorization, sql: sql.slice(0, 2_000) })
      const table = /^INSERT INTO `[^`]+`\.`([^`]+)`/.exec(sql)?.[1]
      if (table === undefined || url.searchParams.get("query") === null) return questions === undefined ? describe(sql, response) : questions(sql, response)
      const insert: Insert = { table, token: url.searchParams.get("insert_deduplication_token") ?? "", body, url }
      attempts.push(insert)
      const effect = () => {
        if (!stored.has(`${table} ${insert.token}`)) stored.set(`${table} ${insert.token}`, insert)
      }
      const fate = fates.shift()
      if (fate !== undefined) return fate(insert, { request, response, effect })
      effect()
      response.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))
  return {
    server,
    fake: {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      stored: (table) => [...stored.values()].filter((one) => one.table === table),
      attempts: () => attempts,
      requests: () => requests,
      next: (...more) => void fates.push(...more),
      questions: (answer) => {
        questions = answer
      }
    }
  }
}

/** All tables are there. */
const describe = (sql: string, response: ServerResponse): void => {
  const tables = allTables(layout("x"))
  const rows = sql.includes("system.tables")
    ? [...tables.map(({ name }) => name), "otel_traces_trace_id_ts_mv", "observability_schema"].map((name) => [name, "MergeTree", "MergeTree TTL toDateTime(Timestamp) + toIntervalDay(90) SETTINGS non_replicated_deduplication_window = 10000"])
    : sql.includes("system.columns")
    ? tables.flatMap(({ name, table }) => table.columns.map((one) => [name, one.name, one.type]))
    : sql.includes("max(Version)")
    ? [[1]]
    : []
  response.end(sql.includes("FORMAT TSV") ? "1\n" : rows.map((row) => `${JSON.stringify(row)}\n`).join(""))
}

/** Fates by their usual names. */
export const fates = {
  /** The request is read, then the connection is reset: nothing was stored. */
  reset: ((_, { request }) => request.socket.resetAndDestroy()) satisfies Fate,
  /** Stored, but the answer is lost. */
  loseAnswer: ((_, { effect, request }) => {
    effect()
    request.socket.destroy()
  }) satisfies Fate,
  hang: (() => {}) satisfies Fate,
  status: (status: number, headers: Readonly<Record<string, string>> = {}, body = ""): Fate => (_, { response }) => {
    response.writeHead(status, headers)
    response.end(body)
  },
  exception: (code: number, name: string, status = 500): Fate => (_, { response }) => {
    response.writeHead(status, { "x-clickhouse-exception-code": String(code) })
    response.end(`Code: ${code}. DB::Exception: it went wrong. (${name}) (version 26.7.2.1)\n`)
  },
  /** Never ends, and fills whoever reads it to its end. */
  endless: (status: number): Fate => (_, { response }) => {
    response.writeHead(status)
    const block = Buffer.alloc(64 * 1024, "x")
    const pour = () => {
      while (!response.destroyed && response.write(block));
      if (!response.destroyed) response.once("drain", pour)
    }
    pour()
  },
  /** One byte of header after the other. */
  drip: ((_, { request }) => {
    request.socket.write("HTTP/1.1 200 OK\r\nx-slow: ")
    const timer = setInterval(() => request.socket.write("a"), 20)
    request.socket.once("close", () => clearInterval(timer))
  }) satisfies Fate
}
