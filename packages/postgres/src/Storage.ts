import { type CapacityReport, HistoryError } from "@effect-observability/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { estimate } from "./capacity/estimate.ts"
import { type Look, look } from "./capacity/look.ts"
import * as Deletion from "./internal/deletion.ts"
import { describe, sqlState } from "./internal/errors.ts"
import { type Partitioned, sqlNames } from "./internal/names.ts"
import { text } from "./internal/parameters.ts"
import type { Row, Session } from "./internal/session.ts"
import type { Store } from "./internal/Store.ts"

/** What a table of the store takes on the disk, its indexes and large values included. */
export interface TableReport {
  /** `obs_metric_pack_day` and so on. */
  readonly name: string
  /** 0 for a table that is not partitioned. */
  readonly partitions: number
  readonly bytes: number
  /** The digits that name its oldest and newest partition: a day (`YYYYMMDD`), a month or a year. */
  readonly oldest: string | undefined
  readonly newest: string | undefined
}

export interface StorageReport {
  readonly tables: ReadonlyArray<TableReport>
  /** All tables of the store. */
  readonly bytes: number
  /** The whole database, whatever else it holds. */
  readonly databaseBytes: number
  /** Of the last finished day that is packed: numbers stored, each counted once per sample, and what one of them takes. */
  readonly samples: { readonly perDay: number; readonly bytesPerSample: number } | undefined
  /** Of the last finished day. */
  readonly spans: { readonly perDay: number; readonly bytesPerSpan: number } | undefined
  /** Mean of the last seven finished days that hold anything. */
  readonly bytesPerDay: number | undefined
  readonly capacity: number | undefined
  /**
   * Milliseconds since the epoch; `undefined` without a capacity, without growth, or when retention keeps it below. By finished days; before there is one, by
   * `estimate`.
   */
  readonly fullAt: number | undefined
  /** Growth as told from the last minutes; `undefined` while nobody records. */
  readonly estimate: CapacityReport | undefined
}

export interface Deleted {
  /** Packed columns, roll-ups and frames that went. */
  readonly rows: number
  readonly series: number
}

/** The room the store takes, and the removal of what must not be kept. */
export class Storage extends Context.Service<Storage, {
  readonly report: Effect.Effect<StorageReport, HistoryError>
  /**
   * Deletes every metric of a service, or of all series with these labels (a tenant's, say), in frames, packed rows, roll-ups
   * and exemplars. Running processes go on recording: stop the tenant first. Room comes back as days are dropped or vacuumed.
   */
  readonly deleteMetrics: (
    of: { readonly service: string } | { readonly labels: Readonly<Record<string, string>> }
  ) => Effect.Effect<Deleted, HistoryError>
}>()("@effect-observability/postgres/Storage") {}

export const make = (store: Store): Storage["Service"] => ({
  report: failing(store.withSession((session) => report(session, store, { trial: true }))),
  deleteMetrics: (of) => {
    const empty = "service" in of ? of.service === "" : Object.keys(of.labels).length === 0
    if (empty) return Effect.fail(new HistoryError({ reason: "invalid", message: "deleteMetrics: name a service, or at least one label: nothing was deleted" }))
    // A frame that came in between makes the server refuse, and the next try sees it.
    return failing(Effect.retry(store.withSession((session) => Deletion.metrics(session, store.config.names, of)), {
      times: 10,
      while: (error) => sqlState(error) === "40001" || sqlState(error) === "55P03"
    }))
  }
})

const failing = <A>(effect: Effect.Effect<A, SqlError>): Effect.Effect<A, HistoryError> =>
  Effect.mapError(effect, (error) => new HistoryError({ reason: "unavailable", message: describe(error) }))

const day = 86_400_000

/** How far back the estimate looks. Milliseconds. */
const window = 300_000

export interface ReportOptions {
  /** Whether spans may be packed on trial into temporary tables, which a transaction that only reads must not. */
  readonly trial: boolean
  /** An earlier look of the same store. */
  readonly before?: Look | undefined
  readonly onLook?: (look: Look) => void
  /** Figures of finished days, which stay as they are: counting a day means reading it. */
  readonly counted?: Map<string, number>
  /** Where growth ends. */
  readonly maxSeries?: number
}

