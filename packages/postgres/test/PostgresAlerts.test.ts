import {
  type Alert, AlertHistory, AlertRule, Alerts, type AlertEvent, type AlertSinks, Ledger, MetricDefinition, MetricsRecorder, ObservabilityConfig, type ResourceQuery, Telemetry
} from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { randomUUID } from "node:crypto"
import * as Lane from "../src/internal/Lane.ts"
import * as Coordinator from "../src/internal/coordinator.ts"
import * as Session from "../src/internal/session.ts"
import * as AlertsExporter from "../src/PostgresAlerts.ts"
import * as History from "../src/PostgresHistory.ts"
import * as Postgres from "../src/Postgres.ts"
import { ask, Database, freshNames, resource, startProcess } from "./support/database.ts"

const Depth = MetricDefinition.gauge("queue_depth", { help: "Jobs waiting", labelNames: ["queue"] })
const rule = AlertRule.make({ name: "QueueDeep", metric: Depth, groupBy: ["queue"], last: true, above: 10 })

const alert: Alert = {
  alertname: "QueueDeep", fingerprint: "00000000000000ff", labels: { alertname: "QueueDeep" }, severity: "warning", summary: "", description: undefined, origin: "rule",
  state: "firing", value: 11, activeAt: 1, firedAt: 1
}

type Told = { readonly process: string; readonly status: string; readonly queue: string | undefined }

