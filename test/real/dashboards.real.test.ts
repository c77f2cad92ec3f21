import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { Client } from "pg"
import { installed } from "../../packages/postgres/test/support/npmPostgres.ts"
import { startPrograms } from "../../packages/postgres/test/support/programs.ts"
import { Shop } from "../e2e/Shop.ts"
import { Dashboard, type Selection, type Shown } from "../tools/grafana.ts"
import { eventually, PrometheusServer } from "../tools/realServers.ts"

// Every query of both generated dashboards, as Grafana sends it, against the Prometheus and the PostgreSQL of the demo, while it runs: once
// with everything going wrong that can (on Debian's PostgreSQL 15), once with nothing (on 14).

// What the command makes of the demo's own definitions.
const root = resolve(import.meta.dirname, "../..")
const dir = mkdtempSync(join(tmpdir(), "obs-dashboards-"))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
const { status, stderr } = spawnSync(
  process.execPath,
  ["--conditions=source", "packages/observability/src/cli/main.ts", "generate", "--out", dir, "--title", "Shop", "--definitions", "examples/shop/src/metrics.ts"],
  { cwd: root, encoding: "utf8" }
)
assert.strictEqual(status, 0, stderr)
const file = (path: string) => readFileSync(join(dir, path), "utf8")

/** How long there is traffic before the dashboards are asked. Seconds. */
const busy = 60

interface Line {
  readonly name: string
  readonly values: ReadonlyArray<number>
}

type Lines = ReadonlyMap<string, ReadonlyArray<Line>>

interface Running {
  readonly prometheus: PrometheusServer
  readonly client: Client
  readonly dashboards: { readonly prometheus: Dashboard; readonly postgres: Dashboard }
  /** What a panel shows, all its targets together. */
  readonly ask: (family: Family, title: string, selection?: Selection) => Promise<ReadonlyArray<Line>>
}

type Family = "prometheus" | "postgres"

const families = ["prometheus", "postgres"] as const

/** The demo, its Prometheus with the generated rules, and a database connection of a reader's. */
const running = (programs: string, options: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const server = yield* startPrograms(programs)
    const shop = yield* Effect.acquireRelease(Effect.sync(() => new Shop(["--rate", "40", ...options], { DATABASE_URL: Redacted.value(server.url) })), (shop) => Effect.promise(() => shop.dispose()))
    const client = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new Client({ connectionString: Redacted.value(server.url) })
        await client.connect()
        return client
      }),
      (client) => Effect.promise(() => client.end())
    )
    const [target, warehouse] = yield* Effect.promise(async () => [
      (await shop.url()).slice("http://".length),
      (await shop.until(/warehouse http:\/\/(127\.0\.0\.1:\d+)\/metrics/))[1]!
    ])
    const prometheus = yield* Effect.acquireRelease(
      Effect.promise(() =>
        PrometheusServer.start({
          job: "shop",
          target: target!,
          beside: [{ job: "warehouse", target: warehouse! }],
          rules: { "alerts.yml": file("prometheus/alerts.yml"), "figures.yml": file("prometheus/figures.yml") }
        })
      ),
      (prometheus) => Effect.promise(() => prometheus.dispose())
    )
    const began = Date.now()
    yield* Effect.sleep(busy * 1_000)
    const shown: Shown = { from: began, to: Date.now(), interval: 2, scrapeInterval: 1 }
    const dashboards = { prometheus: new Dashboard(file("grafana/prometheus.json"), shown), postgres: new Dashboard(file("grafana/postgres.json"), shown) }
    yield* Effect.promise(() => dashboards.prometheus.load((query) => labelValues(prometheus, dashboards.prometheus.promql(query))))
    yield* Effect.promise(() => dashboards.postgres.load(async (query) => (await client.query({ text: dashboards.postgres.sql(query), rowMode: "array" })).rows.map(([value]) => String(value))))

    const ask = async (family: Family, title: string, selection: Selection = {}): Promise<ReadonlyArray<Line>> => {
      const dashboard = dashboards[family]
      const panel = dashboard.panels.find((one) => one.title === title)
      const lines: Array<Line> = []
      for (const target of panel.targets) {
        if (family === "prometheus") lines.push(...await rangeQuery(prometheus, dashboard.promql(target.expr, selection), shown))
        else lines.push(...byMetric((await client.query(dashboard.sql(target.rawSql, selection))).rows))
      }
      return lines
    }
    return { prometheus, client, dashboards, ask } satisfies Running
  })