/** A report over `session` alone; nothing is written. */
export const report = (session: Session, store: Pick<Store, "config">, options: ReportOptions): Effect.Effect<StorageReport, SqlError> =>
  Effect.gen(function*() {
    const t = sqlNames(store.config.names)
    // A leaf belongs to the table it was attached to; its name ends with the digits of what it holds.
    const leaves = yield* session.query(
      `select coalesce(p.relname, c.relname)::text as name, substring(c.relname from '_p([0-9]+)$') as period, p.relname is not null as part,
          pg_total_relation_size(c.oid)::int8 as bytes, pg_relation_size(c.oid) > 0 as used
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        left join pg_inherits i on i.inhrelid = c.oid left join pg_class p on p.oid = i.inhparent
        where n.nspname = $1 and c.relkind = 'r' and coalesce(p.relname, c.relname) ~ '^obs_' order by 1, 2`,
      [text(store.config.names.schema)]
    )
    const { names, retentionDays, searchable } = store.config
    const seen = yield* look(session, { names, searchable, window, trial: options.trial })
    options.onLook?.(seen)
    const database = seen.databaseBytes ?? seen.storeBytes
    const { now } = seen
    const today = new Date(now).toISOString().slice(0, 10).replaceAll("-", "")
    // Of finished days, those that hold anything.
    const days = new Map<string, number>()
    for (const leaf of leaves) {
      const period = leaf["period"] as string | null
      if (leaf["used"] === true && period?.length === 8 && period < today) days.set(period, (days.get(period) ?? 0) + Number(leaf["bytes"]))
    }
    const last = [...days].toSorted(([a], [b]) => (a < b ? 1 : -1)).slice(0, 7)
    const bytesPerDay = last.length === 0 ? undefined : last.reduce((sum, [, bytes]) => sum + bytes, 0) / last.length
    /** Of the last finished day in the first of the tables: what it counts, and the bytes of that day in all of them. */
    const sizeOf = <K extends string>(name: K, tables: ReadonlyArray<Partitioned>, count: string) =>
      Effect.gen(function*() {
        const [first] = tables
        const period = leaves.filter((leaf) => leaf["name"] === `obs_${first}` && leaf["used"] === true && String(leaf["period"]) < today)
          .map((leaf) => String(leaf["period"])).toSorted().at(-1)
        if (period === undefined) return undefined
        const key = `${first} ${period}`
        let perDay = options.counted?.get(key)
        if (perDay === undefined) {
          // By the table, not its partition, on which a role of few rights has none.
          const counted = yield* session.query(
            `select (${count})::int8 as n from ${t[first!]} where ts >= $1::timestamptz and ts < $1::timestamptz + interval '1 day'`,
            [text(`${period} 00:00:00+00`)]
          )
          perDay = Number(counted[0]!["n"] ?? 0)
          if (perDay > 0) options.counted?.set(key, perDay)
        }
        const bytes = leaves.filter((leaf) => leaf["period"] === period && tables.some((table) => leaf["name"] === `obs_${table}`))
          .reduce((sum, leaf) => sum + Number(leaf["bytes"]), 0)
        return perDay === 0 ? undefined : { perDay, [name]: bytes / perDay } as { readonly perDay: number } & Record<K, number>
      })
    const { capacity } = store.config
    const samples = yield* sizeOf("bytesPerSample", ["metric_pack_day", "metric_segment"], "sum(n) filter (where col = 0)")
    // Packed a few minutes after they came; until then, or without packing, as they came.
    const spans = (yield* sizeOf("bytesPerSpan", ["span_pack", "trace_pack"], "sum(n)")) ?? (yield* sizeOf("bytesPerSpan", ["trace_part"], "sum(span_count)"))
    const recording = seen.lanes.length > 0 || seen.spans.rows > 0 || seen.errors.rows > 0
    const growth = estimate(seen, {
      capacity, kept: days.size, retentionDays: retentionDays(),
      before: options.before,
      finished: { bytesPerSample: samples?.bytesPerSample, bytesPerSpan: spans?.bytesPerSpan },
      ...(options.maxSeries === undefined ? {} : { maxSeries: options.maxSeries })
    })
    return {
      tables: tablesOf(leaves),
      bytes: leaves.reduce((sum, leaf) => sum + Number(leaf["bytes"]), 0),
      databaseBytes: database,
      samples,
      spans,
      bytesPerDay,
      capacity,
      estimate: recording ? growth : undefined,
      fullAt: capacity === undefined
        ? undefined
        : bytesPerDay === undefined
        ? recording ? growth.fullAt : undefined
        : fullAt(now, { capacity, database, bytesPerDay, kept: days.size, retentionDays: retentionDays() })
    }
  })

/** Once there are as many days as retention keeps, a new one replaces an old one. */
const fullAt = (
  now: number,
  of: { readonly capacity: number; readonly database: number; readonly bytesPerDay: number; readonly kept: number; readonly retentionDays: number }
): number | undefined => {
  const daysLeft = Math.max(0, of.capacity - of.database) / of.bytesPerDay
  return daysLeft > Math.max(0, of.retentionDays - of.kept) ? undefined : now + daysLeft * day
}

const tablesOf = (leaves: ReadonlyArray<Row>): ReadonlyArray<TableReport> =>
  [...Map.groupBy(leaves, (leaf) => String(leaf["name"]))].map(([name, parts]) => {
    const periods = parts.flatMap((part) => (part["part"] === true && part["period"] !== null ? [String(part["period"])] : [])).toSorted()
    return {
      name,
      partitions: periods.length,
      bytes: parts.reduce((sum, part) => sum + Number(part["bytes"]), 0),
      oldest: periods[0],
      newest: periods.at(-1)
    }
  })
