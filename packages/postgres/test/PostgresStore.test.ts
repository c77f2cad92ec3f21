import { Exporter } from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Session from "../src/internal/session.ts"
import * as Store from "../src/internal/Store.ts"
import {
  ask, configOf, Database, Depth, freshNames, historyOf, Latency, Requests, Size, startProcess
} from "./support/database.ts"
import { Series4 } from "./support/frames.ts"
import { span } from "./support/spans.ts"

/** An hour ago, on the grid. */
const start = Math.floor(Date.now() / 5_000) * 5_000 - 3_600_000
const range = { startTime: start - 86_400_000, endTime: start + 86_400_000 }

layer(Database.layer, { excludeTestServices: true })("store", (it) => {
  it.effect("every kind of metric comes back as it was", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const history = yield* historyOf(target, names)
      const store = new Series4()
      yield* process.exportFrames(1, store.frame(start, start + 5_000, [
        { metric: Requests, labels: { method: "GET", status: "200" }, value: 3 },
        { metric: Depth, labels: { queue: "a" }, value: -2.5 },
        { metric: Latency, labels: { route: "/a" }, observed: [0.05, 0.1, 0.7, 3] },
        { metric: Size, observed: [10, 20] }
      ]))
      // The registry grows, one counter outgrows the narrow form, another histogram comes, and two frames share a statement.
      yield* process.exportFrames(
        2,
        store.frame(start + 5_000, start + 10_000, [
          { metric: Requests, labels: { method: "POST", status: "500" }, value: 70_000 },
          { metric: Latency, labels: { route: "/b" }, observed: [0.3] }
        ]),
        store.frame(start + 10_000, start + 15_000, [
          { metric: Requests, labels: { method: "GET", status: "200" }, value: 0.25 },
          { metric: Depth, labels: { queue: "b" }, value: 1e300 },
          { metric: Latency, labels: { route: "/b" }, observed: [0.3, 9] }
        ])
      )

      const requests = yield* history.getMetricsHistory({ name: "http_requests_total", labels: { method: "GET" }, ...range })
      assert.deepStrictEqual(requests, [0.25, 0, 3].map((value, i) => ({
        name: "http_requests_total",
        type: "counter" as const,
        value,
        labels: { method: "GET", status: "200" },
        timestamp: start + 15_000 - 5_000 * i,
        interval: 5_000
      })))
      const posts = yield* history.getMetricsHistory({ name: "http_requests_total", labels: { method: "POST" }, ...range })
      assert.deepStrictEqual(posts.map((point) => point.value), [0, 70_000])
      const depths = yield* history.getMetricsHistory({ name: "queue_depth", ...range })
      assert.deepStrictEqual(depths.map(({ labels, value }) => [labels["queue"], value]), [["b", 1e300], ["a", -2.5]])
      const latencies = yield* history.getMetricsHistory({ name: "latency_seconds", labels: { route: "/b" }, ...range })
      assert.deepStrictEqual(latencies.map((point) => [point.value, point.histogram]), [
        [9.3, { bounds: [0.1, 0.5, 1], buckets: [0, 1, 0, 1], count: 2, sum: 9.3 }],
        [0.3, { bounds: [0.1, 0.5, 1], buckets: [0, 1, 0, 0], count: 1, sum: 0.3 }]
      ])
      const first = (yield* history.getMetricsHistory({ name: "latency_seconds", labels: { route: "/a" }, ...range })).at(-1)!
      assert.deepStrictEqual(first.histogram!.buckets, [2, 0, 1, 1])
      const sizes = yield* history.getMetricsHistory({ name: "size_bytes", ...range })
      assert.deepStrictEqual([sizes[0]!.type, sizes.map((point) => point.value)], ["summary", [0, 0, 30]])

      // The same through the document's views.
      const view = yield* ask(target, `select name, type, value, labels, timestamp from ${names.schema}.observability_metrics where name = 'http_requests_total' and labels @> '{"method":"POST"}' order by timestamp`)
      assert.deepStrictEqual(view.map((row) => [row["value"], row["labels"], (row["timestamp"] as Date).getTime()]), [
        [70_000, { method: "POST", status: "500" }, start + 10_000],
        [0, { method: "POST", status: "500" }, start + 15_000]
      ])
      const ids = yield* ask(target, `select count(*)::int4 as n, count(distinct id)::int4 as d from ${names.schema}.observability_metrics`)
      assert.isAbove(ids[0]!["n"] as number, 10)
      assert.strictEqual(ids[0]!["n"], ids[0]!["d"])
      const histograms = yield* ask(target, `select labels, count, sum, min, max, bounds, buckets, service_name, interval from ${names.schema}.observability_metric_histograms where count > 0 order by timestamp, labels`)
      assert.deepStrictEqual(histograms.map((row) => [row["labels"], row["count"], row["min"], row["max"], row["buckets"], row["service_name"], row["interval"]]), [
        [{ route: "/a" }, 4n, 0.05, 3, [2n, 0n, 1n, 1n], "api-service", 5],
        [{ route: "/b" }, 1n, 0.3, 0.3, [0n, 1n, 0n, 0n], "api-service", 5],
        [{ route: "/b" }, 2n, 0.3, 9, [0n, 1n, 0n, 1n], "api-service", 5]
      ])
    }))

  it.effect("the sum of a counter's increases is the truth, over restarts, lost answers and repeats", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const history = yield* historyOf(target, names)
      let truth = 0
      for (let run = 0; run < 3; run++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const process = yield* startProcess(target, names)
          const store = new Series4()
          for (let n = 1; n <= 20; n++) {
            const value = ((n * 7919) % 101) + run
            truth += value
            // Every start uses the same grid times: only the lane tells the processes apart.
            const frame = store.frame(start + n * 5_000, start + n * 5_000 + 5_000, [
              { metric: Requests, labels: { method: "GET", status: String(200 + (n % 7)) }, value }
            ])
            yield* process.exportFrames(n, frame)
            // The answer was lost: the same number again, on the same connection.
            if (n % 3 === 0) yield* process.exportFrames(n, frame)
          }
        }))
      }
      const points = yield* history.getMetricsHistory({ name: "http_requests_total", limit: 100_000, ...range })
      assert.strictEqual(points.reduce((sum, point) => sum + point.value, 0), truth)
      const view = yield* ask(target, `select sum(value) as total from ${names.schema}.observability_metrics where name = 'http_requests_total'`)
      assert.strictEqual(view[0]!["total"], truth)
      const resources = yield* ask(target, `select count(*)::int4 as n from ${names.schema}.obs_series`)
      assert.strictEqual(resources[0]!["n"], 7)
    }))

  it.effect("instances of two clusters are two, and without a cluster an instance is what it was", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const frame = new Series4().frame(start, start + 5_000, [{ metric: Depth, labels: { queue: "a" }, value: 1 }])
      for (const cluster of ["", "east", "west", "east"]) yield* (yield* startProcess(target, names, { cluster })).exportFrames(1, frame)
      const rows = yield* ask(target, `select cluster, count(*)::int4 as n from ${names.schema}.obs_resource group by 1 order by 1`)
      assert.deepStrictEqual(rows.map((row) => [row["cluster"], row["n"]]), [["", 1], ["east", 1], ["west", 1]])
    }))

  it.effect("a batch that was given up stays out, whatever still runs", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const history = yield* historyOf(target, names)
      const store = new Series4()
      const frame = (value: number) => store.frame(start, start + 5_000, [{ metric: Requests, labels: { method: "GET", status: "200" }, value }])
      // Nothing was sent: giving up needs no server.
      yield* process.metrics.giveUp!({ number: 1, attempt: 1 })
      yield* process.exportFrames(2, frame(2))

      // Another session holds the table: the attempt hangs on the server and is abandoned here.
      const blocker = yield* Session.open(target, 30_000)
      yield* blocker.execute("begin")
      yield* blocker.execute(`lock table ${names.schema}.obs_metric_frame in access exclusive mode`)
      const zombie = yield* Effect.forkChild(Effect.exit(process.exportFrames(3, frame(3))))
      yield* Effect.sleep("300 millis")
      yield* Fiber.interrupt(zombie)
      const giveUp = yield* Effect.forkChild(Effect.exit(process.metrics.giveUp!({ number: 3, attempt: 1 })))
      yield* Effect.sleep("200 millis")
      // The zombie gets its lock first and commits, or finds itself overtaken; either way the two agree.
      yield* blocker.execute("rollback")
      const gaveUp = yield* Fiber.join(giveUp)
      yield* blocker.close
      const stored = (yield* history.getMetricsHistory({ name: "http_requests_total", ...range })).map((point) => point.value)
      assert.deepStrictEqual(stored.includes(3), gaveUp._tag === "Failure")

      // Numbers that were given up are taken: sent again, they insert nothing.
      yield* process.exportFrames(4, frame(4))
      yield* process.metrics.giveUp!({ number: 5, attempt: 1 })
      const given = yield* Effect.exit(process.metrics.giveUp!({ number: 4, attempt: 1 }))
      assert.strictEqual(given._tag, "Failure", "it had been stored: certainty would be a lie")
      yield* process.exportFrames(6, frame(6))
      yield* process.exportFrames(3, frame(3_000))
      const after = (yield* history.getMetricsHistory({ name: "http_requests_total", ...range })).map((point) => point.value)
      assert.isFalse(after.includes(3_000))
      assert.isTrue([2, 4, 6].every((value) => after.includes(value)))
    }))

  it.effect("an attempt that hangs ends at its deadline, and the next one takes over", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names, { timeout: 1_000 })
      const history = yield* historyOf(target, names)
      const store = new Series4()
      const frame = store.frame(start, start + 5_000, [{ metric: Depth, labels: { queue: "a" }, value: 1 }])
      yield* process.exportFrames(1, frame)
      yield* Effect.acquireUseRelease(
        Session.open(target, 30_000),
        (blocker) =>
          Effect.gen(function*() {
            yield* blocker.execute("begin")
            yield* blocker.execute(`lock table ${names.schema}.obs_metric_frame in access exclusive mode`)
            const [took, error] = yield* Effect.timed(Effect.flip(process.exportFrames(2, frame)))
            assert.strictEqual(error.reason._tag, "Unavailable")
            assert.isBelow(Duration.toMillis(took), 1_300)
            // Abandoned, not awaited: the second try starts while the first still runs.
            const first = yield* Effect.forkChild(Effect.exit(process.exportFrames(2, frame)), { startImmediately: true })
            yield* Effect.sleep("100 millis")
            const second = yield* Effect.forkChild(Effect.exit(process.exportFrames(2, frame)), { startImmediately: true })
            yield* Effect.sleep("200 millis")
            yield* blocker.execute("rollback")
            assert.strictEqual((yield* Fiber.join(first))._tag, "Failure")
            yield* Effect.exit(Fiber.join(second))
          }),
        (blocker) => blocker.close
      )
      yield* process.exportFrames(2, frame)
      yield* process.exportFrames(3, frame)
      const points = yield* history.getMetricsHistory({ name: "queue_depth", ...range })
      assert.strictEqual(points.length, 3)
    }))

  it.effect("a terminated connection costs one attempt and no data", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const named = { ...target, applicationName: names.schema }
      const process = yield* startProcess(named, names)
      const history = yield* historyOf(target, names)
      const store = new Series4()
      for (let n = 1; n <= 6; n++) {
        const frame = store.frame(start, start + n, [{ metric: Requests, labels: { method: `M${n}`, status: "200" }, value: 1 }])
        yield* Effect.retry(process.exportFrames(n, frame), { times: 3 })
        yield* ask(target, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1", [names.schema])
      }
      const points = yield* history.getMetricsHistory({ name: "http_requests_total", ...range })
      assert.strictEqual(points.reduce((sum, point) => sum + point.value, 0), 6)
    }))

  it.effect("a second process under the same name is fenced off", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const producer = crypto.randomUUID()
      const one = yield* startProcess(target, names, { producer })
      const frame = new Series4().frame(start, start + 5_000, [{ metric: Depth, labels: { queue: "a" }, value: 1 }])
      yield* one.exportFrames(1, frame)
      const other = yield* startProcess(target, names, { producer })
      const refused = yield* Effect.flip(other.exportFrames(1, frame))
      assert.strictEqual(refused.reason._tag === "Refused" && refused.reason.reason, "fenced")
      // A newer epoch takes the lane; the older one learns it at its next batch.
      yield* ask(target, `update ${names.schema}.obs_lane set epoch = 2`)
      const late = yield* Effect.flip(one.exportFrames(2, frame))
      assert.strictEqual(late.reason._tag === "Refused" && late.reason.reason, "fenced")
    }))

  it.effect("a missing partition is made, also for yesterday and next year", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names, { retentionDays: 36_500 })
      const history = yield* historyOf(target, names)
      const store = new Series4()
      const day = 86_400_000
      const times = [start - 400 * day, start, Date.now() - day, Date.now() + 300 * day]
      for (const [i, time] of times.entries()) {
        yield* process.exportFrames(i + 1, store.frame(time - 1, time, [{ metric: Depth, labels: { queue: "a" }, value: i }]))
      }
      const points = yield* history.getMetricsHistory({ name: "queue_depth", startTime: 0, endTime: Date.now() + 301 * day })
      assert.deepStrictEqual(points.map((point) => point.value), [3, 1, 2, 0])
    }))

  it.effect("a lane that expired is joined anew", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const store = new Series4()
      const frame = () => store.frame(start, start + 5_000, [{ metric: Depth, labels: { queue: "a" }, value: 1 }])
      yield* process.exportFrames(1, frame())
      yield* ask(target, `delete from ${names.schema}.obs_lane`)
      const lost = yield* Effect.flip(process.exportFrames(2, frame()))
      assert.strictEqual(lost.reason._tag, "Unavailable")
      yield* process.exportFrames(2, frame())
      const rows = yield* ask(target, `select count(*)::int4 as n from ${names.schema}.observability_metrics`)
      assert.strictEqual(rows[0]!["n"], 1)
    }))

  it.effect("what the server refuses is told by its SQLSTATE, and the other signal goes on", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      yield* ask(target, `alter table ${names.schema}.obs_metric_frame rename column g to gone`)
      const frame = new Series4().frame(start, start + 5_000, [{ metric: Depth, labels: { queue: "a" }, value: 1 }])
      const error = yield* Effect.flip(process.exportFrames(1, frame))
      assert.strictEqual(error.reason._tag === "Refused" && error.reason.reason, "rejected:42703")
      yield* process.exportSpans(1, span())
    }))

  it.effect("a store that vanished is made again", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      yield* process.exportSpans(1, span())
      yield* ask(target, `drop schema ${names.schema} cascade`)
      const error = yield* Effect.flip(process.exportSpans(2, span()))
      assert.strictEqual(error.reason._tag === "Refused" && error.reason.reason.startsWith("rejected:"), true)
      yield* Effect.retry(process.exportSpans(3, span()), { times: 200, schedule: Schedule.spaced("100 millis") })
      const rows = yield* ask(target, `select count(*)::int4 as n from ${names.schema}.observability_spans`)
      assert.strictEqual(rows[0]!["n"], 1)
    }))

  it.effect("without a server the exporters answer at once that it is away", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const dead = { ...target, address: { host: "127.0.0.1", port: 1 } }
      const store = yield* Store.make(configOf(dead, freshNames()), 1_000)
      yield* Effect.sleep("200 millis")
      const error = yield* Effect.flip(store.gate)
      assert.instanceOf(error, Exporter.ExportError)
      assert.strictEqual(error.reason._tag, "Unavailable")
      assert.include(error.message, "ECONNREFUSED")
    }))
})
