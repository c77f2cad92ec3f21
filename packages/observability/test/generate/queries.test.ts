import { EmbeddedServer, Postgres } from "@effect-observability/postgres"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { Diagnostics, MetricDefinition, MetricsRecorder, Observability, Telemetry } from "effect-observability"
import { Generate } from "effect-observability/generate"
import * as fc from "fast-check"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Client } from "pg"
import { definitions, own } from "./support.ts"
import { awkward } from "./texts.ts"

// Every query of the PostgreSQL dashboard, over a store in which every metric was recorded.

class Database extends Context.Service<Database, { readonly url: Redacted.Redacted<string> }>()("test/Database") {}

const database = Layer.effect(Database, Effect.gen(function*() {
  const dir = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "obs-generate-"))),
    (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
  )
  return yield* EmbeddedServer.start({ dir: join(dir, "data"), durable: false })
}))

const stored = Layer.unwrap(Effect.map(Database, ({ url }) => Postgres.layer({ connection: url, flushInterval: "1 hour" }))).pipe(Layer.provideMerge(database))

/** What Grafana does to a query before it sends it. */
const withMacros = (sql: string, from: Date, to: Date, interval: string): string =>
  sql.replaceAll("$__timeFrom()", `'${from.toISOString()}'`).replaceAll("$__timeTo()", `'${to.toISOString()}'`).replaceAll("$__interval", interval)
    .replaceAll(/\$(service|instance|cluster|env)\b/g, "'*'")

const query = (url: Redacted.Redacted<string>, sql: string) =>
  Effect.promise(async () => {
    const client = new Client({ connectionString: Redacted.value(url) })
    await client.connect()
    try {
      return (await client.query(sql)).rows as ReadonlyArray<{ readonly time: Date; readonly metric: string; readonly value: number }>
    } finally {
      await client.end()
    }
  })

const record = (definition: MetricDefinition.MetricDefinition) =>
  Effect.gen(function*() {
    const metrics = yield* MetricsRecorder
    const labels = Object.fromEntries(definition.labelNames.map((name) => [name, definition.labelValues?.[name]?.[0] ?? "it's"]))
    switch (definition.type) {
      case "counter":
        return yield* metrics.incrementCounter(definition.name, 3, labels)
      case "gauge":
        return yield* metrics.setGauge(definition.name, 7, labels)
      case "upDownCounter":
        return yield* metrics.incrementCounter(definition.name, 5, labels)
      case "histogram":
        for (const value of definition.buckets ?? []) yield* metrics.observeHistogram(definition.name, value, labels)
        return
      case "summary":
        return yield* metrics.observeSummary(definition.name, 0.5, labels)
    }
  })

layer(stored, { excludeTestServices: true })("the PostgreSQL dashboard", (it) => {
  it.effect("every query runs on the store and returns what was recorded", () =>
    Effect.gen(function*() {
      const { store } = yield* Telemetry
      for (const definition of own) store.declare(definition)
      for (const definition of definitions) yield* record(definition)
      yield* Observability.flush
      const { url } = yield* Database
      const panels = JSON.parse(Generate.files({ definitions: own }).find(({ path }) => path === "grafana/postgres.json")!.content).panels
      const to = new Date(Date.now() + 60_000)
      const from = new Date(to.getTime() - 3_600_000)
      const values = new Map<string, ReadonlyArray<{ readonly metric: string; readonly value: number }>>()
      for (const { targets = [], title } of panels) {
        for (const { rawSql } of targets) {
          for (const interval of ["1m", "15s", "1h", "500ms", "7d"]) {
            const rows = yield* query(url, withMacros(rawSql, from, to, interval))
            assert.isAbove(rows.length, 0, `${title} at ${interval}`)
            for (const { time, value } of rows) assert.isTrue(time instanceof Date && Number.isFinite(Number(value)), `${title}: ${time} ${value}`)
            if (interval === "1h") values.set(title, rows.map(({ metric, value }) => ({ metric, value: Number(value) })))
          }
        }
      }
      assert.deepStrictEqual(values.get("orders_placed_total per second"), [{ metric: "it's", value: 3 / 3_600 }])
      assert.deepStrictEqual(values.get("queue_depth"), [{ metric: "it's", value: 7 }])
      assert.deepStrictEqual(values.get("sessions_open"), [{ metric: "it's", value: 5 }])
      // One observation on each bound: the rank of the median falls into the sixth of eleven buckets, half way.
      const [p50, p95] = values.get("checkout_duration_seconds")!
      assert.deepStrictEqual([p50!.metric, p95!.metric], ["p50", "p95"])
      assert.closeTo(p50!.value, 0.1 + (0.25 - 0.1) * 0.5, 1e-9)
      assert.deepStrictEqual((yield* (yield* Diagnostics).report).imbalances, [])
    }))

  it.effect("the metadata rows hold any text", () =>
    Effect.gen(function*() {
      const { url } = yield* Database
      const helps = fc.sample(awkward, 300)
      const hostile = helps.map((help, i) => MetricDefinition.counter(`hostile${i}_total`, { help, unit: help }))
      yield* query(url, Generate.files({ definitions: hostile }).find(({ path }) => path === "postgres/metadata.sql")!.content)
      const rows: ReadonlyArray<any> = yield* query(url, "select help, unit from observability.observability_metric_metadata where name ~ '^hostile' order by substr(name, 8, length(name) - 13)::int")
      assert.deepStrictEqual(rows.map(({ help }) => help), helps)
      assert.deepStrictEqual(rows.map(({ unit }) => unit), helps.map((help) => [...help].slice(0, 50).join("")))
    }))

  it.effect("the metadata rows can be written twice", () =>
    Effect.gen(function*() {
      const { url } = yield* Database
      const sql = Generate.files({ definitions: own }).find(({ path }) => path === "postgres/metadata.sql")!.content
      yield* query(url, sql)
      yield* query(url, sql)
      const rows: ReadonlyArray<any> = yield* query(url, "select name, help, alert_threshold from observability.observability_metric_metadata where name in ('orders_placed_total', 'queue_depth') order by name")
      assert.deepStrictEqual(rows.map(({ alert_threshold, help, name }) => [name, help, alert_threshold]), own.slice(0, 2).map((one) => [one.name, one.help, one.alertThreshold]))
    }))
})