/** Grafana's `label_values(selector, label)`. */
const labelValues = async (prometheus: PrometheusServer, query: string): Promise<ReadonlyArray<string>> => {
  const [, selector, label] = /^label_values\((.*), *(\w+)\)$/.exec(query)!
  return (await prometheus.get(`/api/v1/label/${label}/values?match[]=${encodeURIComponent(selector!)}`)).data
}

const rangeQuery = async (prometheus: PrometheusServer, expr: string, { from, interval, to }: Shown): Promise<ReadonlyArray<Line>> => {
  const answer = await prometheus.get(`/api/v1/query_range?query=${encodeURIComponent(expr)}&start=${from / 1_000}&end=${to / 1_000}&step=${interval}`)
  assert.strictEqual(answer.status, "success", `${expr}: ${answer.error}`)
  return answer.data.result.map(({ metric, values }: any) => ({ name: JSON.stringify(metric), values: values.map(([, value]: [number, string]) => Number(value)) }))
}

const byMetric = (rows: ReadonlyArray<{ readonly time: unknown; readonly metric: string; readonly value: unknown }>): ReadonlyArray<Line> => {
  const lines = new Map<string, Array<number>>()
  for (const { metric, time, value } of rows) {
    assert.instanceOf(time, Date)
    if (!lines.has(metric)) lines.set(metric, [])
    lines.get(metric)!.push(Number(value))
  }
  return [...lines].map(([name, values]) => ({ name, values }))
}

const allPanels = async ({ ask, dashboards }: Running, family: Family): Promise<Lines> => {
  const found = new Map<string, ReadonlyArray<Line>>()
  for (const { title } of dashboards[family].panels) found.set(title, await ask(family, title))
  return found
}

/** A quantile of a window in which nothing happened is `NaN`, and a gap on the panel; nothing else may be no number. */
const hasData = (lines: ReadonlyArray<Line>): boolean => lines.some(({ values }) => values.some(Number.isFinite))
const noNumber = (lines: ReadonlyArray<Line>): boolean => lines.some(({ values }) => values.some((value) => !Number.isFinite(value) && !Number.isNaN(value)))
const empty = (panels: Lines) => [...panels].filter(([, lines]) => !hasData(lines)).map(([title]) => title)
const above = (panels: Lines) => [...panels].filter(([, lines]) => lines.some(({ values }) => values.some((value) => value > 0))).map(([title]) => title)

/** Panels of what only goes wrong: a healthy demo shows a zero in them, the other one more. */
const bad = [
  "db_errors_total", "errors_total", "obs_dropped_metrics_total", "obs_error_repeats_total", "obs_rejected_records_total", "obs_cardinality_overflow_total",
  "obs_spans_sampled_out_total", "obs_traces_decided_early_total", "obs_alerts_notifications_total", "obs_config_reloads_total",
  "obs_config_reload_failures_total", "obs_shed_total"
].map((name) => `${name} per second`).concat("obs_alerts_firing", "obs_load_level")

/** Rises when it begins, and a counter that begins with a value shows Prometheus no rise. */
const once = "obs_alerts_overflow_total per second"

/** Never: one would be a bug, the other needs a log sink that holds lines back. */
const always = ["obs_ledger_imbalance_total per second", "obs_logs_sampled_out_total per second"]

/** Without the parts they tell about, healthy or not, there is nothing to tell. */
const optional = ["baskets_total per second", "obs_config_last_reload_success", "obs_load_sampling_ratio"]

