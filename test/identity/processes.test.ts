import { ErrorHistory, MetricsHistory, TraceHistory } from "@effect-observability/core"
import { EmbeddedServer, Postgres } from "@effect-observability/postgres"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Redacted, Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Client } from "pg"

// Four programs in processes of their own write into one store: two clusters, two environments, one of them killed and started again. What each of them
// counted is asked from outside, by every part of who they are.

const rounds = 15

interface Who {
  readonly instance: string
  readonly cluster: string
  readonly env: string
  readonly step: number
}

const fleet: ReadonlyArray<Who> = [
  { instance: "shop-1", cluster: "east", env: "production", step: 1 },
  { instance: "shop-2", cluster: "east", env: "staging", step: 100 },
  { instance: "shop-3", cluster: "west", env: "production", step: 10_000 },
  { instance: "shop-4", cluster: "west", env: "production", step: 1_000_000 }
]
const killed = fleet[3]!

class Writer {
  output = ""
  private readonly child: ChildProcess
  private readonly ended: Promise<number | null>

  constructor(who: Who, url: string) {
    this.child = spawn(process.execPath, ["--conditions=source", fileURLToPath(new URL("writer.ts", import.meta.url))], {
      env: {
        ...process.env, DATABASE_URL: url, ROUNDS: String(rounds), STEP: String(who.step), APP_ENV: who.env, OBSERVABILITY_CLUSTER: who.cluster,
        OTEL_RESOURCE_ATTRIBUTES: `service.name=shop,service.version=1.2.3,service.instance.id=${who.instance}`, POSTGRES_FLUSH_INTERVAL: "60"
      },
      stdio: ["ignore", "pipe", "pipe"]
    })
    for (const stream of [this.child.stdout!, this.child.stderr!]) stream.setEncoding("utf8").on("data", (text: string) => (this.output += text))
    this.ended = new Promise((resolve) => this.child.once("close", resolve))
  }

  /** The last number it said of something. */
  last(word: "counted" | "stored"): number {
    return Number([...this.output.matchAll(new RegExp(`^${word} (\\d+)$`, "gm"))].at(-1)?.[1] ?? 0)
  }

