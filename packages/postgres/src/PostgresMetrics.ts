import { Exporter } from "@effect-observability/core"
import type { MetricDefinition, MetricFrame, Series } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import * as FrameStatement from "./internal/frameStatement.ts"
import type { Lane, Link } from "./internal/Lane.ts"
import { type Partitioned, type Sql, sqlNames } from "./internal/names.ts"
import { int4s, text, texts, uuids } from "./internal/parameters.ts"
import { dayOf } from "./internal/partitions.ts"
import { SumGrid } from "./internal/SumGrid.ts"
import type { Session } from "./internal/session.ts"
import * as Encoding from "./PostgresEncoding.ts"
import type { Names } from "./PostgresConfig.ts"

export interface MetricsOptions {
  readonly names: Names
  readonly lane: Lane
  /** Metrics to describe in the metadata table, recorded or not. */
  readonly definitions: () => ReadonlyArray<MetricDefinition.MetricDefinition>
  /** Labels every series carries. */
  readonly labels: () => Readonly<Record<string, string>>
}

/** Stores frames: a row per frame, arrays in the order of the lane's series. Several frames share one statement. */
export const make = (options: MetricsOptions): Exporter.Exporter<MetricFrame> => {
  const t = sqlNames(options.names)
  const statement = FrameStatement.make(t)
  const registry = new Registry(t, options)
  const grid = new SumGrid()
  return {
    export: (given, attempt) =>
      Effect.suspend(() => {
        const batch = grid.cut(attempt.number, given)
        return Effect.as(
          options.lane.send(attempt, (link) =>
            Effect.map(registry.register(link, batch), (lanes) => ({
              ...statement(link.lane, lanes, batch),
              partitions: () => partitionsOf(batch)
            }))),
          Exporter.complete
        )
      }),
    giveUp: options.lane.giveUp
  }
}

const partitionsOf = (batch: ReadonlyArray<MetricFrame>): ReadonlyMap<Partitioned, ReadonlySet<string>> => {
  const days = new Set(batch.map((frame) => dayOf(frame.endTime)))
  const exemplars = new Set(batch.flatMap((frame) => frame.exemplars.map(({ time }) => dayOf(time))))
  return new Map([["metric_frame", days], ["histogram_frame", days], ["summary_frame", days], ["exponential", days], ["exemplar", exemplars]] as const)
}

/** Series per statement. */
const chunk = 5_000

/** What the server has of one generation's lists of series. */
interface Lists {
  /** The lane that the lists belong to. */
  readonly lane: number
  readonly counts: Record<Encoding.Kind, number>
  readonly widths: Record<Encoding.Kind, number>
}

/**
 * What this process has told the dictionaries. All of it may be repeated: rows are found by content, and a generation's list of
 * series only grows, in an order that is the same for every attempt.
 */
class Registry {
  private readonly t: Sql
  private readonly options: MetricsOptions
  /** The session the lists below were read on: after any doubt they are read again. */
  private session: Session | undefined
  private incarnation: number | undefined
  private readonly lists = new Map<number, Lists>()
  private families = new Map<MetricDefinition.MetricDefinition, { readonly row: Encoding.FamilyRow; readonly id: number }>()
  private described = 0
  /** Series added by this process, and how many they are to be for the next `analyze`. */
  private added = 0
  private known = 1_000

  constructor(t: Sql, options: MetricsOptions) {
    this.t = t
    this.options = options
  }

  /** Returns the lane by whose lists of series each frame is read. */
  register(link: Link, batch: ReadonlyArray<MetricFrame>): Effect.Effect<Int32Array, SqlError> {
    return Effect.gen({ self: this }, function*() {
      // A server that crashed with commits under way may have lost what it had numbered.
      if (this.session !== link.session) this.families.clear()
      if (this.incarnation !== link.incarnation) {
        this.families.clear()
        this.described = 0
        this.session = undefined
        this.incarnation = link.incarnation
      }
      yield* this.describe(link)
      const wanted = new Set(batch.map((frame) => frame.generation))
      // Frames come in order: an older generation does not return.
      for (const generation of this.lists.keys()) if (!wanted.has(generation)) this.lists.delete(generation)
      const lanes = new Map<number, number>()
      for (const generation of wanted) {
        lanes.set(generation, yield* this.extend(link, generation, batch.filter((frame) => frame.generation === generation)))
      }
      return Int32Array.from(batch, (frame) => lanes.get(frame.generation)!)
    })
  }

