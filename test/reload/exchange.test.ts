import { EmbeddedServer } from "@effect-observability/postgres"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, type Scope } from "effect"
import { fork } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fakeServer } from "../../packages/clickhouse/test/support/fakeServer.ts"
import { RowReader } from "../../packages/clickhouse/test/support/RowReader.ts"
import { startAgent } from "../../packages/datadog/test/support/agent.ts"
import { countOf, listenUnixDatagram, socketPath } from "../../packages/datadog/test/support/statsd.ts"
import { collector } from "../../packages/opentelemetry/test/support/collector.ts"
import { ask, targetOf } from "../../packages/postgres/test/support/database.ts"
import { parseText } from "../../packages/prometheus/test/support/parseText.ts"
import { startReceiver } from "../../packages/sentry/test/support/receiver.ts"
import type { Answer, Order } from "./program.ts"

/** More rounds, for an hour in which nobody waits: `ROUNDS=1000 npx vitest run test/reload`. */
const rounds = Number(process.env["ROUNDS"] ?? 48)

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "obs-reload-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)

/** Runs the program to its end, with somebody who reads its page of metrics. */
const run = (order: Order, scraper: Scraper): Effect.Effect<Answer, Error, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() => fork(new URL("./program.ts", import.meta.url), { execArgv: ["--conditions=source", "--expose-gc"], stdio: ["ignore", "inherit", "inherit", "ipc"] })),
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    ),
    (child) =>
      Effect.callback<Answer, Error>((resume) => {
        child.on("message", (said: { readonly port?: number; readonly ending?: boolean; readonly answer?: Answer; readonly error?: string }) => {
          if (said.port !== undefined) scraper.start(said.port)
          if (said.ending === true) void scraper.stop().then(() => child.send("bye"))
          if (said.answer !== undefined) resume(Effect.succeed(said.answer))
          if (said.error !== undefined) resume(Effect.fail(new Error(said.error)))
        })
        child.once("exit", (code) => resume(Effect.fail(new Error(`the program ended with ${code}`))))
        child.send(order)
      })
  )

/** Reads the page again and again; every value of a counter and every count of a histogram is at least what it was, and none is missing. */
class Scraper {
  pages = 0
  readonly problems: Array<string> = []
  last = new Map<string, number>()
  private going = true
  private done: Promise<void> = Promise.resolve()

  start(port: number): void {
    this.done = this.work(port)
  }

  private async work(port: number): Promise<void> {
    while (this.going) {
      try {
        this.look(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text())
      } catch (error) {
        this.problems.push(String(error))
      }
      await new Promise((later) => setTimeout(later, 20))
    }
  }

  private look(text: string): void {
    this.pages++
    const now = new Map(parseText(text).samples.filter(({ name }) => /_(total|count|bucket)$/.test(name) && !/^(process|nodejs)_/.test(name))
      .map(({ labels, name, value }) => [`${name} ${JSON.stringify(labels)}`, value]))
    for (const [key, value] of this.last) {
      const next = now.get(key)
      if (next === undefined) this.problems.push(`${key} is missing`)
      else if (next < value) this.problems.push(`${key} fell from ${value} to ${next}`)
    }
    this.last = now
  }

  async stop(): Promise<void> {
    this.going = false
    await this.done
  }
}

/** The rows of an insert, by the names and types in its header (RowBinaryWithNamesAndTypes). */
const bodyRows = (body: Buffer): ReadonlyArray<Readonly<Record<string, unknown>>> => {
  const reader = new RowReader(body)
  const names = reader.value("Array(String)") as ReadonlyArray<string>
  const types = names.map(() => String(reader.value("String")))
  const rows: Array<Record<string, unknown>> = []
  while (!reader.done) rows.push(Object.fromEntries(names.map((name, i) => [name, reader.value(types[i]!)])))
  return rows
}