  async kill(after: number): Promise<void> {
    for (let i = 0; this.last("stored") < after; i++) {
      if (i === 1_500 || this.child.exitCode !== null) throw new Error(`never stored ${after}:\n${this.output}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    this.child.kill("SIGKILL")
    await this.ended
  }

  async end(): Promise<void> {
    assert.strictEqual(await this.ended, 0, this.output)
    assert.include(this.output, "balanced")
  }
}

const scope = Scope.makeUnsafe()
const dir = mkdtempSync(join(tmpdir(), "obs-fleet-"))
const whole = { start: Date.now() - 600_000, end: Date.now() + 1_200_000 }
let history: Context.Context<MetricsHistory | TraceHistory | ErrorHistory>
let db: Client
/** What each process counted and the store has, by instance; of the killed one at least what it was told. */
const counted = new Map<string, { readonly least: number; readonly most: number }>()

beforeAll(async () => {
  const server = await Effect.runPromise(Scope.provide(EmbeddedServer.start({ dir: join(dir, "data"), durable: false }), scope))
  const url = Redacted.value(server.url)
  // All at once: they also agree who makes the tables.
  const writers = fleet.map((who) => new Writer(who, url))
  const first = writers[3]!
  await first.kill(3 * killed.step)
  const again = new Writer(killed, url)
  for (const writer of [...writers.slice(0, 3), again]) await writer.end()
  fleet.forEach((who, i) => void counted.set(who.instance, { least: writers[i]!.last("stored"), most: writers[i]!.last("counted") }))
  // A kill may come between "counted" and the step after it.
  counted.set(killed.instance, { least: first.last("stored") + again.last("stored"), most: first.last("counted") + killed.step + again.last("counted") })
  history = await Effect.runPromise(Scope.provide(Layer.build(Postgres.layer({ connection: server.url })), scope))
  db = new Client({ connectionString: url })
  await db.connect()
  await db.query("set search_path to observability")
}, 120_000)

afterAll(async () => {
  await db?.end()
  await Effect.runPromise(Scope.close(scope, Exit.void))
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
})

const run = <A, E>(effect: Effect.Effect<A, E, MetricsHistory | TraceHistory | ErrorHistory>) => Effect.runPromise(Effect.provideContext(effect, history))
const total = (query: { readonly resource?: object; readonly groupByResource?: ReadonlyArray<"service" | "version" | "instance" | "cluster" | "env"> }) =>
  run(Effect.gen(function*() {
    const step = whole.end - whole.start
    const { series } = yield* (yield* MetricsHistory).queryRange({ metric: "identity_work_total", function: "increase", groupBy: [], start: whole.end, end: whole.end, step, ...query })
    return series.map(({ resource, values }) => [Object.values(resource ?? {}).join(), values[0]!] as const)
  }))
const within = (value: number, some: (who: Who) => boolean): void => {
  const all = fleet.filter(some).map(({ instance }) => counted.get(instance)!)
  assert.isAtLeast(value, all.reduce((sum, { least }) => sum + least, 0))
  assert.isAtMost(value, all.reduce((sum, { most }) => sum + most, 0))
}

describe("four processes and one store", () => {
  it("processes that were left alone have all they counted", async () => {
    for (const { instance, step } of fleet.slice(0, 3)) {
      assert.deepStrictEqual(counted.get(instance), { least: rounds * step, most: rounds * step })
      assert.deepStrictEqual(await total({ resource: { instance } }), [["", rounds * step]])
    }
  })

  it("the killed one lacks at most what it had not been told of, and its restart is no decrease", async () => {
    const [[, value]] = (await total({ resource: { instance: killed.instance } })) as [readonly [string, number]]
    within(value, ({ instance }) => instance === killed.instance)
    assert.isAtLeast(value, (rounds + 3) * killed.step)
  })

  it("clusters, environments and instances are compared", async () => {
    for (const [field, of] of [["cluster", (who: Who) => who.cluster], ["env", (who: Who) => who.env], ["instance", (who: Who) => who.instance]] as const) {
      const rows = await total({ groupByResource: [field] })
      assert.deepStrictEqual(rows.map(([name]) => name), [...new Set(fleet.map(of))].sort())
      for (const [name, value] of rows) within(value, (who) => of(who) === name)
    }
    const both = await total({ groupByResource: ["cluster", "env"], resource: { service: "shop", version: "1.2.3" } })
    assert.deepStrictEqual(both.map(([name]) => name), ["east,production", "east,staging", "west,production"])
    assert.deepStrictEqual(await total({ resource: { service: "another" } }), [])
  })

  it("a set value is that of each process", async () => {
    const loads = await run(Effect.gen(function*() {
      const { series } = yield* (yield* MetricsHistory).queryRange({
        metric: "identity_load", function: "max", groupByResource: ["instance"], start: whole.end, end: whole.end, step: whole.end - whole.start
      })
      return series.map(({ resource, values }) => [resource?.instance, values[0]])
    }))
    assert.deepStrictEqual(loads, fleet.map(({ instance, step }) => [instance, step]))
  })

  it("spans and errors know whose they are", async () => {
    const range = { startTime: whole.start, endTime: whole.end }
    for (const { cluster, env, instance } of fleet) {
      const { page, errors, operations } = await run(Effect.gen(function*() {
        const resource = { instance, cluster, env }
        return {
          page: yield* (yield* TraceHistory).searchTraces({ ...range, resource, operation: "work", limit: 1_000 }),
          operations: yield* (yield* TraceHistory).operations({ ...range, resource }),
          errors: (yield* (yield* ErrorHistory).searchErrors({ ...range, resource })).errors
        }
      }))
      assert.isAtLeast(page.traces.length, rounds)
      assert.isAtMost(page.traces.length, instance === killed.instance ? 2 * rounds : rounds)
      assert.strictEqual(operations.find(({ name }) => name === "work")?.count, page.traces.length)
      assert.deepStrictEqual(errors.map(({ message }) => message), ["the work is done"])
    }
    const none = await run(Effect.flatMap(TraceHistory, (traces) => traces.searchTraces({ ...range, resource: { cluster: "east", instance: killed.instance } })))
    assert.deepStrictEqual(none.traces, [])
  })

  it("there is one store: one set of tables, a row per process start's identity, and no number twice", async () => {
    const rows = (await db.query("select service, version, instance, env, cluster from obs_resource order by instance")).rows
    assert.deepStrictEqual(rows.filter(({ service }) => service === "shop"), fleet.map(({ cluster, env, instance }) => ({ service: "shop", version: "1.2.3", instance, env, cluster })))
    const twice = (await db.query("select lane, seq, item from obs_metric_frame group by 1, 2, 3 having count(*) > 1")).rows
    assert.deepStrictEqual(twice, [])
    const migrations = (await db.query("select count(*) = count(distinct name) as once from obs_migration")).rows
    assert.deepStrictEqual(migrations, [{ once: true }])
  })
})
