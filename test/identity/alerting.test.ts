import { EmbeddedServer } from "@effect-observability/postgres"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Redacted, Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Client } from "pg"
import * as PostgresServer from "../tools/postgresServer.ts"

// Three programs with one rule and one store: people are told once, whoever of them is killed or paused, and whatever happens to the database meanwhile.

class Alerter {
  output = ""
  readonly child: ChildProcess
  private readonly ended: Promise<number | null>

  constructor(url: string, webhook: string) {
    this.child = spawn(process.execPath, ["--conditions=source", fileURLToPath(new URL("alerter.ts", import.meta.url))], {
      env: { ...process.env, DATABASE_URL: url, OBSERVABILITY_ALERTING_WEBHOOK: webhook },
      stdio: ["pipe", "pipe", "pipe"]
    })
    // A killed one reads nothing any more.
    this.child.stdin!.on("error", () => {})
    for (const stream of [this.child.stdout!, this.child.stderr!]) stream.setEncoding("utf8").on("data", (text: string) => (this.output += text))
    this.ended = new Promise((resolve) => this.child.once("close", resolve))
  }

  say(word: string): void {
    this.child.stdin!.write(`${word}\n`)
  }

  async end(): Promise<void> {
    this.child.stdin!.end("end\n")
    assert.strictEqual(await this.ended, 0, this.output)
    assert.include(this.output, "balanced")
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL")
    await this.ended
  }
}

const scope = Scope.makeUnsafe()
const dir = mkdtempSync(join(tmpdir(), "obs-alerters-"))
/** `firing` and `resolved`, as the receiver got them. */
const told: Array<string> = []
let receiver: Server
let server: PostgresServer.PostgresServer<unknown>
let alive: Array<Alerter> = []

const until = async <A>(what: string, ask: () => A | undefined | false | Promise<A | undefined | false>, seconds = 20): Promise<A> => {
  for (const end = Date.now() + seconds * 1_000; Date.now() < end;) {
    const found = await ask()
    if (found !== undefined && found !== false) return found
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`waited for ${what}; told: ${told.join(", ")}\n${alive.map(({ output }) => output).join("\n")}`)
}
const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))
const rows = async (sql: string) => {
  const db = new Client({ connectionString: Redacted.value(server.url) })
  await db.connect()
  try {
    return (await db.query(sql)).rows as ReadonlyArray<Record<string, any>>
  } finally {
    await db.end()
  }
}
/** The server process behind whoever leads. */
const leader = () => until("a leader", async () => (await rows("select pid from pg_locks where locktype = 'advisory' and granted and objsubid = 1 and pid in (select pid from pg_stat_activity where query like '%alert_%')"))[0]?.["pid"] as number | undefined)
const count = (word: string) => told.filter((one) => one === word).length

beforeAll(async () => {
  receiver = createServer((request, response) => {
    let body = ""
    request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk))
    request.on("end", () => {
      for (const { status } of JSON.parse(body).alerts) told.push(status)
      response.end()
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve))
  server = await Effect.runPromise(Scope.provide(PostgresServer.make((port) => EmbeddedServer.start({ dir: join(dir, "data"), durable: false, ...(port === undefined ? {} : { port }) })), scope))
  alive = Array.from({ length: 3 }, () => new Alerter(Redacted.value(server.url), `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`))
  await until("three of them", () => alive.every(({ output }) => output.includes("ready")))
}, 60_000)

afterAll(async () => {
  for (const { child } of alive) child.kill("SIGKILL")
  await Effect.runPromise(Scope.close(scope, Exit.void))
  await new Promise((resolve) => receiver.close(resolve))
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
})

describe("three processes that alert", () => {
  it("tell people once, go on when the leader is killed, and through an outage of the database", async () => {
    await leader()
    for (const one of alive) one.say("50")
    await until("the alert", () => count("firing") > 0)
    await pause(1_500)
    assert.deepStrictEqual(told, ["firing"])

    // Which process leads is not known from outside: each is killed in turn but one, so the leader is among them or it was told already.
    await alive.shift()!.kill()
    await leader()
    await pause(1_500)
    assert.deepStrictEqual(told, ["firing"], "a killed process makes nobody say it again")

    // The connection of whoever leads is cut: it meets the others on a new one.
    await rows(`select pg_terminate_backend(${await leader()})`)
    await leader()
    await pause(1_500)
    assert.deepStrictEqual(told, ["firing"], "a cut connection makes nobody say it again")

    // Without the database each is on its own. What was told is known to all of them.
    await Effect.runPromise(server.shutdown("fast"))
    await pause(1_500)
    await Effect.runPromise(server.restart as Effect.Effect<void>)
    await leader()
    await pause(1_500)
    assert.deepStrictEqual(told, ["firing"], "an outage makes nobody say it again")

    for (const one of alive) one.say("1")
    await pause(1_500)
    assert.deepStrictEqual(told, ["firing"], "what a process said holds for a minute")
    // The minute of the killed one passes.
    await rows("update observability.obs_alert_member set seen_at = seen_at - interval '1 minute' where seen_at < now() - interval '3 seconds' returning producer")
    await until("the end", () => count("resolved") > 0)
    await pause(1_500)
    assert.deepStrictEqual(told, ["firing", "resolved"])

    // What begins during an outage is told by each of those that live, at most: twice is better than never.
    await Effect.runPromise(server.shutdown("fast"))
    for (const one of alive) one.say("50")
    await until("an alert without a database", () => count("firing") > 1)
    await pause(1_500)
    assert.isAtMost(count("firing"), 1 + alive.length)
    await Effect.runPromise(server.restart as Effect.Effect<void>)
    await leader()
    await pause(1_500)
    assert.isAtMost(count("firing"), 1 + alive.length + 1)
    for (const one of alive) one.say("1")
    await until("the end of it", () => count("resolved") > 1)

    for (const one of alive) await one.end()
    const events = await rows("select state, count(*)::int as n, count(distinct event_id)::int as ids from observability.obs_alert_event group by 1 order by 1")
    for (const { ids, n } of events) assert.strictEqual(n, ids)
    alive = []
  }, 120_000)
})