const timesOf = (names: ReadonlyArray<string>, prefix = "job "): { readonly distinct: number; readonly all: number } => {
  const jobs = names.filter((name) => name.startsWith(prefix))
  return { distinct: new Set(jobs).size, all: jobs.length }
}

describe(`${rounds} exchanges of real backends while the program records`, () => {
  it.live("nothing is lost or doubled, the books agree, the page never falls, and nothing stays behind", () =>
    Effect.gen(function*() {
      const dir = yield* folder
      const server = yield* EmbeddedServer.start({ dir: join(dir, "data"), durable: false })
      const target = targetOf(server.url)
      const second = new URL(Redacted.value(server.url))
      yield* ask(target, "create role second login superuser password 'other-secret'")
      second.username = "second"
      second.password = "other-secret"
      const collectors = [yield* collector(), yield* collector()] as const
      const clickhouse = yield* fakeServer
      const agent = yield* Effect.acquireRelease(Effect.promise(() => startAgent()), (agent) => Effect.promise(() => agent.close()))
      const statsd = yield* Effect.forEach([0, 1], () => {
        const { path, remove } = socketPath()
        return Effect.acquireRelease(Effect.sync(() => listenUnixDatagram(path)), (receiver) => Effect.promise(() => receiver.close().finally(remove)))
      })
      const sentry = yield* Effect.acquireRelease(Effect.promise(() => startReceiver()), (receiver) => Effect.promise(() => receiver.stop()))
      const scraper = new Scraper()
      yield* Effect.addFinalizer(() => Effect.promise(() => scraper.stop()))

      const connections = ask(target, "select count(*)::int as n from pg_stat_activity where application_name like 'effect-observability%'")
      let connected = 0
      const watch = yield* Effect.forkChild(Effect.forever(Effect.andThen(
        Effect.map(connections, ([row]) => void (connected = Math.max(connected, Number(row!["n"])))),
        Effect.sleep(200)
      )))
      const answer = yield* run({
        rounds,
        postgres: [Redacted.value(server.url), second.href],
        collectors: [collectors[0].url, collectors[1].url],
        clickhouse: clickhouse.url,
        agent: agent.url,
        sentry: sentry.dsn,
        statsd: [statsd[0]!.address, statsd[1]!.address]
      }, scraper)
      watch.interruptUnsafe()
      yield* Effect.sleep(200)

      const { books, errors, imbalances, jobs, logs, spans, stored } = answer
      const once = (count: number) => ({ distinct: count, all: count })
      assert.deepStrictEqual([imbalances, answer.failures, answer.version], [[], 0, rounds + 2])
      assert.isAbove(spans, rounds * 3)
      assert.isAbove(stored.spans, 0)
      assert.isBelow(stored.spans, spans)

      // OpenTelemetry, over HTTP, to two receivers in turn.
      assert.deepStrictEqual(collectors.flatMap(({ problems }) => problems), [])
      assert.isTrue(collectors.every((one) => one.spans().length > 0))
      assert.deepStrictEqual(timesOf(collectors.flatMap((one) => one.spans().map(({ name }) => name))), once(spans))
      const points = collectors.flatMap((one) => one.metrics()).filter(({ name }) => name === "jobs_total").flatMap(({ sum }) => sum.dataPoints)
      assert.strictEqual(points.reduce((sum, { asDouble, asInt }) => sum + Number(asInt ?? asDouble), 0), jobs)
      const bodies = collectors.flatMap((one) => one.logs())
      assert.deepStrictEqual(timesOf(bodies.map(({ body }) => String(body?.stringValue)), "line "), once(logs))
      assert.deepStrictEqual(timesOf(bodies.map(({ attributes }) => String(attributes?.find(({ key }: { readonly key: string }) => key === "exception.message")?.value.stringValue)), "error "), once(errors))

      // PostgreSQL: two accounts in turn, off now and then.
      const [inDatabase] = yield* ask(target, "select count(*)::int as n, count(distinct name)::int as names from observability.observability_spans where name like 'job %'")
      assert.deepStrictEqual({ ...inDatabase }, { n: stored.spans, names: stored.spans })
      const [total] = yield* ask(target, "select sum(value)::int as total from observability.observability_metrics where name = 'jobs_total'")
      assert.strictEqual(total!["total"], stored.jobs)
      const [failed] = yield* ask(target, "select count(distinct error_id)::int as ids, coalesce(sum(count), 0)::int as n from observability.observability_errors")
      assert.deepStrictEqual({ ...failed }, { ids: stored.errors, n: stored.errors })

      // ClickHouse's wire, as far as it goes.
      assert.deepStrictEqual(timesOf(clickhouse.stored("otel_traces").flatMap(({ body }) => bodyRows(body).map((row) => String(row["SpanName"])))), once(spans))
      const sums = clickhouse.stored("otel_metrics_sum").flatMap(({ body }) => bodyRows(body)).filter((row) => row["MetricName"] === "jobs_total")
      assert.strictEqual(sums.reduce((sum, row) => sum + Number(row["Value"]), 0), jobs)
      assert.strictEqual(new Set(clickhouse.requests().map(({ authorization }) => authorization)).size, 3)
      const records = clickhouse.stored("otel_logs").flatMap(({ body }) => bodyRows(body))
      assert.deepStrictEqual(timesOf(records.map((row) => String(row["Body"])), "line "), once(logs))
      assert.strictEqual(records.length, logs + errors)

      // Sentry's envelopes.
      assert.deepStrictEqual(timesOf(sentry.items("span").flatMap(({ items }) => items.map(({ name }: { readonly name: string }) => name))), once(spans))
      assert.deepStrictEqual(timesOf(sentry.items("event").map(({ exception }) => exception.values.at(-1).value), "error "), once(errors))
      assert.deepStrictEqual(timesOf(sentry.items("log").flatMap(({ items }) => items.map(({ body }: { readonly body: string }) => body)), "line "), once(logs))

      // Datadog's agent: its trace API, and DogStatsD on two sockets in turn.
      assert.deepStrictEqual(agent.failures, [])
      assert.deepStrictEqual(timesOf(agent.spans().map(({ resource }) => resource)), once(spans))
      const samples = statsd.flatMap((one) => one.samples())
      assert.strictEqual(samples.filter(({ name }) => name === "jobs_total").reduce((sum, { values }) => sum + Number(values[0]), 0), jobs)
      assert.strictEqual(samples.filter(({ name }) => name === "job_seconds").reduce((sum, one) => sum + countOf(one), 0), jobs)

      // The books of all queues there were, summed.
      for (const [name, { accepted, dropped, exported, offered, rejected, unconfirmed }] of Object.entries(books)) {
        assert.deepStrictEqual([name, rejected, dropped, unconfirmed, offered], [name, {}, {}, 0, exported])
        assert.strictEqual(accepted, exported, name)
      }
      for (const backend of ["opentelemetry", "clickhouse", "datadog", "sentry"]) assert.strictEqual(books[`${backend} spans`]!.exported, spans, backend)
      assert.strictEqual(books["postgres spans"]!.exported, stored.spans)

      // The page.
      assert.deepStrictEqual(scraper.problems, [])
      assert.isAbove(scraper.pages, 10)

      // What stays: the same backends hold the same.
      const [left] = yield* connections
      assert.strictEqual(left!["n"], 0)
      const { after, before } = answer
      if (process.env["ROUNDS"] !== undefined) {
        yield* Effect.logInfo(JSON.stringify({ rounds, spans, pages: scraper.pages, seconds: answer.milliseconds / 1000, connections: connected, before, after }))
      }
      assert.deepStrictEqual([after.resources, after.fibers, after.listeners], [before.resources, before.fibers, before.listeners])
      assert.isBelow(after.heap - before.heap, 8 * 1024 * 1024)
    }), 60_000 + rounds * 1_000)
})
