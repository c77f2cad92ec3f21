import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Random from "effect/Random"
import type { GeneratedFile } from "../generate/Generate.ts"
import { CommandError } from "./CommandError.ts"

/** How the files of a folder stand to those that are generated. */
export interface Comparison {
  readonly missing: ReadonlyArray<GeneratedFile>
  readonly differing: ReadonlyArray<GeneratedFile>
  /** Generated earlier, from something that is no longer there. */
  readonly left: ReadonlyArray<string>
}

/** `marks` say which files of `prometheus/tests` and `runbooks` were generated: the reader's own may lie beside them. */
export const compare = (out: string, wanted: ReadonlyArray<GeneratedFile>, marks: ReadonlyArray<string>): Effect.Effect<Comparison, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const found = yield* Effect.forEach(wanted, (file) => Effect.map(read(path.join(out, file.path)), (text) => [file, text] as const))
    const names = new Set(wanted.map((file) => file.path))
    const beside = yield* Effect.forEach(["prometheus/tests", "runbooks"], (folder) =>
      Effect.map(Effect.orElseSucceed(fs.readDirectory(path.join(out, folder)), () => []), (entries) => entries.map((entry) => `${folder}/${entry}`).filter((name) => !names.has(name))))
    const left = yield* Effect.filter(beside.flat(), (name) =>
      Effect.map(read(path.join(out, name)), (text) => marks.some((mark) => text?.slice(0, 1_000).includes(mark) === true)))
    return {
      missing: found.filter(([, text]) => text === undefined).map(([file]) => file),
      differing: found.filter(([file, text]) => text !== undefined && lines(text) !== lines(file.content)).map(([file]) => file),
      left
    }
  })

/** Git may check a text out with other line ends: they are no difference. */
const lines = (text: string): string => text.replaceAll("\r\n", "\n")

/** `undefined` when there is no such file; of what is no regular file (a pipe would be waited for) nothing is read. */
const read = (file: string): Effect.Effect<string | undefined, never, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const { type } = yield* fs.stat(file)
    return type === "File" ? yield* fs.readFileString(file) : ""
  }).pipe(Effect.catch(({ reason }) => Effect.succeed(reason._tag === "NotFound" ? undefined : "")))

/**
 * Writes all files or none: each beside its place first, and when all are there, under its name. What was begun is taken away when one
 * cannot be written.
 */
export const write = (out: string, files: ReadonlyArray<GeneratedFile>): Effect.Effect<void, CommandError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const mark = (yield* Random.nextInt).toString(36).replace("-", "")
    const made: Array<string> = []
    const staged: Array<readonly [from: string, to: string]> = []
    const undo = () => Effect.andThen(
      Effect.forEach(staged, ([from]) => Effect.ignore(fs.remove(from)), { discard: true }),
      Effect.forEach(made.toReversed(), (folder) =>
        Effect.ignore(Effect.flatMap(fs.readDirectory(folder), (entries) => entries.length === 0 ? fs.remove(folder, { recursive: true }) : Effect.void)), { discard: true })
    )
    const folderOf = (folder: string): Effect.Effect<void, CommandError> =>
      Effect.gen(function*() {
        const found = yield* Effect.result(fs.stat(folder))
        if (found._tag === "Success") {
          return found.success.type === "Directory" ? undefined : yield* wrong(out, `${folder} is no folder`)
        }
        if (found.failure.reason._tag !== "NotFound") return yield* wrong(out, `${folder} cannot be read (${codeOf(found.failure)})`)
        if ((yield* Effect.result(fs.readLink(folder)))._tag === "Success") return yield* wrong(out, `${folder} is a link that leads nowhere`)
        // One by one: asked for all at once, Node tries for ever where the system makes no folders, as in /proc.
        const parent = path.dirname(folder)
        if (parent !== folder) yield* folderOf(parent)
        yield* Effect.mapError(fs.makeDirectory(folder), (error) => cannot(out, folder, error))
        made.push(folder)
      })
    yield* Effect.gen(function*() {
      for (const { content, path: file } of files) {
        const place = path.resolve(out, file)
        yield* folderOf(path.dirname(place))
        const target = yield* Effect.orElseSucceed(fs.realPath(place), () => place)
        const there = yield* Effect.result(fs.stat(target))
        if (there._tag === "Success" && there.success.type !== "File") return yield* wrong(out, `${file} is there and is no file`)
        const begun = `${target}.${mark}.tmp`
        staged.push([begun, target])
        yield* Effect.mapError(
          Effect.andThen(
            fs.writeFileString(begun, content, { flag: "wx" }),
            there._tag === "Success" ? fs.chmod(begun, there.success.mode & 0o777) : Effect.void
          ),
          (error) => cannot(out, file, error)
        )
      }
      for (const [from, to] of staged) yield* Effect.mapError(fs.rename(from, to), (error) => cannot(out, path.relative(out, to), error))
    }).pipe(Effect.onError(undo))
  })

const wrong = (out: string, what: string, fix = "give a folder that may be written") => new CommandError({ message: `--out ${out}: ${what}: ${fix}` })

const cannot = (out: string, what: string, error: PlatformError) => {
  const code = codeOf(error)
  return wrong(out, `${what} cannot be written (${code})`, ["ENOSPC", "EDQUOT", "EFBIG"].includes(code) ? "make room on its disk, nothing was changed" : undefined)
}

/** `EACCES`, `ENOSPC`, … */
const codeOf = ({ reason }: PlatformError): string => {
  const code = (reason.cause as { readonly code?: unknown } | undefined)?.code
  return typeof code === "string" ? code : reason._tag
}
