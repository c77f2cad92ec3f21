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

// Leaders that are paused or killed at the worst moment: the receiver refuses them, so that they lead and have told nobody. Each process has an address of
// its own at the receiver, which tells who spoke.

interface Child {
  readonly process: ChildProcess
  readonly ended: Promise<number | null>
  output: string
}

const scope = Scope.makeUnsafe()
const dir = mkdtempSync(join(tmpdir(), "obs-leaders-"))
const told: Array<{ readonly by: number; readonly status: string }> = []
/** Whom the receiver answers 503, and how often it did. */
let refused: number | undefined
let refusals = 0
let receiver: Server
let server: PostgresServer.PostgresServer<unknown>
const children: Array<Child> = []

const begin = (i: number): Child => {
  const child = spawn(process.execPath, ["--conditions=source", fileURLToPath(new URL("alerter.ts", import.meta.url))], {
    env: {
      ...process.env, DATABASE_URL: Redacted.value(server.url), POSTGRES_FLUSH_INTERVAL: "60",
      OBSERVABILITY_ALERTING_WEBHOOK: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/${i}`
    },
    stdio: ["pipe", "pipe", "pipe"]
  })
  child.stdin!.on("error", () => {})
  const made: Child = { process: child, ended: new Promise((resolve) => child.once("close", resolve)), output: "" }
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding("utf8").on("data", (text: string) => (made.output += text))
  return made
}

const until = async (what: string, ask: () => boolean | Promise<boolean>, seconds = 20): Promise<number> => {
  const start = Date.now()
  for (; Date.now() < start + seconds * 1_000;) {
    if (await ask()) return Date.now() - start
    await pause(50)
  }
  throw new Error(`waited for ${what}; told: ${JSON.stringify(told)}\n${children.map(({ output }) => output).join("\n")}`)
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
const cutLeader = () =>
  rows(`select pg_terminate_backend(l.pid) from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and a.query like '%alert_%'`)
const say = (value: number, of: ReadonlyArray<number>) => {
  for (const i of of) children[i]!.process.stdin!.write(`${value}\n`)
}
const since = (n: number) => told.slice(n).map(({ status }) => status)
const stored = async (state: string) => Number((await rows(`select count(*) as n from observability.obs_alert_event where state = '${state}'`))[0]!["n"])

beforeAll(async () => {
  receiver = createServer((request, response) => {
    const by = Number(request.url!.slice(1))
    let body = ""
    request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk))
    request.on("end", () => {
      if (by === refused) {
        refusals++
        response.statusCode = 503
      } else for (const { status } of JSON.parse(body).alerts) told.push({ by, status })
      response.end()
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve))
  server = await Effect.runPromise(Scope.provide(PostgresServer.make((port) => EmbeddedServer.start({ dir: join(dir, "data"), durable: false, ...(port === undefined ? {} : { port }) })), scope))
  for (let i = 0; i < 3; i++) children.push(begin(i))
  await until("three of them", () => children.every(({ output }) => output.includes("ready")))
}, 60_000)

afterAll(async () => {
  for (const child of children) child.process.kill("SIGKILL")
  await Effect.runPromise(Scope.close(scope, Exit.void))
  await new Promise((resolve) => receiver.close(resolve))
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
})

describe("leaders that had told nobody yet", () => {
  it("are succeeded by one that tells, and say nothing when they come back", async () => {
    await pause(2_000)
    say(50, [0, 1, 2])
    await until("the alert", () => told.length > 0)
    await pause(1_000)
    assert.deepStrictEqual(since(0), ["firing"])
    const first = told[0]!.by
    say(1, [0, 1, 2])
    await until("its end", () => told.length > 1)
    await until("both in the history", async () => await stored("resolved") === 1)

    // Paused with a notification on its way, its connection cut.
    refused = first
    say(50, [0, 1, 2])
    await until("a refusal", () => refusals > 0)
    await pause(400)
    children[first]!.process.kill("SIGSTOP")
    let before = told.length
    await cutLeader()
    assert.isAtMost(await until("the successor", () => told.length > before), 5_000)
    refused = undefined
    await pause(2_000)
    children[first]!.process.kill("SIGCONT")
    await pause(4_000)
    assert.deepStrictEqual(since(before), ["firing"], "nobody says it a second time, the one that was paused neither")
    const second = told.at(-1)!.by
    assert.notStrictEqual(second, first)
    say(1, [0, 1, 2])
    await until("its end", () => told.length > before + 1)
    await until("both in the history", async () => await stored("resolved") === 2)

    // Killed with a notification on its way.
    const rest = [0, 1, 2].filter((i) => i !== second)
    refused = second
    refusals = 0
    say(50, [0, 1, 2])
    await until("a refusal", () => refusals > 0)
    await until("it in the history", async () => await stored("firing") === 3)
    before = told.length
    children[second]!.process.kill("SIGKILL")
    assert.isAtMost(await until("the successor", () => told.length > before), 5_000)
    await pause(1_000)
    assert.deepStrictEqual(since(before), ["firing"])

    // The database stops and comes back.
    await Effect.runPromise(server.shutdown("fast"))
    await pause(1_500)
    await Effect.runPromise(server.restart as Effect.Effect<void>)
    await pause(2_000)
    assert.deepStrictEqual(since(before), ["firing"])

    for (const i of rest) {
      children[i]!.process.stdin!.end("end\n")
      assert.strictEqual(await children[i]!.ended, 0, children[i]!.output)
      assert.include(children[i]!.output, "balanced")
    }
    const events = await rows("select state, count(*)::int as n, count(distinct started_ms)::int as starts from observability.obs_alert_event group by 1 order by 1")
    assert.deepStrictEqual(events, [{ state: "firing", n: 3, starts: 3 }, { state: "resolved", n: 2, starts: 2 }])
  }, 90_000)
})