  /** Makes the server's lists as long as the frames need them. */
  private extend(link: Link, generation: number, frames: ReadonlyArray<MetricFrame>): Effect.Effect<number, SqlError> {
    return Effect.gen({ self: this }, function*() {
      let { lane } = yield* this.recall(link, generation)
      for (const kind of Object.keys(Encoding.kinds) as Array<Encoding.Kind>) {
        // Frames of a generation are prefixes of one list: the longest holds the others.
        const longest = frames.reduce<ReadonlyArray<Series>>(
          (most, frame) => (frame[kind].series.length > most.length ? frame[kind].series : most),
          []
        )
        while (true) {
          const lists = yield* this.recall(link, generation)
          lane = lists.lane
          if (lists.counts[kind] >= longest.length) break
          const added = longest.slice(lists.counts[kind], lists.counts[kind] + chunk)
          yield* this.append(link, lists, kind, added)
          yield* this.analyze(link, added.length)
        }
      }
      return lane
    })
  }

  /**
   * Tells the planner when a registry has grown a lot: until autovacuum comes by it takes thousands of new series for a few, and
   * reads of them take seconds. A role that does not own the tables gets a warning instead.
   */
  private analyze(link: Link, added: number): Effect.Effect<void> {
    this.added += added
    if (this.added < this.known) return Effect.void
    this.known = 2 * this.added
    return Effect.ignore(link.session.execute(`analyze ${this.t.series}, ${this.t.lane_series}, ${this.t.family}`))
  }

  /** A generation's lists as far as they go on the server. */
  private recall(link: Link, generation: number): Effect.Effect<Lists, SqlError> {
    return Effect.gen({ self: this }, function*() {
      if (this.session !== link.session) {
        this.lists.clear()
        this.session = link.session
      }
      const known = this.lists.get(generation)
      if (known !== undefined) return known
      const lane = generation === 0 ? link.lane : yield* this.place(link, generation)
      const rows = yield* link.session.query(
        `select s.kind, max(s.pos + cardinality(s.series))::int4 as count,
          sum((select coalesce(sum(case s.kind when 2 then cardinality(f.bounds) + 1 when 3 then cardinality(f.quantiles) else 0 end), 0)
            from unnest(s.series) as k join ${this.t.series} x on x.id = k join ${this.t.family} f on f.id = x.family))::int4 as width
          from ${this.t.lane_series} s where s.lane = $1::int4 group by s.kind`,
        [lane]
      )
      const of = (column: "count" | "width") =>
        Object.fromEntries(Object.entries(Encoding.kinds).map(([kind, code]) => [kind, Number(rows.find((row) => row["kind"] === code)?.[column] ?? 0)])) as Record<
          Encoding.Kind,
          number
        >
      const lists = { lane, counts: of("count"), widths: of("width") }
      this.lists.set(generation, lists)
      return lists
    })
  }

  /**
   * A lane for the lists of one more generation: positions mean other series there. Batches are still numbered by the process's own
   * lane.
   */
  private place(link: Link, generation: number): Effect.Effect<number, SqlError> {
    const producer = "md5(l.producer::text || '/' || $2::text)::uuid"
    const parameters = [link.lane, text(String(generation))]
    return link.session.query(
      `insert into ${this.t.lane} (producer, signal, epoch, resource)
        select ${producer}, l.signal, l.epoch, l.resource from ${this.t.lane} l where l.id = $1::int4
        on conflict (producer, signal) do nothing`,
      parameters
    ).pipe(
      Effect.andThen(link.session.query(
        `select g.id from ${this.t.lane} l join ${this.t.lane} g on g.producer = ${producer} and g.signal = l.signal where l.id = $1::int4`,
        parameters
      )),
      // Without the process's own lane there is none: the fence then refuses the batch, and the lane is joined again.
      Effect.map((rows) => (rows[0]?.["id"] as number | undefined) ?? link.lane)
    )
  }

