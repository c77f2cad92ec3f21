import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as EmbeddedServer from "../../src/embedded/EmbeddedServer.ts"
import { startPrograms } from "./programs.ts"

/** A server of the test's own in a folder that goes with it. */
export const startServer = (options: Partial<EmbeddedServer.EmbeddedServerOptions> = {}): Effect.Effect<
  { readonly url: Redacted.Redacted<string>; readonly port: number },
  never,
  Scope.Scope
> =>
  Effect.gen(function*() {
    // Another version's programs: the same tests then judge that version. Who asks for more wants the embedded server itself.
    const programs = process.env["TEST_POSTGRES_PROGRAMS"]
    if (programs !== undefined && Object.keys(options).length === 0) return yield* startPrograms(programs)
    const dir = options.dir ?? (yield* temporaryFolder)
    return yield* EmbeddedServer.start({ durable: false, ...options, dir })
  }).pipe(Effect.orDie)

export const temporaryFolder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => Path.join(Fs.mkdtempSync(Path.join(Os.tmpdir(), "obs-postgres-")), "data")),
  (dir) => Effect.sync(() => Fs.rmSync(Path.dirname(dir), { recursive: true, force: true }))
)
