import * as Arr from "effect/Array"
import { spawnSync } from "node:child_process"
import type { MetricFrame } from "@effect-observability/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Bench } from "../../../test/bench/Bench.ts"
import { dropExpired } from "../src/internal/partitions.ts"
import * as Session from "../src/internal/session.ts"
import { packAt } from "../test/support/packed.ts"
import { insertRows } from "./support/document.ts"
import { blockBytes } from "./support/promtool.ts"
import { ask, documentTable, number, type Server, start, type Writer, writer } from "./support/server.ts"
import { Synthetic } from "./support/synthetic.ts"

// What a day of metrics takes on the disk (`docs/postgres.md`): 1,000 series every 15 seconds, packed, against chapter 9's rows and
// against the blocks that promtool makes of the same samples; and what it costs to be rid of a day.

const day = 86_400_000
const step = 15_000
const series = 1_000
const count = (series * day) / step
/** Two days ago, at midnight: a day that is over, and whose frames and hours may go. */
const midnight = Math.floor(Date.now() / day) * day - 3 * day

class Day {
  private users = 0
  server: Server | undefined
  private ours: Writer | undefined

  readonly setup = async (): Promise<void> => {
    if (this.users++ > 0) return
    this.server = await start()
    await documentTable(this.server, "document")
    await this.fill()
  }

  readonly teardown = async (): Promise<void> => {
    if (--this.users === 0) await this.server!.stop()
  }

  /** Writes the day, packs it, and reads every sample back. */
  async fill(): Promise<void> {
    const server = this.server!
    this.ours = await writer(server)
    const synthetic = new Synthetic(series)
    for (let i = 0; i < day / step; i += 40) {
      const frames = Array.from({ length: 40 }, (_, k) => synthetic.frame(midnight + (i + k + 1) * step, step)) as Arr.NonEmptyArray<MetricFrame>
      await this.ours.send(frames)
    }
    const before = await this.digest()
    await server.run(packAt(server.target, this.ours.names, midnight + 3 * day))
    const after = await this.digest()
    if (before !== after) throw new Error("the packed samples are not those that were written")
    await ask(server, `vacuum analyze ${this.ours.names.schema}.obs_metric_pack`)
  }

  /** Of every sample, bit by bit. */
  private digest(): Promise<string> {
    const s = this.ours!.names.schema
    return ask(this.server!, `with axis as materialized (
      select ts, id, (select array_agg(a.at order by a.i) from ${s}.obs_axis(ts, firsts, counts, offsets, steps, spans) a) as at from ${s}.obs_metric_segment)
      select sum(hashtextextended(format('%s %s %s', series, ts, encode(float8send(value), 'hex')), 0)::numeric)::text as digest from (
      select u.series, f.ts, u.value from ${s}.obs_metric_frame f join ${s}.obs_lane_series g on g.lane = f.lane and g.kind < 2
        cross join lateral unnest(g.series, (case g.kind when 0 then coalesce(f.c8, f.c4::float8[], f.c2::float8[]) else f.g end)[g.pos + 1 : g.pos + cardinality(g.series)]) as u(series, value)
      union all
      select p.series, g.at[p.first + v.i], v.value from ${s}.obs_metric_pack p join axis g on g.ts = p.ts and g.id = p.segment
        cross join lateral unnest(${s}.obs_values(p.base, p.slope, p.unit, p.divisor, p.n, p.bits, p.delta, p.absent, p.words, p.raw)) with ordinality as v(value, i)) x`
    ).then((rows) => String(rows[0]!["digest"]))
  }

  /** Tables, indexes and dictionaries. Roll-ups stand apart: they outlive the samples. */
  bytes(): Promise<number> {
    return number(this.server!, `select sum(pg_total_relation_size(c.oid))::float8 / ${count} from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = '${this.ours!.names.schema}' and c.relkind = 'r' and c.relname !~ 'rollup|trace|operation|_frame_p|_pack_hour'`)
  }

  rollupBytes(): Promise<number> {
    return number(this.server!, `select sum(pg_total_relation_size(c.oid))::float8 / ${count} from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = '${this.ours!.names.schema}' and c.relkind = 'r' and c.relname ~ 'rollup'`)
  }

  async documentBytes(): Promise<number> {
    const synthetic = new Synthetic(series)
    await ask(this.server!, "truncate document.observability_metrics")
    const frames = 100
    for (let i = 0; i < frames; i++) await insertRows(this.server!, "document", synthetic.frame(midnight + i * step, step))
    return number(this.server!, `select pg_total_relation_size('document.observability_metrics')::float8 / ${frames * series}`)
  }

  /** Drops the packed day as the upkeep does, and makes it anew for the next sample. */
  async drop(): Promise<number> {
    const { names } = this.ours!
    const took = await this.server!.run(Effect.acquireUseRelease(
      Session.open(this.server!.target, 60_000),
      (session) =>
        Effect.map(
          Effect.timed(dropExpired(session, names, (table) => (table === "metric_pack_day" || table === "metric_segment" ? 1 : 10_000))),
          ([duration]) => Duration.toMillis(duration)
        ),
      (session) => session.close
    ))
    await this.fill()
    return took
  }

  /** A quarter of the samples as the document's rows, deleted and vacuumed; times four. */
  async deleteRows(): Promise<number> {
    const rows = count / 4
    await ask(this.server!, "truncate document.observability_metrics")
    await ask(this.server!, `insert into document.observability_metrics (name, type, value, labels, timestamp)
      select 'synthetic_' || i % 8 || '_total', 'counter', i % 20, jsonb_build_object('service', 'checkout-service-' || i % 7, 'region', 'eu-central-' || i % 3,
        'method', 'GET', 'route', '/api/v1/resource/' || i % 1000 || '/items', 'status', '200'), to_timestamp(${midnight / 1_000} + i / 1000 * 15)
      from generate_series(1, ${rows}) i`)
    const began = performance.now()
    await ask(this.server!, `delete from document.observability_metrics where timestamp < now()`)
    await ask(this.server!, "vacuum document.observability_metrics")
    return (performance.now() - began) * 4
  }
}


export default (bench: Bench): void => {
  const packed = new Day()
  const { setup, teardown } = packed
  bench.measure({
    name: "pg.bytes.packed",
    unit: "B/sample",
    setup,
    teardown,
    run: () => packed.bytes(),
    baseline: { name: "document, rows and indexes", run: () => packed.documentBytes() },
    samples: 1,
    must: 1 / 80
  })
  const promtool = spawnSync("promtool", ["--version"]).status === 0
  bench.measure({
    name: "pg.bytes.promtool",
    unit: "B/sample",
    setup,
    teardown,
    run: () => packed.bytes(),
    baseline: promtool
      ? { name: "blocks of promtool tsdb create-blocks-from", run: () => blockBytes(new Synthetic(series), midnight, step, day / step, count) }
      : { name: "promtool is not installed: nothing to compare with", run: () => NaN },
    samples: 1,
    must: 1 / 2
  })
  bench.measure({ name: "pg.bytes.rollups", unit: "B/sample", setup, teardown, run: () => packed.rollupBytes(), samples: 1 })
  bench.measure({
    name: "pg.retention",
    unit: "ms",
    setup,
    teardown,
    run: () => packed.drop(),
    baseline: { name: "document, DELETE and VACUUM (of a quarter, times 4)", run: () => packed.deleteRows() },
    samples: 1,
    must: 1 / 100
  })
}
