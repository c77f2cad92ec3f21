import * as Effect from "effect/Effect"
import type { Bench } from "../../../test/bench/Bench.ts"
import { incident } from "./support/incidents.ts"
import { ask, number, type Server, start } from "./support/server.ts"
import { shop } from "./support/spanData.ts"
import { bytesOf, documentSpans, fill, history, insertSpans, type Kept, pack, spanSource, type SpanWriter, spanWriter } from "./support/spanStore.ts"

// Spans (`docs/postgres.md`): one connection, every commit on disk. "document" is chapter 9's schema in multi-row VALUES of 100,
// on the same server in the same run. `SPANS=2000000 npm run bench -- pg.trace` makes the kept set larger.

const kept = Number(process.env["SPANS"] ?? 100_000)
const searchable = new Set(["user_id", "tenant_id", "http.route"])

class World {
  private server: Server | undefined
  private users = 0
  private set: Kept | undefined
  private stored: SpanWriter | undefined
  private fresh: SpanWriter | undefined
  private traces: Awaited<ReturnType<typeof history>> | undefined
  private readonly source = spanSource(shop(3), Date.now() - 3_600_000, 1, 100_000)

  readonly setup = async (): Promise<void> => {
    if (this.users++ > 0) return
    const server = this.server = await start()
    await documentSpans(server, "fresh")
    this.fresh = await spanWriter(server)
    await this.ingest(1_000)
    await this.document(1_000)
  }

  /** With a set that is kept, packed and not. */
  readonly setupKept = async (): Promise<void> => {
    await this.setup()
    if (this.set !== undefined) return
    const server = this.server!
    await documentSpans(server, "document")
    this.stored = await spanWriter(server)
    this.set = await fill(server, this.stored, "document", shop(7), kept)
    const { problems, spans } = await pack(server, this.stored.names, searchable)
    if (problems.length > 0 || spans !== kept) throw new Error(`packed ${spans} of ${kept}: ${problems[0]}`)
    await ask(server, `vacuum full ${this.stored.names.schema}.obs_trace_part`)
    this.traces = await history(server, this.stored.names)
  }

  readonly teardown = async (): Promise<void> => {
    if (--this.users === 0) await this.server!.stop()
  }

  /** Spans per second and bytes of WAL per span. */
  private async cost(count: number, write: () => Promise<void>): Promise<{ readonly rate: number; readonly wal: number }> {
    const position = () => number(this.server!, "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8")
    const wal = await position()
    const began = performance.now()
    await write()
    return { rate: (count * 1_000) / (performance.now() - began), wal: ((await position()) - wal) / count }
  }

  ingest(batch: number, count = 10_000) {
    const batches = Array.from({ length: count / batch }, () => this.source.take(batch))
    return this.cost(count, async () => {
      for (const one of batches) await this.fresh!.send(one)
    })
  }

  document(count = 4_000) {
    const spans = this.source.take(count)
    return this.cost(count, () => insertSpans(this.server!, "fresh", spans))
  }

  coldBytes(): Promise<number> {
    return bytesOf(this.server!, this.stored!.names.schema, "^obs_(trace_pack|span_pack|trace_part|operation|searchable)").then((bytes) => bytes / kept)
  }

  documentBytes(): Promise<number> {
    return bytesOf(this.server!, "document", ".").then((bytes) => bytes / kept)
  }

  gzipBytes(): number {
    return this.set!.gzipBytes / kept
  }

  /** Entries of the index and the keys they were made of. */
  async searchBytes(): Promise<number> {
    const schema = this.stored!.names.schema
    const index = await number(this.server!, `select sum(pg_relation_size(i.indexrelid))::float8 from pg_index i join pg_class c on c.oid = i.indrelid
      join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
      where n.nspname = '${schema}' and c.relname ~ '^obs_span_pack_p' and a.attname = 'keys'`)
    return (index + (await number(this.server!, `select sum(pg_column_size(keys))::float8 from ${schema}.obs_span_pack`))) / kept
  }

  /** The 20 newest traces with an error, and all their spans. */
  async errors(): Promise<number> {
    const { getRecentTraces, getTrace } = this.traces!
    const sorted = await this.millis(20, () =>
      this.server!.run(Effect.flatMap(getRecentTraces({ status: "ERROR", limit: 20 }), (found) =>
        Effect.forEach(found, ({ traceId }) => getTrace(traceId), { concurrency: 2 }))))
    return sorted[10]!
  }

  async documentErrors(): Promise<number> {
    const sorted = await this.millis(5, () => ask(this.server!, `select * from document.observability_spans where trace_id in (
      select trace_id from document.observability_spans where status = 'ERROR' group by trace_id order by max(start_time) desc limit 20)`))
    return sorted[2]!
  }

