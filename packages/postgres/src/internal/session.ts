import { PgConnection, PgPool } from "@effect/sql-pg"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import * as Net from "node:net"
import { registry } from "./parameters.ts"

/** Where and how to connect. */
export interface Target {
  readonly url: Redacted.Redacted<string>
  /** From the URL: a host and port, or the path of a Unix socket. */
  readonly address: { readonly host: string; readonly port: number } | { readonly path: string }
  readonly applicationName: string
  /** `false`: a commit does not wait for the disk (up to a second may be lost when the server crashes; nothing is corrupted). */
  readonly synchronousCommit: boolean
  /** `false` behind a transaction pooler: no prepared statements, no session settings. */
  readonly prepare: boolean
  /** What the URL's `sslmode` does not say. */
  readonly tls: TlsOptions | undefined
}

/** As Node's `tls.connect` takes them; PEM text. */
export interface TlsOptions {
  /** Whom to trust instead of the well-known authorities. */
  readonly ca?: string
  /** A certificate of our own, and its key. */
  readonly cert?: string
  readonly key?: Redacted.Redacted<string>
  /** The name the server's certificate must bear, where it is not the URL's host. */
  readonly servername?: string
  /** `false` trusts whoever answers: encrypted, but not authenticated. */
  readonly rejectUnauthorized?: boolean
}

export type Row = Readonly<Record<string, unknown>>
export type Parameters = ReadonlyArray<unknown>

/**
 * One connection of our own. Statements go to the driver's connection directly, not through `SqlClient`: no span is made.
 */
export interface Session {
  /** Runs one prepared statement. Interrupting it ends the session at once: what the server does with it is then unknown. */
  readonly query: (sql: string, parameters?: Parameters) => Effect.Effect<ReadonlyArray<Row>, SqlError>
  /** Runs one statement without preparing it: for DDL and transaction control. */
  readonly execute: (sql: string) => Effect.Effect<void, SqlError>
  readonly close: Effect.Effect<void>
}

/** Several statements of DDL as one: a round trip each would be most of a start's time on a busy machine. */
export const together = (statements: ReadonlyArray<string>): string =>
  `do $together$ begin ${statements.map((statement) => `execute '${statement.replaceAll("'", "''")}';`).join("\n")} end $together$`

/** Ends on the server after this time, whatever happens to us. Milliseconds. */
const startup = (target: Target, statementTimeout: number): Record<string, string> => !target.prepare ? { timezone: "UTC" } : ({
  statement_timeout: String(Math.max(1, Math.ceil(statementTimeout))),
  idle_in_transaction_session_timeout: String(Math.max(1, Math.ceil(statementTimeout))),
  // Every name of ours is qualified; nothing may be found anywhere else.
  search_path: "pg_catalog",
  timezone: "UTC",
  // The statements are short; compiling them costs more than running them.
  jit: "off",
  ...(target.synchronousCommit ? {} : { synchronous_commit: "off" })
})

const config = (target: Target, statementTimeout: number, sockets: Sockets): PgConnection.Config => ({
  url: target.url,
  applicationName: target.applicationName,
  connectTimeout: Duration.millis(Math.min(5_000, statementTimeout)),
  startupParameters: startup(target, statementTimeout),
  prepare: target.prepare,
  ...(target.tls === undefined ? {} : { ssl: tls(target.tls) }),
  types: registry,
  stream: sockets.open
})

const tls = ({ key, ...rest }: TlsOptions) => ({ ...rest, ...(key === undefined ? {} : { key: Redacted.value(key) }) })

interface Sockets {
  readonly open: () => Net.Socket
  /** What does not say goodbye within a moment is destroyed. */
  readonly letGo: Effect.Effect<void>
}

/** How long a closed connection may take to say goodbye before its socket is destroyed. */
const farewellMillis = 500

/**
 * The driver ends a socket politely and then waits for the peer, which a stopped server never answers. Sockets of our own can
 * be let go: once the scope is closed they hold neither the process nor a handle for longer than the farewell.
 */
