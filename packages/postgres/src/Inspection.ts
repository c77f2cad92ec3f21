import { defaultSettings, HistoryError } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { SqlError } from "effect/sql/SqlError"
import { describe, sqlState } from "./internal/errors.ts"
import { type Sql, sqlNames } from "./internal/names.ts"
import { text } from "./internal/parameters.ts"
import * as Session from "./internal/session.ts"
import { newest } from "./migrations/index.ts"
import { type PostgresConfigError, resolve } from "./PostgresConfig.ts"
import { report, type StorageReport } from "./Storage.ts"

export interface InspectOptions {
  readonly connection: Redacted.Redacted<string>
  /** Default `"observability"`. */
  readonly schema?: string
  /** As in `PostgresOptions`: the report then says when the disk is full. */
  readonly capacity?: number
  /** Days the programs keep; only the forecast uses it. Default 90. */
  readonly retentionDays?: number
}

/** A process that writes, or wrote, into the store. */
export interface StoreWriter {
  readonly service: string
  readonly instance: string
  readonly env: string
  /** Milliseconds since it was heard of last, by the server's clock. */
  readonly silentMillis: number
}

export interface StoreInspection {
  readonly serverVersion: string
  /** Days after today, by the server's clock in UTC, for which there is a partition of frames. Programs keep two ahead. */
  readonly daysAhead: number
  /** Age of the oldest frame that is not packed, in milliseconds; 0 for none. Packing follows within hours. */
  readonly oldestUnpackedMillis: number
  /** Of the last day, the newest first; at most 1,000. */
  readonly writers: ReadonlyArray<StoreWriter>
  readonly storage: StorageReport
}

/**
 * Looks at a store from outside: over a connection of its own, in a transaction that cannot write, without making or migrating anything. `undefined` when the
 * schema is not there. Ends within about 30 seconds.
 */
export const inspect = (options: InspectOptions): Effect.Effect<StoreInspection | undefined, PostgresConfigError | HistoryError> =>
  Effect.gen(function*() {
    const config = yield* resolve(options, () => defaultSettings)
    const t = sqlNames(config.names)
    const { schema } = config.names
    const look = (session: Session.Session): Effect.Effect<StoreInspection | string | undefined, SqlError> =>
      Effect.gen(function*() {
        yield* session.execute("begin read only")
        const there = yield* session.query("select count(*)::int4 as n from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = 'obs_metric_frame'", [text(schema)])
        if (there[0]!["n"] === 0) return undefined
        const problem = yield* unlike(session, t)
        if (problem !== undefined) return problem
        const [state] = yield* session.query(
          `select current_setting('server_version') as version,
            (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relispartition
              and c.relname ~ '^obs_metric_frame_p[0-9]{8}$' and right(c.relname, 8) > to_char(now() at time zone 'UTC', 'YYYYMMDD'))::int4 as ahead,
            coalesce((select extract(epoch from now() - min(ts)) * 1000 from ${t.metric_frame}), 0)::float8 as unpacked`,
          [text(schema)]
        )
        const writers = yield* session.query(
          `select r.service, r.instance, r.env, (extract(epoch from now() - max(l.seen_at)) * 1000)::float8 as silent
            from ${t.lane} l join ${t.resource} r on r.id = l.resource where l.seen_at > now() - interval '1 day'
            group by 1, 2, 3 order by 4 limit 1000`
        )
        return {
          serverVersion: String(state!["version"]),
          daysAhead: Number(state!["ahead"]),
          oldestUnpackedMillis: Math.max(0, Number(state!["unpacked"])),
          writers: writers.map((row) => ({
            service: String(row["service"]), instance: String(row["instance"]), env: String(row["env"]), silentMillis: Math.max(0, Number(row["silent"]))
          })),
          storage: yield* report(session, { config }, { trial: false })
        }
      })
    return yield* Effect.acquireUseRelease(Session.open(config.target, 20_000), look, (session) => session.close).pipe(
      Effect.mapError((error) => new HistoryError({ reason: "unavailable", message: plainly(error, schema) })),
      Effect.flatMap((found) => typeof found === "string" ? Effect.fail(new HistoryError({ reason: "unavailable", message: found })) : Effect.succeed(found)),
      Effect.timeoutOrElse({
        duration: 30_000,
        orElse: () => Effect.fail(new HistoryError({ reason: "unavailable", message: "the server gave no answer within 30 seconds" }))
      })
    )
  })

/** Why it is no store that this version can read. */
const unlike = (session: Session.Session, t: Sql): Effect.Effect<string | undefined, SqlError> =>
  Effect.gen(function*() {
    const [made] = yield* session.query("select to_regclass($1) is not null as there", [text(t.migration)])
    if (made!["there"] !== true) return "the schema has tables named as ours, and is no store of effect-observability: name another with --schema"
    const [row] = yield* session.query(`select coalesce(max(version), 0)::int4 as version from ${t.migration}`)
    const version = Number(row!["version"])
    return version < newest ? `the store is of an older version (${version}, this is ${newest}): start a program of this version with it once, which brings it up to date` : undefined
  })

/** What the server said, with what to do about what is usual. */
const plainly = (error: SqlError, schema: string): string => {
  const said = describe(error)
  switch (sqlState(error)) {
    case "42501":
      return `the role may not read the store (${said}): grant usage on schema "${schema}" and select on all tables in it`
    case "42P01":
    case "42703":
    case "42883":
      return `the schema "${schema}" is not a store of this version (${said})`
    default:
      return said
  }
}
