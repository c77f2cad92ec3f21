import { PgConnection } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as TcpProxy from "../../../../test/tools/tcpProxy.ts"
import { controlledServer, through } from "./support.ts"

/** The tools must do what their names say before a test that uses them means anything. */

const connect = (url: Redacted.Redacted<string>) => PgConnection.make({ url, connectTimeout: "1 second" })

/** Runs one statement on a connection of its own. */
const once = (url: Redacted.Redacted<string>, sql: string) =>
  Effect.scoped(Effect.flatMap(connect(url), (connection) => Effect.map(connection.query(sql), ({ rows }) => rows)))

const fails = <A, E>(effect: Effect.Effect<A, E>) => Effect.map(Effect.exit(effect), (exit) => exit._tag === "Failure")

const settled = (condition: Effect.Effect<boolean, unknown>) =>
  Effect.gen(function*() {
    for (let i = 0; i < 100; i++) {
      if (yield* condition) return
      yield* Effect.sleep("50 millis")
    }
    assert.fail("did not settle within 5 seconds")
  })

describe("the controlled server", () => {
  it.live("is killed, restarted on the same port and data, and keeps what was committed", () =>
    Effect.gen(function*() {
      const server = yield* controlledServer
      yield* once(server.url, "create table kept (n int)")
      for (const [round, kill] of [server.kill9, server.killPostmaster, server.shutdown("fast"), server.shutdown("immediate")].entries()) {
        yield* once(server.url, `insert into kept values (${round})`)
        yield* kill
        assert.isFalse(server.isRunning())
        assert.isTrue(yield* fails(once(server.url, "select 1")))
        yield* server.restart
        assert.strictEqual((yield* once(server.url, "select n from kept")).length, round + 1)
      }
    }))

  it.live("is paused: nobody answers, old connections and statements survive, also a kill in the pause", () =>
    Effect.gen(function*() {
      const server = yield* controlledServer
      const connection = yield* connect(server.url)
      yield* connection.query("create table late (n int)")
      yield* server.pause
      assert.isFalse(server.isRunning())
      const insert = yield* Effect.forkChild(connection.query("insert into late values (1)"), { startImmediately: true })
      assert.isTrue(yield* fails(once(server.url, "select 1")))
      assert.strictEqual(insert.pollUnsafe(), undefined)
      yield* server.resume
      yield* settled(Effect.map(once(server.url, "select n from late"), (rows) => rows.length === 1))
      yield* server.pause
      yield* server.kill9
      yield* server.restart
      assert.strictEqual((yield* once(server.url, "select n from late")).length, 1)
    }))

  it.live("loses its backends one by one, or all when one crashes", () =>
    Effect.gen(function*() {
      const server = yield* controlledServer
      // The login that made sure of the server may still be ending.
      yield* settled(Effect.map(server.terminateBackends, (ended) => ended === 0))
      const one = yield* connect(server.url)
      yield* one.query("select 1")
      assert.strictEqual(yield* server.terminateBackends, 1)
      yield* settled(fails(one.query("select 1")))
      const [a, b] = [yield* connect(server.url), yield* connect(server.url)]
      yield* Effect.all([a.query("select 1"), b.query("select 1")])
      assert.isTrue(yield* server.kill9Backend)
      yield* settled(Effect.all([fails(a.query("select 1")), fails(b.query("select 1"))]).pipe(Effect.map((both) => both.every(Boolean))))
      yield* settled(Effect.map(fails(once(server.url, "select 1")), (failed) => !failed))
    }))
})

describe("the proxy", () => {
  const proxied: Effect.Effect<
    { readonly url: Redacted.Redacted<string>; readonly direct: Redacted.Redacted<string>; readonly proxy: TcpProxy.TcpProxy },
    unknown,
    Scope.Scope
  > = Effect.gen(function*() {
    const server = yield* controlledServer
    const proxy = yield* TcpProxy.make(server.port)
    yield* once(server.url, "create table seen (n int)")
    return { url: through(server.url, proxy.port), direct: server.url, proxy }
  })

  it.live("forwards, cuts, refuses, hangs and delays", () =>
    Effect.gen(function*() {
      const { proxy, url } = yield* proxied
      const connection = yield* connect(url)
      assert.deepStrictEqual((yield* connection.query("select 1 as one")).rows, [{ one: 1 }])
      // Larger than any buffer on the way.
      const { rows } = yield* connection.query("select repeat('x', 3000000) as text")
      assert.strictEqual(String(rows[0]?.["text"]).length, 3_000_000)

      yield* proxy.setLatency(60)
      const before = performance.now()
      yield* connection.query("select 1")
      // Timers may come a little early.
      assert.isAtLeast(performance.now() - before, 110)
      yield* proxy.setLatency(0)

      yield* proxy.hang
      const stuck = yield* Effect.forkChild(connection.query("select 2 as two"), { startImmediately: true })
      yield* Effect.sleep("100 millis")
      assert.strictEqual(stuck.pollUnsafe(), undefined)
      yield* proxy.unhang
      yield* settled(Effect.sync(() => stuck.pollUnsafe()?._tag === "Success"))

      assert.strictEqual(proxy.connections(), 1)
      yield* proxy.cut
      yield* settled(fails(connection.query("select 1")))
      yield* proxy.refuse
      assert.isTrue(yield* fails(once(url, "select 1")))
      yield* proxy.accept
      assert.isFalse(yield* fails(once(url, "select 1")))
    }))

  for (const [kind, stored] of [["lost request", 0], ["half a request", 0], ["lost answer", 1], ["late request", 1]] as const) {
    it.live(`${kind}: the client sees a failure, the server has ${stored} row`, () =>
      Effect.gen(function*() {
        const { direct, proxy, url } = yield* proxied
        const insert = "insert into seen values ($1::int4)"
        // Prepared by the first run, so that the second no longer carries the text.
        const connection = yield* connect(url)
        for (const round of [1, 2]) {
          if (round === 2) yield* proxy.onStatement(/insert into seen/, kind === "late request" ? { kind, late: 300 } : { kind })
          const failed = yield* fails(connection.query(insert, [String(round)]))
          assert.strictEqual(failed, round === 2)
        }
        assert.strictEqual(proxy.hits(), 1)
        const count = Effect.map(once(direct, "select n from seen where n = 2"), (rows) => rows.length)
        if (kind === "late request") {
          assert.strictEqual(yield* count, 0)
          yield* settled(Effect.map(count, (n) => n === 1))
        } else assert.strictEqual(yield* count, stored)
        assert.isFalse(yield* fails(once(url, "insert into seen values (3)")))
      }))
  }
})