  private async millis(times: number, run: (i: number) => Promise<unknown>): Promise<ReadonlyArray<number>> {
    const all: Array<number> = []
    for (let i = 0; i < times; i++) {
      const began = performance.now()
      await run(i)
      all.push(performance.now() - began)
    }
    return all.sort((a, b) => a - b)
  }

  async byId(): Promise<number> {
    const ids = this.set!.traceIds
    const sorted = await this.millis(200, (i) => this.server!.run(this.traces!.getTrace(ids[(i * 7_919) % ids.length]!)))
    return sorted[Math.floor(sorted.length * 0.95)]!
  }

  async search(): Promise<number> {
    const { users } = this.set!
    const sorted = await this.millis(20, (i) => this.server!.run(this.traces!.searchTraces({ attributes: { user_id: users[(i * 31) % users.length]! } })))
    return sorted[10]!
  }

  async scan(): Promise<number> {
    const { users } = this.set!
    const sorted = await this.millis(3, (i) => ask(this.server!, `select distinct trace_id from document.observability_spans where attributes ->> 'user_id' = '${users[i]!}'`))
    return sorted[1]!
  }

  async differs(): Promise<number> {
    const now = Date.now()
    const sorted = await this.millis(3, () =>
      this.server!.run(Effect.asVoid(this.traces!.whatDiffers({ among: { startTime: now - 48 * 3_600_000, endTime: now }, selection: { status: "ERROR" } }))))
    return sorted[1]! / 1_000
  }
}

const samples = 5
const baseline = "document, VALUES of 100"

export default (bench: Bench): void => {
  const world = new World()
  const { setup, setupKept, teardown } = world
  bench.measure({
    name: "pg.spans.ingest", unit: "spans/s", setup, teardown, samples, must: 7,
    run: async () => (await world.ingest(1_000)).rate, baseline: { name: baseline, run: async () => (await world.document()).rate }
  })
  bench.measure({
    name: "pg.spans.ingest.100", unit: "spans/s", setup, teardown, samples,
    run: async () => (await world.ingest(100)).rate, baseline: { name: baseline, run: async () => (await world.document()).rate }
  })
  bench.measure({
    name: "pg.spans.wal", unit: "B/span", setup, teardown, samples, must: 1 / 8,
    run: async () => (await world.ingest(1_000)).wal, baseline: { name: baseline, run: async () => (await world.document()).wal }
  })
  bench.measure({
    name: "pg.spans.bytes", unit: "B/span", setup: setupKept, teardown, samples: 1, must: 1 / 12,
    run: () => world.coldBytes(), baseline: { name: "document", run: () => world.documentBytes() }
  })
  bench.measure({
    name: "pg.spans.gzip", unit: "B/span", setup: setupKept, teardown, samples: 1, must: 1.3,
    run: () => world.coldBytes(), baseline: { name: "gzip -6 of the same spans as JSON lines", run: () => world.gzipBytes() }
  })
  bench.measure({ name: "pg.trace.byid", unit: "ms p95", setup: setupKept, teardown, samples: 3, must: 2, run: () => world.byId() })
  bench.measure({
    name: "pg.attribute.search", unit: "ms", setup: setupKept, teardown, samples: 3, must: 1 / 50,
    run: () => world.search(), baseline: { name: "sequential scan of the document's table", run: () => world.scan() }
  })
  bench.measure({
    name: "pg.trace.errors", unit: "ms", setup: setupKept, teardown, samples: 3, must: 1 / 5, moonshot: 1 / 15,
    run: () => world.errors(), baseline: { name: "document, one statement", run: () => world.documentErrors() }
  })
  bench.measure({ name: "pg.attribute.index", unit: "B/span", setup: setupKept, teardown, samples: 1, must: 40, run: () => world.searchBytes() })
  bench.measure({ name: "pg.differs", unit: "s", setup: setupKept, teardown, samples: 3, must: 1, run: () => world.differs() })

  const incidents = Array.from({ length: 200 }, (_, i) => i + 1)
  let found: ReadonlyArray<ReturnType<typeof incident>> = []
  const share = (of: (one: (typeof found)[number]) => boolean) => {
    if (found.length === 0) found = incidents.map((seed) => incident(seed, 50_000))
    return found.filter(of).length / found.length
  }
  const misses = (of: (one: (typeof found)[number]) => boolean) => 1 - share(of)
  bench.measure({ name: "pg.differs.first", unit: "share first", better: "higher", samples: 1, must: 0.95, run: () => share(({ ranked }) => ranked) })
  bench.measure({ name: "pg.differs.three", unit: "share in three", better: "higher", samples: 1, must: 0.99, run: () => share(({ inThree }) => inThree) })
  bench.measure({
    name: "pg.differs.misses", unit: "share not first", samples: 1, must: 1 / 3,
    run: () => misses(({ ranked }) => ranked), baseline: { name: "ranked by frequency", run: () => misses(({ byFrequency }) => byFrequency) }
  })
}