layer(Database.layer, { excludeTestServices: true })("alerts in PostgreSQL", (it) => {
  it.effect("events come back as they were, once, whatever is sent again", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const { store } = yield* startProcess(target, names)
      const lane = yield* Lane.make(store, { signal: "alerts", producer: randomUUID(), epoch: 1, resource })
      const exporter = AlertsExporter.make({ names, lane, retentionDays: () => 90 })
      const readers = yield* Session.makeReaders(target, { connections: 1, statementTimeout: 10_000 })
      const history = History.alerts({ names, readers, timeout: 11_000 })
      const now = Date.now()
      const event = (more: Partial<AlertEvent> = {}): AlertEvent => ({
        eventId: randomUUID().replaceAll("-", ""), time: now, state: "firing", fingerprint: "00000000000000ff", alertname: "QueueDeep", labels: { queue: "nul \u0000 ' \"" }, severity: "warning",
        summary: "deep", description: undefined, value: 11, startedAt: now - 5, ...more
      })
      const batch = [event(), event({ state: "resolved", time: now + 1, value: undefined, description: "expected less", labels: {} })] as const
      yield* exporter.export(batch, { number: 1, attempt: 1 })
      yield* exporter.export(batch, { number: 1, attempt: 2 })
      const { cursor, events } = yield* history.searchAlerts({ endTime: now + 1_000, limit: 1 })
      assert.deepStrictEqual(events, [{ ...batch[1], serviceName: resource.service }])
      const rest = yield* history.searchAlerts({ endTime: now + 1_000, cursor: cursor! })
      assert.deepStrictEqual(rest.events.map(({ eventId, value }) => [eventId, value]), [[batch[0].eventId, 11]])
      assert.deepStrictEqual((yield* history.searchAlerts({ endTime: now + 1_000, state: "firing", alertname: "QueueDeep" })).events.length, 1)
      const rows = yield* ask(target, `select state, labels, value from ${names.schema}.observability_alerts order by timestamp`)
      assert.deepStrictEqual(rows.map((row) => [row["state"], row["value"]]), [["firing", 11], ["resolved", null]])
    }))

  it.effect("events are chosen by who told of them, in combination, beside labels of the same name and across pages", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const { store } = yield* startProcess(target, names)
      const readers = yield* Session.makeReaders(target, { connections: 1, statementTimeout: 10_000 })
      const history = History.alerts({ names, readers, timeout: 11_000 })
      const now = Date.now()
      const fleet = [["a", "east", "live"], ["b", "east", "test"], ["c", "west", "live"], ["d", "", "live"]] as const
      for (const [i, [instance, cluster, env]] of fleet.entries()) {
        const lane = yield* Lane.make(store, { signal: "alerts", producer: randomUUID(), epoch: 1, resource: { ...resource, instance, cluster, env } })
        const event: AlertEvent = {
          eventId: randomUUID().replaceAll("-", ""), time: now + i, state: "firing", fingerprint: "00000000000000ff", alertname: "QueueDeep", labels: { cluster: "label" },
          severity: "warning", summary: instance, description: undefined, value: 11, startedAt: now
        }
        yield* AlertsExporter.make({ names, lane, retentionDays: () => 90 }).export([event], { number: 1, attempt: 1 })
      }
      const of = (asked: ResourceQuery) =>
        Effect.map(history.searchAlerts({ endTime: now + 1_000, resource: asked }), ({ events }) => events.map(({ summary }) => summary).sort().join(""))
      for (const [asked, expected] of [
        [{}, "abcd"], [{ cluster: "east" }, "ab"], [{ cluster: "east", env: "live" }, "a"], [{ cluster: "" }, "d"], [{ cluster: { neq: "east" } }, "cd"],
        [{ env: { in: ["test", "none"] } }, "b"], [{ instance: { prefix: "c" } }, "c"], [{ cluster: "label" }, ""], [{ service: resource.service }, "abcd"], [{ service: "%" }, ""]
      ] as const) assert.strictEqual(yield* of(asked), expected, JSON.stringify(asked))
      const first = yield* history.searchAlerts({ endTime: now + 1_000, resource: { env: "live" }, limit: 2 })
      const second = yield* history.searchAlerts({ endTime: now + 1_000, resource: { env: "live" }, limit: 2, cursor: first.cursor! })
      assert.deepStrictEqual([...first.events, ...second.events].map(({ summary }) => summary), ["d", "c", "a"])
      assert.isUndefined(second.cursor)
    }))

  it.effect("several processes tell of an alert once; when the leader goes another goes on where it was", () =>
    Effect.gen(function*() {
      const { url } = yield* Database
      const { schema } = freshNames()
      const told: Array<Told> = []
      const begin = (process: string) => {
        const sink: AlertSinks.AlertSink = {
          name: "test",
          send: ({ alerts }) => Effect.sync(() => void told.push(...alerts.map(({ labels, status }) => ({ process, status, queue: labels["queue"] }))))
        }
        return ManagedRuntime.make(
          Alerts.layerBackend({ rules: [rule], sinks: [sink], interval: "200 millis", groupInterval: "200 millis" }).pipe(
            Layer.provideMerge(Postgres.layer({ connection: url, schema })),
            Layer.provide(ObservabilityConfig.layer({ tracing: { serviceName: "shop", serviceInstance: process } }))
          )
        )
      }
      const set = (queue: string, value: number) => Effect.flatMap(MetricsRecorder, (metrics) => metrics.setGauge(Depth, value, { queue }))
      const until = (what: string, holds: () => boolean) =>
        Effect.gen(function*() {
          for (let i = 0; i < 150; i++) {
            if (holds()) return
            yield* Effect.sleep("100 millis")
          }
          assert.fail(`${what}: ${JSON.stringify(told)}`)
        })
      const balanced = Effect.map(Telemetry, (telemetry) => {
        for (const { name, signals } of telemetry.reports()) for (const { ledger } of signals) assert.isUndefined(Ledger.imbalance(ledger), name)
      })
      const [one, two, three] = ["one", "two", "three"].map(begin)
      const all = [one!, two!, three!]
      yield* Effect.addFinalizer(() => Effect.forEach(all, (runtime) => runtime.disposeEffect, { concurrency: 3, discard: true }))
      // All have met before anything happens.
      yield* Effect.promise(() => Promise.all(all.map((runtime) => runtime.runPromise(Effect.void))))
      yield* Effect.sleep("3 seconds")
      // In two of them at once, and in one alone.
      yield* Effect.promise(() => Promise.all([one!, two!].map((runtime) => runtime.runPromise(set("mail", 11)))))
      yield* Effect.promise(() => three!.runPromise(set("print", 12)))
      yield* until("both are told", () => told.length >= 2)
      yield* Effect.sleep("2 seconds")
      assert.deepStrictEqual(told.map(({ queue, status }) => `${queue} ${status}`).filter((line, i, lines) => lines.indexOf(line) === i).sort(), ["mail firing", "print firing"])
      const leader = told[0]!.process
      assert.deepStrictEqual([...new Set(told.map(({ process }) => process))], [leader])
      // The leader leaves; those that stay know what was told.
      const before = told.length
      const left = all.filter((_, i) => ["one", "two", "three"][i] !== leader)
      yield* Effect.promise(() => all.find((_, i) => ["one", "two", "three"][i] === leader)!.dispose())
      yield* Effect.sleep("1 second")
      // What nobody sees any more ends; what is new is told, once, by one of the others.
      yield* Effect.promise(() => left[0]!.runPromise(set("new", 20)))
      yield* Effect.promise(() => left[1]!.runPromise(set("new", 20)))
      yield* until("the new one is told", () => told.slice(before).some(({ queue }) => queue === "new"))
      yield* Effect.sleep("1 second")
      const after = told.slice(before)
      assert.strictEqual(new Set(after.map(({ process }) => process)).size, 1)
      assert.notStrictEqual(after[0]!.process, leader)
      // Of a process that still runs: was told already.
      assert.strictEqual(new Set(told.filter(({ queue, status }) => queue === "new" && status === "firing")).size, told.filter(({ queue }) => queue === "new").length)
      yield* Effect.promise(() => left[0]!.runPromise(Effect.flatMap(Telemetry, ({ flush }) => flush)))
      yield* Effect.promise(() => left[1]!.runPromise(Effect.flatMap(Telemetry, ({ flush }) => flush)))
      const { events } = yield* Effect.promise(() => left[0]!.runPromise(Effect.flatMap(AlertHistory, (history) => history.searchAlerts())))
      const firings = events.filter(({ state }) => state === "firing").map(({ labels }) => labels["queue"]).sort()
      assert.deepStrictEqual(firings, ["mail", "new", "print"])
      for (const runtime of left) yield* Effect.promise(() => runtime.runPromise(balanced))
    }), 60_000)

  it.effect("a leader that stopped with its connection open is not waited for, and does not lead when it goes on", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const make = Effect.gen(function*() {
        const { store } = yield* startProcess(target, names)
        return yield* Coordinator.make(store, { producer: randomUUID(), resource, goneAfter: 400 })
      })
      const [first, second] = [yield* make, yield* make]
      const nothing = { firing: [], silences: [] }
      assert.isTrue((yield* first.exchange(nothing)).leads)
      assert.isFalse((yield* second.exchange(nothing)).leads)
      yield* first.announce([alert])
      // As long as it speaks it keeps the lock.
      for (let i = 0; i < 4; i++) {
        yield* Effect.sleep("150 millis")
        assert.isTrue((yield* first.exchange(nothing)).leads)
        assert.isFalse((yield* second.exchange(nothing)).leads)
      }
      yield* Effect.sleep("600 millis")
      yield* second.exchange(nothing)
      yield* Effect.sleep("100 millis")
      const taken = yield* second.exchange(nothing)
      assert.deepStrictEqual([taken.leads, taken.announced.map(({ fingerprint }) => fingerprint)], [true, [alert.fingerprint]])
      // The former leader finds its connection gone, meets the others on a new one, and changes nothing of what was announced.
      assert.isTrue(Exit.isFailure(yield* Effect.exit(first.announce([]))))
      assert.isFalse((yield* first.exchange(nothing)).leads)
      assert.strictEqual((yield* second.exchange(nothing)).announced.length, 1)
    }))
})
