import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import type { EmbeddedServerError } from "../../src/embedded/EmbeddedServerError.ts"
import * as Launcher from "../../src/embedded/launcher.ts"
import * as Postmaster from "../../src/embedded/postmaster.ts"

export interface Programs {
  readonly url: Redacted.Redacted<string>
  readonly port: number
  readonly data: string
}

export const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const probe = Net.createServer()
  probe.listen(0, "127.0.0.1", () => {
    const { port } = probe.address() as Net.AddressInfo
    probe.close(() => resume(Effect.succeed(port)))
  })
})

/** Starts the PostgreSQL whose `bin` lies in `folder`, whatever its version, on data of the test's own. Everybody on 127.0.0.1 may log in. */
export const startPrograms = (
  folder: string,
  prepare: (data: string) => Readonly<Record<string, string>> = () => ({})
): Effect.Effect<Programs, EmbeddedServerError, Scope.Scope> =>
  Effect.gen(function*() {
    const dir = yield* Effect.acquireRelease(
      Effect.sync(() => Fs.mkdtempSync(Path.join(tmpdir(), "obs-programs-"))),
      (made) => Effect.sync(() => Fs.rmSync(made, { recursive: true, force: true, maxRetries: 5 }))
    )
    const bin = Path.join(folder, "bin")
    const binaries = { folder, initdb: Path.join(bin, "initdb"), postgres: Path.join(bin, "postgres") }
    const launcher = yield* Launcher.choose(binaries, dir)
    const data = Path.join(dir, "data")
    if (launcher.owner !== undefined) Fs.chownSync(dir, launcher.owner, launcher.owner)
    yield* Launcher.run(launcher, launcher.binaries.initdb, ["-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"])
    const port = yield* freePort
    const cluster = { data, password: Redacted.make("") }
    const settings = { listen_addresses: "127.0.0.1", port: String(port), unix_socket_directories: "", fsync: "off", full_page_writes: "off", ...prepare(data) }
    const postmaster = yield* Postmaster.launch(launcher, cluster, settings, Path.join(dir, "log"))
    yield* Postmaster.untilReady(postmaster, cluster, port)
    return { url: Redacted.make(`postgres://postgres@127.0.0.1:${port}/postgres`), port, data }
  })