  private append(link: Link, lists: Lists, kind: Encoding.Kind, list: ReadonlyArray<Series>): Effect.Effect<void, SqlError> {
    return Effect.gen({ self: this }, function*() {
      yield* this.resolveFamilies(link, list.map((one) => one.definition))
      const shared = this.options.labels()
      const rows = list.map((one) => Encoding.series(one, this.families.get(one.definition)!.row, shared))
      const distinct = [...new Map(rows.map((row, i) => [row.hash, { row, family: this.families.get(list[i]!.definition)!.id }])).values()]
        // One order for all processes, so that two of them never wait for each other.
        .sort((a, b) => (a.row.hash < b.row.hash ? -1 : 1))
      yield* link.session.query(
        `insert into ${this.t.series} (hash, family, labels)
          select n.hash, n.family, n.labels::jsonb from unnest($1::uuid[], $2::int4[], $3::text[]) as n(hash, family, labels)
          where not exists (select 1 from ${this.t.series} s where s.hash = n.hash)
          on conflict (hash) do nothing`,
        [
          uuids(distinct.map(({ row }) => row.hash)),
          int4s(Int32Array.from(distinct, ({ family }) => family)),
          texts(distinct.map(({ row }) => row.labels))
        ]
      )
      const starts = new Int32Array(rows.length)
      let width = lists.widths[kind]
      rows.forEach((row, i) => {
        starts[i] = width
        width += row.width
      })
      const appended = yield* link.session.query(
        `insert into ${this.t.lane_series} (lane, kind, pos, series, starts)
          select $1::int4, $2::int2, $3::int4, array_agg(s.id order by n.i), case when $2::int2 >= 2 then $5::int4[] end
          from unnest($4::uuid[]) with ordinality as n(hash, i) join ${this.t.series} s on s.hash = n.hash
          on conflict do nothing returning pos`,
        [lists.lane, Encoding.kinds[kind], lists.counts[kind], uuids(rows.map((row) => row.hash)), int4s(starts)]
      )
      if (appended.length === 0 || this.session !== link.session) {
        // An earlier attempt, thought lost, had appended here; or this is that attempt, and it is late.
        this.session = undefined
        return
      }
      lists.counts[kind] += rows.length
      lists.widths[kind] = width
    })
  }

  private resolveFamilies(link: Link, definitions: ReadonlyArray<MetricDefinition.MetricDefinition>): Effect.Effect<void, SqlError> {
    const wanted = [...new Set(definitions)].filter((definition) => !this.families.has(definition))
    if (wanted.length === 0) return Effect.void
    const rows = wanted.map((definition) => ({ definition, row: Encoding.family(definition) }))
    const distinct = [...new Map(rows.map(({ row }) => [row.hash, row])).values()].sort((a, b) => (a.hash < b.hash ? -1 : 1))
    const hashes = uuids(distinct.map((row) => row.hash))
    return link.session.query(
      `insert into ${this.t.family} (hash, name, type, unit, bounds, quantiles)
        select n.hash, n.name, n.type, n.unit, n.bounds::float8[], n.quantiles::float8[]
        from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) as n(hash, name, type, unit, bounds, quantiles)
        where not exists (select 1 from ${this.t.family} f where f.hash = n.hash)
        on conflict (hash) do nothing`,
      [
        hashes,
        texts(distinct.map((row) => row.name)),
        texts(distinct.map((row) => row.type)),
        texts(distinct.map((row) => row.unit)),
        texts(distinct.map((row) => row.bounds)),
        texts(distinct.map((row) => row.quantiles))
      ]
    ).pipe(
      Effect.andThen(link.session.query(
        `select id, replace(hash::text, '-', '') as hash from ${this.t.family} where hash = any($1::uuid[])`,
        [hashes]
      )),
      Effect.map((found) => {
        const ids = new Map(found.map((row) => [row["hash"], row["id"] as number]))
        for (const { definition, row } of rows) this.families.set(definition, { row, id: ids.get(row.hash)! })
      })
    )
  }

  /** The document's metadata table: the newest definition of each name. */
  private describe(link: Link): Effect.Effect<void, SqlError> {
    const definitions = this.options.definitions()
    if (this.described === definitions.length) return Effect.void
    const rows = [...new Map(definitions.map((definition) => [definition.name, Encoding.metadata(definition)])).values()]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
    return Effect.map(
      link.session.query(
        `insert into ${this.t.view.metadata} as m (name, type, help, unit, label_names, buckets, objectives, alert_threshold, created_at)
          select n.name, n.type, n.help, n.unit, n.label_names::jsonb, n.buckets::jsonb, n.objectives::jsonb, n.alert_threshold::float8, now()
          from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
            as n(name, type, help, unit, label_names, buckets, objectives, alert_threshold)
          on conflict (name) do update set type = excluded.type, help = excluded.help, unit = excluded.unit, label_names = excluded.label_names,
            buckets = excluded.buckets, objectives = excluded.objectives, alert_threshold = excluded.alert_threshold
          where (m.type, m.help, m.unit, m.label_names, m.buckets, m.objectives, m.alert_threshold) is distinct from
            (excluded.type, excluded.help, excluded.unit, excluded.label_names, excluded.buckets, excluded.objectives, excluded.alert_threshold)`,
        [
          texts(rows.map((row) => row.name)),
          texts(rows.map((row) => row.type)),
          texts(rows.map((row) => row.help)),
          texts(rows.map((row) => row.unit)),
          texts(rows.map((row) => row.labelNames)),
          texts(rows.map((row) => row.buckets)),
          texts(rows.map((row) => row.objectives)),
          texts(rows.map((row) => row.alertThreshold))
        ]
      ),
      () => {
        this.described = definitions.length
      }
    )
  }
}
