import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import { type EmbeddedServer, type EmbeddedServerError, start } from "../../src/embedded/EmbeddedServer.ts"
import { isAlive, run, temporaryDirectory } from "./support.ts"

const sql = <A>(server: { readonly url: Redacted.Redacted<string> }, body: (sql: PgClient.PgClient) => Effect.Effect<A, unknown>) =>
  Effect.provide(Effect.flatMap(PgClient.PgClient, body), PgClient.layer({ url: server.url, maxConnections: 1 }))

const refusal = <A>(attempt: Effect.Effect<A, EmbeddedServerError, Scope.Scope>) => Effect.flip(Effect.scoped(attempt))

describe("the embedded server", () => {
  // `it.effect`: the clock of the test stands still, and the server starts all the same.
  it.effect("starts, answers on 127.0.0.1 only, and leaves no process", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const scope = yield* Scope.make()
      const server = yield* Scope.provide(start({ dir: Path.join(dir, "not", "there yet"), durable: false }), scope)
      const rows = yield* sql(server, (sql) =>
        sql`select 1 as one, current_setting('listen_addresses') as listen, current_setting('fsync') as fsync,
          lower('ÄÖ') as lower, current_setting('timezone') as zone`)
      assert.deepStrictEqual(rows, [{ one: 1, listen: "127.0.0.1", fsync: "off", lower: "äö", zone: "UTC" }])
      assert.strictEqual(server.dir, Path.join(dir, "not", "there yet"))
      assert.strictEqual(Fs.statSync(server.dir).mode & 0o777, 0o700)
      assert.isTrue(isAlive(server.pid))
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(isAlive(server.pid))
    }))

  it.live("takes nobody without the password, and shows it to nobody", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const server = yield* start({ dir, durable: false })
      assert.notInclude(`${server.url} ${JSON.stringify(server)}`, new URL(Redacted.value(server.url)).password)
      const wrong = Redacted.make(`postgres://postgres:guess@127.0.0.1:${server.port}/postgres`)
      assert.match(String(yield* Effect.flip(sql({ url: wrong }, (sql) => sql`select 1`))), /SqlError|password/i)
      assert.strictEqual(Fs.statSync(Path.join(dir, "pgdata", "observability.password")).mode & 0o777, 0o600)
    }))

  it.live("keeps the data for the next start, durable or not, and is stopped once", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      yield* Effect.scoped(Effect.gen(function*() {
        const first = yield* start({ dir })
        const [row] = yield* sql(first, (sql) => sql<{ fsync: string }>`select current_setting('fsync') as fsync`)
        assert.strictEqual(row?.fsync, "on")
        yield* sql(first, (sql) => Effect.andThen(sql`create table kept (n int)`, sql`insert into kept values (41), (1)`))
        yield* first.stop
        yield* first.stop
        assert.isFalse(isAlive(first.pid))
      }))
      const second = yield* start({ dir, durable: false })
      assert.deepStrictEqual(yield* sql(second, (sql) => sql`select sum(n)::int as sum from kept`), [{ sum: 42 }])
    }))

  it.live("refuses a directory that a living server uses", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const server = yield* start({ dir, durable: false })
      const error = yield* refusal(start({ dir, durable: false }))
      assert.strictEqual(error.reason, "DirectoryInUse")
      assert.include(error.message, `process ${server.pid}`)
      assert.include(error.message, dir)
      assert.deepStrictEqual(yield* sql(server, (sql) => sql`select 1 as one`), [{ one: 1 }])
    }))

  it.live("of several starts at once in an empty directory one wins, the others are refused", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const results = yield* Effect.all(
        Array.from({ length: 3 }, () => Effect.result(start({ dir, durable: false }))),
        { concurrency: "unbounded" }
      )
      const servers: Array<EmbeddedServer> = []
      for (const result of results) {
        if (result._tag === "Success") servers.push(result.success)
        else assert.strictEqual(result.failure.reason, "DirectoryInUse", result.failure.message)
      }
      assert.strictEqual(servers.length, 1)
      assert.deepStrictEqual(yield* sql(servers[0]!, (sql) => sql`select 1 as one`), [{ one: 1 }])
      assert.deepStrictEqual(Fs.readdirSync(dir).filter((name) => name.startsWith("initdb-")), [])
    }), 60_000)

  it.live("takes the asked port, and names a taken one", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const squatter = yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = Net.createServer()
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { port } = squatter.address() as Net.AddressInfo
      const error = yield* refusal(start({ dir, port, durable: false }))
      assert.strictEqual(error.reason, "PortTaken")
      assert.include(error.message, String(port))
      yield* Effect.callback<void>((resume) => {
        squatter.close(() => resume(Effect.void))
      })
      const server = yield* start({ dir, port, durable: false })
      assert.strictEqual(server.port, port)
      assert.strictEqual((yield* refusal(start({ dir, port: 70_000 }))).reason, "PortTaken")
    }))

  it.live("clears a lock left by a killed server, even when its pid has gone to somebody else", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      yield* Effect.scoped(start({ dir, durable: false }))
      const lock = Path.join(dir, "pgdata", "postmaster.pid")
      Fs.writeFileSync(lock, `${process.pid}\n${Path.join(dir, "pgdata")}\n1\n1\n\n127.0.0.1\n0 0\nready   \n`, { mode: 0o600 })
      const server = yield* start({ dir, durable: false })
      assert.isTrue(isAlive(server.pid))
    }))

  it.live("recovers what was committed when the server was killed", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      yield* Effect.scoped(Effect.gen(function*() {
        const first = yield* start({ dir, durable: false })
        yield* sql(first, (sql) => Effect.andThen(sql`create table kept (n int)`, sql`insert into kept values (42)`))
        process.kill(first.pid, "SIGKILL")
        // Its scope closes now: nothing to stop, no harm.
      }))
      const second = yield* start({ dir, durable: false })
      assert.deepStrictEqual(yield* sql(second, (sql) => sql`select n from kept`), [{ n: 42 }])
    }))

  it.live("says which directory it cannot use, and why", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const file = Path.join(dir, "file")
      Fs.writeFileSync(file, "")
      const notDirectory = yield* refusal(start({ dir: Path.join(file, "below") }))
      assert.strictEqual(notDirectory.reason, "DirectoryUnusable")
      assert.include(notDirectory.message, file)

      Fs.writeFileSync(Path.join(dir, "PG_VERSION"), "18\n")
      assert.include((yield* refusal(start({ dir }))).message, "another server's data directory")

      const older = Path.join(dir, "older")
      Fs.mkdirSync(Path.join(older, "pgdata"), { recursive: true })
      Fs.writeFileSync(Path.join(older, "pgdata", "PG_VERSION"), "16\n")
      assert.include((yield* refusal(start({ dir: older }))).message, "made by PostgreSQL 16")
    }))

  it.live("a bad setting ends the start with the server's own words", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      const error = yield* refusal(start({ dir, durable: false, settings: { shared_buffers: "a lot" } }))
      assert.strictEqual(error.reason, "StartFailed")
      assert.include(error.message, "shared_buffers")
    }))

  it.live("a start that is interrupted leaves nothing running", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryDirectory
      for (const millis of [30, 250, 600]) {
        yield* Effect.scoped(start({ dir, durable: false })).pipe(Effect.timeoutOption(millis))
      }
      const inDir = Fs.readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(dir))
      assert.deepStrictEqual(inDir.map(commandLine), [])
      assert.isAbove((yield* start({ dir, durable: false })).port, 0)
    }))
})

