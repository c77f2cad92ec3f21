import type { MetricFrame } from "@effect-observability/core"
import * as Arr from "effect/Array"
import type { Bench } from "../../../test/bench/Bench.ts"
import { insertRows } from "./support/document.ts"
import { documentTable, number, type Server, start, type Writer, writer } from "./support/server.ts"
import { Synthetic } from "./support/synthetic.ts"

// Writing metrics (`docs/postgres.md`): one connection, one batch after the other, every commit on disk. "document" is chapter
// 9's schema in multi-row VALUES of 100, on the same server in the same run.

const interval = 5_000

interface Side {
  readonly frames: number
  readonly perBatch: number
  readonly send: (batch: Arr.NonEmptyReadonlyArray<MetricFrame>) => Promise<void>
}

/** What one run of a side cost, all per sample. */
interface Cost {
  readonly rate: number
  readonly cpuMicros: number
  readonly walBytes: number
}

class Set {
  private synthetic: Synthetic | undefined
  private server: Server | undefined
  private ours: Writer | undefined
  private time = Math.floor(Date.now() / interval) * interval
  private users = 0
  private readonly series: number

  constructor(series: number) {
    this.series = series
  }

  readonly setup = async (): Promise<void> => {
    if (this.users++ > 0) return
    this.server = await start()
    this.synthetic = new Synthetic(this.series)
    this.ours = await writer(this.server)
    await documentTable(this.server, "document")
    await this.cost(this.store(64, 1))
    await this.cost(this.document(8))
  }

  readonly teardown = async (): Promise<void> => {
    if (--this.users === 0) await this.server!.stop()
  }

  store(frames: number, perBatch: number): Side {
    return { frames, perBatch, send: (batch) => this.ours!.send(batch) }
  }

  document(frames: number): Side {
    return {
      frames,
      perBatch: 1,
      send: async (batch) => {
        for (const frame of batch) await insertRows(this.server!, "document", frame)
      }
    }
  }

  async cost({ frames, perBatch, send }: Side): Promise<Cost> {
    // A day's worth of grid, so that partitions are there.
    const batches = Arr.chunksOf(
      Array.from({ length: frames }, () => this.synthetic!.frame(this.time -= interval, interval)) as Arr.NonEmptyArray<MetricFrame>,
      perBatch
    )
    if (this.time < Date.now() - 20 * 3_600_000) this.time = Math.floor(Date.now() / interval) * interval + 1
    const wal = await this.wal()
    const cpu = process.cpuUsage()
    const began = performance.now()
    for (const batch of batches) await send(batch)
    const seconds = (performance.now() - began) / 1_000
    const used = process.cpuUsage(cpu)
    const samples = frames * this.series
    return { rate: samples / seconds, cpuMicros: (used.user + used.system) / samples, walBytes: ((await this.wal()) - wal) / samples }
  }

  private wal(): Promise<number> {
    return number(this.server!, "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8")
  }
}

const samples = 5

export default (bench: Bench): void => {
  const thousand = new Set(1_000)
  const hundred = new Set(100)
  const add = (name: string, set: Set, side: Side, baseline: Side, pick: keyof Cost, bound: { must?: number; moonshot?: number }): void => {
    bench.measure({
      name,
      unit: pick === "rate" ? "samples/s" : pick === "walBytes" ? "B/sample" : "us/sample",
      setup: set.setup,
      teardown: set.teardown,
      run: async () => (await set.cost(side))[pick],
      baseline: { name: "document, VALUES of 100", run: async () => (await set.cost(baseline))[pick] },
      samples,
      ...bound
    })
  }
  add("pg.ingest.1000", thousand, thousand.store(500, 1), thousand.document(20), "rate", { must: 25 })
  add("pg.ingest.1000.backlog", thousand, thousand.store(800, 8), thousand.document(20), "rate", { must: 50 })
  add("pg.ingest.100", hundred, hundred.store(1_000, 1), hundred.document(200), "rate", { must: 5 })
  add("pg.wal.1000", thousand, thousand.store(500, 1), thousand.document(20), "walBytes", { must: 1 / 30 })
  add("pg.cpu.1000", thousand, thousand.store(500, 1), thousand.document(20), "cpuMicros", { must: 1 / 35 })
  add("pg.cpu.100", hundred, hundred.store(1_000, 1), hundred.document(200), "cpuMicros", { must: 1 / 10 })
}
