import { EmbeddedServer } from "@effect-observability/postgres"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

/** A PostgreSQL server of the test's own. */
export const startPostgres: Effect.Effect<{ readonly url: Redacted.Redacted<string>; readonly port: number }, never, Scope.Scope> = Effect.gen(function*() {
  const dir = yield* Effect.acquireRelease(
    Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "obs-sql-"))),
    (dir) => Effect.sync(() => Fs.rmSync(dir, { recursive: true, force: true }))
  )
  return yield* EmbeddedServer.start({ durable: false, dir: Path.join(dir, "data") })
}).pipe(Effect.orDie)