const commandLine = (pid: string): string => {
  try {
    return Fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")
  } catch {
    return ""
  }
}

describe("a program that ends without closing its scopes", () => {
  const program = (dir: string, end: string) => `
    import * as Effect from "effect/Effect"
    import { start } from ${JSON.stringify(new URL("../../src/embedded/EmbeddedServer.ts", import.meta.url).href)}
    await Effect.runPromise(Effect.scoped(Effect.flatMap(start({ dir: ${JSON.stringify(dir)}, durable: false }), (server) => {
      process.stdout.write(String(server.pid) + "\\n")
      ${end}
      return Effect.never
    })))`

  for (const [name, end] of [["process.exit", "process.exit(3)"], ["SIGKILL", `process.kill(process.pid, "SIGKILL")`]] as const) {
    it.live(`by ${name} leaves no server`, () =>
      Effect.gen(function*() {
        const dir = yield* temporaryDirectory
        const output = yield* run(["--conditions=source", "--input-type=module-typescript", "-e", program(dir, end)])
        const pid = Number.parseInt(output.stdout, 10)
        assert.isAbove(pid, 0, output.stderr)
        for (let wait = 0; isAlive(pid) && wait < 100; wait++) yield* Effect.sleep("50 millis")
        assert.isFalse(isAlive(pid))
        assert.isAbove((yield* start({ dir, durable: false })).port, 0)
      }))
  }
})
