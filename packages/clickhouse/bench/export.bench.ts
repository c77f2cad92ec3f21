import { createClient } from "@clickhouse/client"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import type { Bench } from "../../../test/bench/Bench.ts"
import * as Encoding from "../src/ClickHouseEncoding.ts"
import { resolve } from "../src/ClickHouseConfig.ts"
import * as Spans from "../src/ClickHouseSpans.ts"
import * as Metrics from "../src/ClickHouseMetrics.ts"
import * as Connection from "../src/internal/Connection.ts"
import * as Inserter from "../src/internal/Inserter.ts"
import { resourceBytes } from "../src/internal/resource.ts"
import { RowWriter } from "../src/internal/RowWriter.ts"
import type { Store } from "../src/internal/Store.ts"
import type { Table } from "../src/internal/tables.ts"
import { frameOf, frameRows, spanBatch, spanRow } from "./support/data.ts"
import { type Sink, startSink } from "./support/sink.ts"

// Writing (`docs/clickhouse.md`). "client" is the official client's `insert` in JSONEachRow, uncompressed as it is by default, of the same
// rows made into objects. Encoding alone, and to a server in another process that reads and answers; CPU is this process's, threads included.

const batch = spanBatch(5_000)
const frame = frameOf(1_000)
const resource = resourceBytes({ service: "shop", version: "1.2.3", instance: "i-0123456789abcdef", env: "prod", cluster: "" })

class World {
  private sink: Sink | undefined
  private users = 0
  private scope: Scope.Closeable | undefined
  private spans: ReturnType<typeof Spans.make> | undefined
  private metrics: ReturnType<typeof Metrics.make> | undefined
  private client: ReturnType<typeof createClient> | undefined
  private number = 0

  readonly setup = async (): Promise<void> => {
    if (this.users++ > 0) return
    this.sink = await startSink()
    this.scope = await Effect.runPromise(Scope.make())
    const compression = (process.env["COMPRESSION"] ?? "zstd") as "zstd" | "gzip" | "none"
    const config = await Effect.runPromise(resolve({ connection: Redacted.make(this.sink.url), compression }))
    const connection = await Effect.runPromise(Scope.provide(Connection.make(config.target, { connections: 4 }), this.scope))
    const insertInto = (table: Table) => ({
      sql: "INSERT INTO t FORMAT RowBinaryWithNamesAndTypes",
      header: Encoding.header(table.columns.filter((one) => one.derived !== true))
    })
    const store: Store = { config, connection, insertInto, gate: Effect.void, known: Effect.void, recheck: () => {}, state: () => ({ ready: true, problem: undefined }) }
    this.spans = Spans.make(Inserter.make(store, "bench", "spans"), resource)
    this.metrics = Metrics.make(Inserter.make(store, "bench", "metrics"), resource)
    this.client = createClient({ url: this.sink.url })
  }

  readonly teardown = async (): Promise<void> => {
    if (--this.users > 0) return
    await this.client!.close()
    await Effect.runPromise(Scope.close(this.scope!, Exit.void))
    await this.sink!.stop()
  }

  readonly ours = {
    spans: () => Effect.runPromise(this.spans!.export(batch as never, { number: ++this.number, attempt: 1 })),
    metrics: () => Effect.runPromise(this.metrics!.export([frame], { number: ++this.number, attempt: 1 }))
  }

  readonly theirs = {
    spans: () => this.client!.insert({ table: "otel_traces", values: batch.map(spanRow), format: "JSONEachRow" }),
    metrics: () => this.client!.insert({ table: "otel_metrics_sum", values: frameRows(frame), format: "JSONEachRow" })
  }

  /** CPU per item in microseconds. */
  readonly cpu = (items: number, send: () => Promise<unknown>) => async (): Promise<number> => {
    const before = process.cpuUsage()
    for (let n = 0; n < 4; n++) await send()
    const { system, user } = process.cpuUsage(before)
    return (user + system) / (4 * items)
  }

  /** Items per second, one batch after the other. */
  readonly rate = (items: number, send: () => Promise<unknown>) => async (): Promise<number> => {
    const began = performance.now()
    for (let n = 0; n < 4; n++) await send()
    return (4 * items * 1_000) / (performance.now() - began)
  }
}

export default (bench: Bench): void => {
  const world = new World()
  const { setup, teardown } = world
  const writer = new RowWriter()
  const encoder = new Encoding.FrameEncoder(resource)
  const json = (rows: ReadonlyArray<unknown>) => Buffer.byteLength(rows.map((row) => `${JSON.stringify(row)}\n`).join(""))

  bench.compare({
    name: "clickhouse.export.encode.spans", unit: "ns/op", must: 0.6, moonshot: 0.4, setup, teardown,
    baseline: { name: "client: objects and JSONEachRow", ops: batch.length, run: () => void json(batch.map(spanRow)) },
    subject: { name: "RowBinary", ops: batch.length, run: () => void Encoding.spans(writer, batch, resource) }
  })
  bench.compare({
    name: "clickhouse.export.encode.metrics", unit: "ns/op", must: 0.3, moonshot: 0.1, setup, teardown,
    baseline: { name: "client: objects and JSONEachRow", ops: 1_000, run: () => void json(frameRows(frame)) },
    subject: { name: "RowBinary", ops: 1_000, run: () => void encoder.encode([frame]) }
  })
  for (const [signal, items, budget] of [["spans", batch.length, [0.8, 0.5]], ["metrics", 1_000, [0.9, 0.5]]] as const) {
    bench.measure({
      name: `clickhouse.export.cpu.${signal}`, unit: "us", must: budget[0], moonshot: budget[1], setup, teardown, samples: 9,
      run: world.cpu(items, world.ours[signal]),
      baseline: { name: "client", run: world.cpu(items, world.theirs[signal]) }
    })
    bench.measure({
      name: `clickhouse.export.rate.${signal}`, unit: `${signal}/s`, better: "higher", must: 1, moonshot: 2, setup, teardown, samples: 9,
      run: world.rate(items, world.ours[signal]),
      baseline: { name: "client", run: world.rate(items, world.theirs[signal]) }
    })
  }
}
