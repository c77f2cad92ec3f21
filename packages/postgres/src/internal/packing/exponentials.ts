import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Sql } from "../names.ts"
import { timestamptz } from "../parameters.ts"
import type { Session } from "../session.ts"
import { hour } from "./hours.ts"

/** The form of the rows that this version writes. */
const format = 1

/** The hours with exponential buckets up to `until` that are not packed, oldest first. */
export const waitingExponentials = (session: Session, t: Sql, until: number): Effect.Effect<ReadonlyArray<number>, SqlError> =>
  Effect.map(
    session.query(
      `select distinct (extract(epoch from date_trunc('hour', ts - interval '1 microsecond', 'UTC')) * 1000)::int8 as start
        from ${t.exponential} where ts <= $1::timestamptz order by 1`,
      [timestamptz(until)]
    ),
    (rows) => rows.map((row) => Number(row["start"]))
  )

/**
 * Gathers the rows of an hour, one row per series and lane, compares what is read back of them with what they were, and deletes
 * them. Runs in a transaction of the caller's that sees one snapshot. A difference leaves them as they are and is returned as a
 * sentence.
 */
export const packExponentials = (session: Session, t: Sql, start: number): Effect.Effect<string | undefined, SqlError> =>
  Effect.gen(function*() {
    const range = [timestamptz(start), timestamptz(start + hour)]
    const rows = `${t.exponential} e where e.ts > $1::timestamptz and e.ts <= $2::timestamptz`
    yield* session.execute("savepoint exponentials")
    const made = yield* session.query(
      `with packed as (
        insert into ${t.exponential_pack} (ts, lane, series, format, n, ends, spans, scales, zeros, lows, lengths, negative_lows, negative_lengths, counts)
        select $1::timestamptz, g.lane, g.series, ${format}, g.n, g.ends, g.spans, g.scales, g.zeros, g.lows, g.lengths, g.negative_lows, g.negative_lengths,
          coalesce(c.counts, '{}')
        from (
          select e.lane, e.series, count(*)::int4 as n, ${
        [
          ["round(extract(epoch from e.ts - $1::timestamptz) * 1000)::int4", "ends"], ["e.span_ms", "spans"], ["e.scale", "scales"], ["e.zero", "zeros"],
          ["e.low", "lows"], ["cardinality(e.positive)::int2", "lengths"], ["e.negative_low", "negative_lows"],
          ["cardinality(e.negative)::int2", "negative_lengths"]
        ].map(([value, name]) => `array_agg(${value} order by e.ts, e.ctid) as ${name}`).join(", ")
      }
          from ${rows} group by e.lane, e.series) g
        left join (
          select e.lane, e.series, array_agg(u.count order by e.ts, e.ctid, u.i) as counts
          from (select *, ctid from ${rows}) e cross join lateral unnest(e.positive || e.negative) with ordinality as u(count, i)
          group by e.lane, e.series) c on c.lane = g.lane and c.series = g.series
        returning ts, lane, series, n, ends, spans, scales, zeros, lows, lengths, negative_lows, negative_lengths, counts
      )
      select count(*)::int4 as packed, (count(*) filter (where h.lane is null))::int4 as wrong, (select count(*)::int4 from ${rows}) as hot
      from packed p
      cross join lateral ${t.exponential_entries}(p.ends, p.spans, p.scales, p.zeros, p.lows, p.lengths, p.negative_lows, p.negative_lengths, p.counts) u
      left join lateral (
        select e.lane from ${rows} and e.lane = p.lane and e.series = p.series and e.ts = p.ts + u.ended * interval '1 millisecond'
          and (e.span_ms, e.scale, e.zero, e.low, e.positive, e.negative_low, e.negative)
            is not distinct from (u.span_ms, u.scale, u.zero, u.low, u.positive, u.negative_low, u.negative) limit 1) h on true`,
      range
    )
    const [{ hot, packed, wrong }] = made as unknown as readonly [{ readonly hot: number; readonly packed: number; readonly wrong: number }]
    if (wrong === 0 && packed === hot) {
      yield* session.query(`delete from ${rows}`, range)
      return undefined
    }
    yield* session.execute("rollback to savepoint exponentials")
    return `exponential buckets of the hour from ${new Date(start).toISOString()} read back differently: left as they are`
  })
