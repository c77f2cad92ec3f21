import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Fs from "node:fs"

/** What the harness needs to know of a server it did not start itself; `EmbeddedServer` has it. */
export interface Started {
  readonly url: Redacted.Redacted<string>
  readonly port: number
  /** Of the postmaster. */
  readonly pid: number
}

/** Starts a server of our own and verifies that it is ours; the scope stops it. */
export type Start<E> = (port: number | undefined) => Effect.Effect<Started, E, Scope.Scope>

/**
 * A PostgreSQL server that suffers what servers suffer. It signals the postmaster that `start` gave it and that postmaster's
 * children, as `/proc` lists them at that moment, and no other process (so: Linux only). One fault at a time.
 */
export interface PostgresServer<E> {
  /** The same after every restart. */
  readonly url: Redacted.Redacted<string>
  readonly port: number
  /** Started and not paused. */
  readonly isRunning: () => boolean
  /** Of the postmaster as it was started; it may have ended by itself since. */
  readonly pid: () => number | undefined
  /** The machine loses all of it at one moment: SIGKILL to the postmaster and its children. Data in the page cache stays. */
  readonly kill9: Effect.Effect<void>
  /** SIGKILL to the postmaster alone: its backends may finish their statement, commit included, before they notice. */
  readonly killPostmaster: Effect.Effect<void>
  /** Starts it again, on the same port and data, after `kill9`, `killPostmaster` or `shutdown`. */
  readonly restart: Effect.Effect<void, E>
  /** An orderly stop: `fast` ends the sessions with an error, `immediate` ends the processes without a checkpoint. */
  readonly shutdown: (mode: "fast" | "immediate") => Effect.Effect<void>
  /** SIGSTOP to all of it: connections stay open and nobody answers; the kernel still takes new ones into the backlog. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** SIGTERM to every backend of a client, as `pg_terminate_backend` does; returns how many there were. */
  readonly terminateBackends: Effect.Effect<number>
  /** SIGKILL to one backend: the postmaster then throws all sessions out and recovers. `false` when there is none. */
  readonly kill9Backend: Effect.Effect<boolean>
}

export const make = <E>(start: Start<E>): Effect.Effect<PostgresServer<E>, E, Scope.Scope> =>
  Effect.gen(function*() {
    let life: { readonly scope: Scope.Closeable; readonly server: Started } | undefined
    let stopped = new Set<number>()

    const begin = (port: number | undefined) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          const server = yield* restore(Scope.provide(start(port), scope)).pipe(Effect.onError(() => Scope.close(scope, Exit.void)))
          life = { scope, server }
          return server
        })
      )

    const continueAll = () => {
      for (const pid of stopped) signal(pid, "SIGCONT")
      stopped = new Set()
    }

    /** Ends one life; `how` gets the postmaster's pid. */
    const end = (how: (postmaster: number) => void) =>
      Effect.suspend(() => {
        if (life === undefined) return Effect.void
        const { scope, server } = life
        life = undefined
        how(server.pid)
        continueAll()
        return Scope.close(scope, Exit.void)
      })

    const withPostmaster = <A>(use: (postmaster: number) => A, otherwise: A) =>
      Effect.sync(() => (life === undefined ? otherwise : use(life.server.pid)))

    // A test process that ends in mid-pause must not leave processes that no signal but SIGKILL reaches.
    process.on("exit", continueAll)
    yield* Effect.addFinalizer(() => Effect.andThen(end(() => {}), Effect.sync(() => process.off("exit", continueAll))))
    const { port, url } = yield* begin(undefined)

    return {
      url,
      port,
      isRunning: () => life !== undefined && stopped.size === 0,
      pid: () => life?.server.pid,
      kill9: end((postmaster) => {
        // Standing still it neither forks nor buries children, so that the list is complete and every pid on it still theirs.
        signal(postmaster, "SIGSTOP")
        for (const pid of childrenOf(postmaster)) signal(pid, "SIGKILL")
        // Nothing is left to continue.
        stopped = new Set()
        signal(postmaster, "SIGKILL")
      }),
      killPostmaster: end((postmaster) => signal(postmaster, "SIGKILL")),
      restart: Effect.suspend(() => (life === undefined ? Effect.asVoid(begin(port)) : Effect.void)),
      shutdown: (mode) => end((postmaster) => signal(postmaster, mode === "fast" ? "SIGINT" : "SIGQUIT")),
      pause: withPostmaster((postmaster) => {
        stopped.add(postmaster)
        signal(postmaster, "SIGSTOP")
        for (const pid of childrenOf(postmaster)) {
          stopped.add(pid)
          signal(pid, "SIGSTOP")
        }
      }, undefined),
      resume: Effect.sync(continueAll),
      terminateBackends: withPostmaster((postmaster) => {
        const backends = childrenOf(postmaster).filter(isBackend)
        for (const pid of backends) signal(pid, "SIGTERM")
        return backends.length
      }, 0),
      kill9Backend: withPostmaster((postmaster) => {
        const backend = childrenOf(postmaster).find(isBackend)
        if (backend !== undefined) signal(backend, "SIGKILL")
        return backend !== undefined
      }, false)
    }
  })

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch {
    // It ended in between.
  }
}

/** `/proc/<pid>/stat`: pid, name in parentheses (any character may be in it), state, parent. */
const childrenOf = (parent: number): ReadonlyArray<number> =>
  Fs.readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    const stat = readProc(`/proc/${name}/stat`)
    const [state, ppid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return Number(ppid) === parent && state !== "Z" ? [Number(name)] : []
  })

/** A client's backend wears its peer in its title: `postgres: user database 127.0.0.1(54321) idle`. */
const isBackend = (pid: number): boolean => /^postgres: .* 127\.0\.0\.1\(\d+\)/.test(readProc(`/proc/${pid}/cmdline`))

const readProc = (path: string): string => {
  try {
    return Fs.readFileSync(path, "utf8")
  } catch {
    return ""
  }
}
