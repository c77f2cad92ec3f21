import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { because, type EmbeddedServerError, messageOf } from "./EmbeddedServerError.ts"

/** The server's directory as an absolute path; made when it is missing, for its owner only. */
export const prepare = (given: string): Effect.Effect<string, EmbeddedServerError> =>
  Effect.suspend(() => {
    const dir = Path.resolve(given)
    const unusable = (problem: string) => because("DirectoryUnusable", `The embedded PostgreSQL cannot use ${dir}: ${problem}`)
    try {
      Fs.mkdirSync(dir, { recursive: true, mode: 0o700 })
      Fs.accessSync(dir, Fs.constants.R_OK | Fs.constants.W_OK | Fs.constants.X_OK)
    } catch (cause) {
      return Effect.fail(unusable(`${messageOf(cause)}. Choose a directory that ${userName()} may write`))
    }
    if (Fs.existsSync(Path.join(dir, "PG_VERSION"))) {
      return Effect.fail(unusable("it is another server's data directory. Choose an empty one; the data is put in a folder inside"))
    }
    return Effect.succeed(dir)
  })

const userName = (): string => {
  const uid = process.getuid?.()
  return uid === undefined ? "you" : `user ${uid}`
}

/** Gives a tree to a user, unless it is theirs already. */
export const giveTo = (path: string, owner: number | undefined): Effect.Effect<void, EmbeddedServerError> =>
  Effect.try({
    try: () => {
      if (owner === undefined || Fs.statSync(path).uid === owner) return
      // The top goes last: it says whether the tree below is done.
      for (const entry of Fs.readdirSync(path, { recursive: true, encoding: "utf8" })) {
        Fs.lchownSync(Path.join(path, entry), owner, owner)
      }
      Fs.chownSync(path, owner, owner)
    },
    catch: (cause) => because("DirectoryUnusable", `Cannot give ${path} to user ${owner}: ${messageOf(cause)}`)
  })

/** What is inside is protected by its own permissions. */
export const letOthersIn = (dir: string): Effect.Effect<void, EmbeddedServerError> =>
  Effect.try({
    try: () => Fs.chmodSync(dir, Fs.statSync(dir).mode | 0o011),
    catch: (cause) => because("DirectoryUnusable", `Cannot change the permissions of ${dir}: ${messageOf(cause)}`)
  })