const narrows = async ({ ask, dashboards }: Running, family: Family): Promise<void> => {
  const dashboard = dashboards[family]
  for (const { name } of dashboard.choices) {
    const values = dashboard.values.get(name)!
    assert.isAbove(values.length, 0, `${family}: ${name} offers nothing`)
    // Only the warehouse is told by the queue, only the shop by HTTP.
    const shows = async (title: string, selection: Selection) => above(new Map([[title, await ask(family, title, selection)]])).length > 0
    const [consumed, requested] = ["message_consumed_total per second", "http_requests_total per second"] as const
    for (const title of [consumed, requested]) {
      assert.isTrue(await shows(title, { [name]: values }), `${family}: ${title} with every ${name}`)
      const seen = await Promise.all(values.map(async (value) => [value, await shows(title, { [name]: [value] })] as const))
      const chosen = seen.filter(([, shown]) => shown).map(([value]) => value)
      assert.strictEqual(chosen.length, 1, `${family}: ${title} by ${name}: ${JSON.stringify(seen)}`)
      if (values.length > 1) assert.isTrue(seen.some(([, shown]) => !shown), `${family}: ${name} narrows nothing`)
    }
    assert.isFalse(await shows(requested, { [name]: ["it's nobody (.*|$)"] }), `${family}: ${name} of nobody`)
  }
}

describe("the generated dashboards on the demo", () => {
  it.live("show everything that goes wrong: PostgreSQL 15", () =>
    Effect.gen(function*() {
      const run = yield* running("/usr/lib/postgresql/15", ["--trouble"])
      for (const family of families) {
        const panels = yield* Effect.promise(() => allPanels(run, family))
        assert.isAbove(panels.size, 70)
        assert.deepStrictEqual(empty(panels), [], family)
        assert.deepStrictEqual([...panels].filter(([, lines]) => noNumber(lines)).map(([title]) => title), [], family)
        const driven = above(panels)
        assert.deepStrictEqual(bad.filter((title) => !driven.includes(title)), [], family)
        if (family === "postgres") assert.include(driven, once)
        assert.notInclude(driven, always[0])
        yield* Effect.promise(() => narrows(run, family))
      }

      // The generated rules: all are evaluated, and those whose trouble there is fire.
      const { data } = yield* Effect.promise(() => run.prometheus.get("/api/v1/rules"))
      const rules = data.groups.flatMap((group: any) => group.rules)
      assert.deepStrictEqual(rules.filter(({ health }: any) => health !== "ok").map(({ lastError, name }: any) => `${name}: ${lastError}`), [])
      const firing = rules.filter(({ state }: any) => state === "firing").map(({ name }: any) => name as string)
      assert.includeMembers(firing, ["ObsConfigReloadFailuresTotalHigh", "ObsCardinalityOverflow", "HttpErrorBudgetBurn"])
      const recordings = rules.filter(({ type }: any) => type === "recording")
      const recorded = yield* Effect.promise(() => Promise.all(recordings.map(async ({ name, query }: any) => {
        const metric = /rate\((\w+)\[/.exec(query)![1]!
        const [from, to] = [await run.prometheus.query(metric), await run.prometheus.query(name)]
        assert.strictEqual(to.length > 0, from.length > 0, `${name} of ${metric}`)
        return to.length
      })))
      assert.isAbove(recorded.filter((count) => count > 0).length, 40)
    }).pipe(Effect.scoped), 300_000)

  it.live("show zeros, not nothing, when all is well: PostgreSQL 14", () =>
    Effect.gen(function*() {
      const run = yield* running(installed(14), [])
      for (const family of families) {
        const panels = yield* Effect.promise(() => allPanels(run, family))
        assert.deepStrictEqual(empty(panels), optional, family)
        // Refunds fail, in this shop, but nothing of the shop does.
        const driven = above(panels)
        for (const title of [...bad, once, ...always]) {
          assert.notInclude(driven, title, family)
          assert.isTrue(panels.get(title)!.every(({ values }) => values.length > 0 && values.every((value) => value === 0)), `${family}: ${title}`)
        }
        // Nobody there: no zeros either, they would say that all is well.
        for (const { name } of run.dashboards[family].choices.slice(0, 1)) {
          const lines = yield* Effect.promise(() => run.ask(family, "db_errors_total per second", { [name]: ["nobody"] }))
          assert.isFalse(hasData(lines), `${family}: ${name}`)
        }
      }
      yield* Effect.promise(() => eventually("every rule evaluated", async () => {
        const { data } = await run.prometheus.get("/api/v1/rules")
        return data.groups.flatMap((group: any) => group.rules).every(({ health }: any) => health === "ok") ? true : undefined
      }))
    }).pipe(Effect.scoped), 300_000)
})
