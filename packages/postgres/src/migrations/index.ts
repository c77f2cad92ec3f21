import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { createHash } from "node:crypto"
import { type Sql, sqlNames } from "../internal/names.ts"
import { text } from "../internal/parameters.ts"
import { type Session, together } from "../internal/session.ts"
import type { Names } from "../PostgresConfig.ts"
import * as Store from "./0001_store.ts"
import * as Packing from "./0002_packing.ts"
import * as Spans from "./0003_spans.ts"
import * as Queries from "./0004_queries.ts"
import * as HotSpans from "./0005_hot_spans.ts"
import * as Exponential from "./0006_exponential.ts"
import * as Errors from "./0007_errors.ts"
import * as Alerts from "./0008_alerts.ts"
import * as Upkeep from "./0009_upkeep.ts"
import * as Processes from "./0010_processes.ts"

interface Migration {
  readonly version: number
  readonly name: string
  readonly statements: (tables: Sql) => ReadonlyArray<string>
}

/** Forward only; what is released is never edited, only followed. */
const migrations: ReadonlyArray<Migration> = [
  { version: 1, ...Store }, { version: 2, ...Packing }, { version: 3, ...Spans }, { version: 4, ...Queries }, { version: 5, ...HotSpans },
  { version: 6, ...Exponential }, { version: 7, ...Errors }, { version: 8, ...Alerts },
  { version: 9, ...Upkeep }, { version: 10, ...Processes }
]

/** The version of the layout that this version makes. */
export const newest = migrations.at(-1)!.version

/** The schema holds something this version cannot use; the message says what to do. */
export class SchemaConflict {
  readonly _tag = "SchemaConflict"
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/**
 * Brings the schema to the newest layout. Any number of processes may do it at once: one works, the others wait for it. When
 * nothing is to be done it takes no lock and needs no right to create. After a failure the session must be closed.
 */
export const migrate = (session: Session, names: Names): Effect.Effect<void, SqlError | SchemaConflict> =>
  Effect.gen(function*() {
    const t = sqlNames(names)
    if ((yield* pending(session, t, names)).length === 0) return
    yield* session.execute("begin")
    // Held until the transaction ends, so that it works behind a transaction pooler too.
    yield* session.query("select pg_advisory_xact_lock(hashtextextended($1, 0))", [text(lockName(names))])
    const exists = yield* session.query("select 1 from pg_namespace where nspname = $1", [text(names.schema)])
    if (exists.length === 0) yield* session.execute(`create schema ${t.schema}`)
    yield* session.execute(`create table if not exists ${t.migration} (
      version int4 primary key, name text not null, checksum text not null, applied_at timestamptz not null default now())`)
    yield* session.execute(`create table if not exists ${t.settings} (
      one bool primary key default true check (one), metrics text not null, metadata text not null, spans text not null, events text not null)`)
    for (const migration of yield* pending(session, t, names)) {
      yield* session.execute(together(migration.statements(t)))
      yield* session.query(
        `insert into ${t.migration} (version, name, checksum) values ($1::int4, $2::text, $3::text)`,
        [migration.version, text(migration.name), text(checksum(migration))]
      )
    }
    yield* session.query(
      `insert into ${t.settings} (metrics, metadata, spans, events) values ($1::text, $2::text, $3::text, $4::text) on conflict do nothing`,
      [names.metrics, names.metadata, names.spans, names.events].map(text)
    )
    yield* session.execute("commit")
  })

export const lockName = (names: Names): string => `effect-observability ${names.schema}`

/** What is still to be applied. A newer version than ours is fine: layouts only grow. */
const pending = (session: Session, t: Sql, names: Names): Effect.Effect<ReadonlyArray<Migration>, SqlError | SchemaConflict> =>
  Effect.gen(function*() {
    const present = yield* session.query("select to_regclass($1) is not null as present", [text(t.migration)])
    if (present[0]?.["present"] !== true) return migrations
    const applied = new Map(
      (yield* session.query(`select version, checksum from ${t.migration}`)).map((row) => [row["version"], row["checksum"]])
    )
    for (const migration of migrations) {
      const found = applied.get(migration.version)
      if (found !== undefined && found !== checksum(migration)) {
        return yield* Effect.fail(
          new SchemaConflict(`schema "${names.schema}" was made by another build of this library (migration ${migration.version} differs): use another schema`)
        )
      }
    }
    const kept = (yield* session.query(`select metrics, metadata, spans, events from ${t.settings}`))[0]
    if (kept !== undefined) {
      const mine = [names.metrics, names.metadata, names.spans, names.events].join(", ")
      const theirs = [kept["metrics"], kept["metadata"], kept["spans"], kept["events"]].join(", ")
      if (mine !== theirs) {
        return yield* Effect.fail(
          new SchemaConflict(`schema "${names.schema}" holds a store with the names ${theirs}, not ${mine}: use its names, or another schema`)
        )
      }
    }
    return migrations.filter((migration) => !applied.has(migration.version))
  })

/** Of the statements under fixed names, so that configured names do not change it. */
const checksum = (migration: Migration): string =>
  createHash("sha256").update(migration.statements(neutral).join(";\n")).digest("hex").slice(0, 16)

const neutral = sqlNames({ schema: "s", metrics: "m", metadata: "d", spans: "p", events: "e", histograms: "h" })
