import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ask, Database, freshNames, Latency, Requests, startProcess } from "./support/database.ts"
import { Series4 } from "./support/frames.ts"

const now = Math.floor(Date.now() / 5_000) * 5_000
const traceId = "0af7651916cd43dd8448eb211c80319c"

layer(Database.layer, { excludeTestServices: true })("exemplars", (it) => {
  it.effect("are stored once with their series, whenever they were taken, and never too many", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const store = new Series4()
      const frame = store.frame(now - 5_000, now, [
        { metric: Requests, labels: { method: "GET", status: "200" }, value: 3 },
        { metric: Latency, labels: { route: "/a" }, observed: [0.05] },
        { metric: Latency, labels: { route: "/b" }, observed: [0.7] }
      ])
      const taken = (series: number, kind: "counters" | "histograms", bucket: number, time: number) => ({
        series: frame[kind].series[series]!, bucket, value: 0.7, traceId, spanId: "b7ad6b7169203331", time
      })
      // The last one is older than any partition.
      const exemplars = [taken(1, "histograms", 2, now - 1_000), taken(0, "counters", -1, now - 2_000), taken(0, "histograms", 0, now - 9 * 86_400_000)]
      yield* process.exportFrames(1, { ...frame, exemplars })
      yield* process.exportFrames(1, { ...frame, exemplars })
      const rows = yield* ask(
        target,
        `select f.name, s.labels, e.bucket, e.value, replace(e.trace_id::text, '-', '') as trace_id, to_hex(e.span_id) as span_id, (extract(epoch from e.ts) * 1000)::float8 as ts
          from ${names.schema}.obs_exemplar e join ${names.schema}.obs_series s on s.id = e.series join ${names.schema}.obs_family f on f.id = s.family order by e.ts`
      )
      assert.deepStrictEqual(rows.map((row) => [row["name"], row["labels"], row["bucket"], row["ts"]]), [
        ["latency_seconds", { route: "/a" }, 0, now - 9 * 86_400_000],
        ["http_requests_total", { method: "GET", status: "200" }, -1, now - 2_000],
        ["latency_seconds", { route: "/b" }, 2, now - 1_000]
      ])
      assert.deepStrictEqual([rows[0]!["trace_id"], rows[0]!["span_id"], rows[0]!["value"]], [traceId, "b7ad6b7169203331", 0.7])

      yield* process.exportFrames(2, { ...frame, exemplars: Array.from({ length: 50_000 }, (_, i) => taken(i % 2, "histograms", i % 4, now)) })
      const count = yield* ask(target, `select count(*)::int4 as n from ${names.schema}.obs_exemplar`)
      assert.isAtMost(count[0]!["n"] as number, 1_003)
      assert.isAbove(count[0]!["n"] as number, 500)
      // What is no trace id is no exemplar.
      yield* process.exportFrames(3, { ...frame, exemplars: [{ ...taken(0, "counters", -1, now), traceId: "'; drop table x" }] })
      assert.deepStrictEqual(yield* ask(target, `select count(*)::int4 as n from ${names.schema}.obs_exemplar`), count)
    }))
})