const makeSockets = (target: Target): Effect.Effect<Sockets, never, Scope.Scope> =>
  Effect.gen(function*() {
    const sockets = new Set<Net.Socket>()
    const letGo = Effect.sync(() => {
      for (const socket of sockets) {
        socket.unref()
        socket.setTimeout(farewellMillis, () => socket.destroy())
      }
    })
    yield* Effect.addFinalizer(() => letGo)
    return {
      letGo,
      open: () => {
        const socket = Net.connect({ ...target.address, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 })
        sockets.add(socket)
        socket.once("close", () => sockets.delete(socket))
        return socket
      }
    }
  })

const connect = (target: Target, statementTimeout: number): Effect.Effect<PgConnection.PgConnection, SqlError, Scope.Scope> =>
  Effect.flatMap(makeSockets(target), (sockets) => PgConnection.make(config(target, statementTimeout, sockets)))

/** A connection of the scope's that listens on a channel, as the driver gives it. */
export const listen = (target: Target, statementTimeout: number, channel: string) =>
  Effect.gen(function*() {
    const sockets = yield* makeSockets(target)
    const connection = yield* PgConnection.make(config(target, statementTimeout, sockets))
    const queue = yield* connection.listen(channel)
    // Before the driver says that it listens no more, and waits for an answer to that.
    yield* Effect.addFinalizer(() => sockets.letGo)
    return queue
  })

/** Connects. `statementTimeout` in milliseconds is the server's limit for each statement. */
export const open = (target: Target, statementTimeout: number): Effect.Effect<Session, SqlError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const close = Scope.close(scope, Exit.void)
      const connection = yield* restore(
        connect(target, statementTimeout).pipe(Scope.provide(scope))
      ).pipe(Effect.onError(() => close))
      return {
        query: (sql, parameters) => Effect.map(untilInterrupted(connection.query(sql, parameters ?? []), close), (result) => result.rows),
        execute: (sql) => Effect.asVoid(untilInterrupted(connection.query(sql, [], false), close)),
        close
      }
    })
  )

/**
 * The session with a limit here for every answer. The server ends a statement at its own limit, so that an answer that is much later will never come: a
 * proxy or firewall swallows, and TCP does not notice. What hangs fails, and takes the connection along. Milliseconds.
 */
export const guarded = (session: Session, limit: number): Session => {
  const within = <A>(answer: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> =>
    Effect.timeoutOrElse(answer, {
      duration: limit,
      orElse: () => Effect.fail(new SqlError({ reason: new ConnectionError({ message: `no answer within ${limit} ms: the connection is given up`, cause: undefined, operation: "query" }) }))
    })
  return { query: (sql, parameters) => within(session.query(sql, parameters)), execute: (sql) => within(session.execute(sql)), close: session.close }
}

/**
 * The driver answers an interruption by draining the statement, up to ten seconds with a stopped server. Closing the
 * connection instead ends it at once.
 */
const untilInterrupted = <A, E>(query: Effect.Effect<A, E>, close: Effect.Effect<void>): Effect.Effect<A, E> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Effect.forkDetach(query, { startImmediately: true }),
      (fiber) => Effect.onInterrupt(restore(Fiber.join(fiber)), () => close)
    )
  )

/** A few connections for reading, opened when they are needed. */
export interface Readers {
  readonly query: (sql: string, parameters: Parameters) => Effect.Effect<ReadonlyArray<Row>, SqlError>
}

export const makeReaders = (
  target: Target,
  options: { readonly connections: number; readonly statementTimeout: number }
): Effect.Effect<Readers, SqlError, Scope.Scope> =>
  Effect.gen(function*() {
    const sockets = yield* makeSockets(target)
    const pool = yield* PgPool.make({
      ...config(target, options.statementTimeout, sockets),
      maxConnections: options.connections,
      minConnections: 0,
      idleTimeout: Duration.seconds(60)
    })
    return {
      query: (sql, parameters) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(
            Effect.forkDetach(pool.use((connection) => connection.query(sql, parameters)), { startImmediately: true }),
            (fiber) =>
              // The cancellation goes on behind the back of whoever stopped waiting.
              Effect.onInterrupt(restore(Fiber.join(fiber)), () => Effect.forkDetach(Fiber.interrupt(fiber)))
          )
        ).pipe(Effect.map((result) => result.rows))
    }
  })
