import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import * as Fs from "node:fs"
import type { Cluster } from "./cluster.ts"
import { because, type EmbeddedServerError, messageOf } from "./EmbeddedServerError.ts"
import { cannotRun, type Launcher } from "./launcher.ts"
import * as PidFile from "./pidFile.ts"

/** The server's first process, child of ours. */
export interface Postmaster {
  readonly pid: number
  readonly exited: Effect.Effect<void>
  readonly isRunning: () => boolean
  /** What this server has written to its log, the last lines only. */
  readonly log: () => string
  /** Ends it: open transactions are rolled back, the data directory is left clean. At most about 15 seconds. */
  readonly stop: Effect.Effect<void>
}

/** Starts the server; the scope stops it. It may still refuse connections: see `untilReady`. */
export const launch = (
  launcher: Launcher,
  cluster: Cluster,
  settings: Readonly<Record<string, string>>,
  logFile: string
): Effect.Effect<Postmaster, EmbeddedServerError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Postmaster, EmbeddedServerError>((resume) => {
      const args = ["-D", cluster.data, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])]
      let log: number
      try {
        log = openLog(logFile)
      } catch (cause) {
        return resume(Effect.fail(because("DirectoryUnusable", `Cannot write ${logFile}: ${messageOf(cause)}`)))
      }
      const from = Fs.fstatSync(log).size
      const child = launcher.spawn(launcher.binaries.postgres, args, log)
      Fs.closeSync(log)
      child.once("error", (error) => resume(Effect.fail(cannotRun(launcher.binaries.postgres, launcher.binaries, error.message))))
      child.once("spawn", () => resume(Effect.succeed(fromChild(child, child.pid!, () => tail(logFile, from)))))
    }),
    (postmaster) => postmaster.stop
  )

const fromChild = (child: ChildProcess, pid: number, log: () => string): Postmaster => {
  const ended = Deferred.makeUnsafe<void>()
  const watcher = watch(pid)
  dieWithUs(child)
  child.once("exit", () => {
    watcher?.kill("SIGKILL")
    Deferred.doneUnsafe(ended, Exit.void)
  })
  const exited = Deferred.await(ended)
  const signal = (name: NodeJS.Signals, patience: Duration.Input) =>
    Effect.suspend(() => {
      child.kill(name)
      return Effect.timeoutOption(exited, patience)
    })
  const isRunning = () => child.exitCode === null && child.signalCode === null
  return {
    pid,
    exited,
    isRunning,
    log,
    // PostgreSQL: SIGINT is the fast shutdown, SIGQUIT the immediate one, which leaves the next start to recover.
    stop: Effect.gen(function*() {
      if (isRunning()) yield* signal("SIGINT", "10 seconds")
      if (isRunning()) yield* signal("SIGQUIT", "3 seconds")
      if (isRunning()) yield* signal("SIGKILL", "2 seconds")
    })
  }
}

/**
 * Waits until the server takes connections. Its own pid in the data directory's lock file tells it from any other server that
 * may sit on the port.
 */
export const untilReady = (
  postmaster: Postmaster,
  cluster: Cluster,
  port: number
): Effect.Effect<void, EmbeddedServerError> =>
  Effect.gen(function*() {
    while (true) {
      if (!postmaster.isRunning()) return yield* because("StartFailed", `PostgreSQL stopped while it started:\n${postmaster.log()}`)
      const file = PidFile.read(cluster.data)
      if (file?.pid === postmaster.pid && file.port === port && file.status === "ready") return
      yield* Effect.sleep(Duration.millis(15))
    }
  })

/** The log is for the last starts; it holds no statements (see `settings`) and so grows slowly. */
const openLog = (path: string): number => {
  const full = Fs.existsSync(path) && Fs.statSync(path).size > 1_000_000
  return Fs.openSync(path, full ? "w" : "a", 0o600)
}

const tail = (path: string, from: number): string => {
  try {
    return Fs.readFileSync(path).subarray(from).toString("utf8").trimEnd().split("\n").slice(-15).join("\n")
  } catch (cause) {
    return `(${messageOf(cause)})`
  }
}

/**
 * A shell that waits for the end of a pipe from us. However Node ends, SIGKILL included, the kernel closes the pipe and the
 * shell stops the server, which would otherwise live on and hold the directory. Not on Windows.
 */
const watch = (pid: number): ChildProcess | undefined => {
  if (process.platform === "win32") return undefined
  const watcher = spawn("/bin/sh", ["-c", "read -r _; kill -INT \"$1\"", "sh", String(pid)], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"]
  })
  // No shell, no watcher: the server is then stopped by the scope, or by `dieWithUs`.
  watcher.once("error", () => {})
  watcher.stdin.once("error", () => {})
  watcher.unref()
  if ("unref" in watcher.stdin && typeof watcher.stdin.unref === "function") watcher.stdin.unref()
  return watcher
}

const running = new Set<ChildProcess>()

const stopAll = (): void => {
  for (const child of running) child.kill("SIGINT")
}

/** A process that exits without closing its scopes leaves no server behind. One hook for all servers of the process. */
const dieWithUs = (child: ChildProcess): void => {
  if (running.size === 0) process.on("exit", stopAll)
  running.add(child)
  child.once("exit", () => {
    running.delete(child)
    if (running.size === 0) process.off("exit", stopAll)
  })
}
