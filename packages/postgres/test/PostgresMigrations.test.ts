import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Partitions from "../src/internal/partitions.ts"
import * as Session from "../src/internal/session.ts"
import { migrate } from "../src/migrations/index.ts"
import type { Names } from "../src/PostgresConfig.ts"
import * as SpanPacker from "../src/spans/SpanPacker.ts"
import { partitioned } from "../src/internal/names.ts"
import { ask, Database, freshNames, Requests, startProcess } from "./support/database.ts"
import { Series4 } from "./support/frames.ts"
import { everything, packAt } from "./support/packed.ts"
import { span } from "./support/spans.ts"

const withSession = <A, E>(target: Session.Target, use: (session: Session.Session) => Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(Session.open(target, 30_000), use, (session) => session.close)

const columnsOf = (target: Session.Target, schema: string, table: string) =>
  Effect.map(
    ask(target, "select column_name::text as name from information_schema.columns where table_schema = $1 and table_name = $2 order by ordinal_position", [schema, table]),
    (rows) => rows.map((row) => row["name"])
  )

const document = {
  metrics: ["id", "name", "type", "value", "labels", "timestamp"],
  metadata: ["name", "type", "help", "unit", "label_names", "buckets", "objectives", "alert_threshold", "created_at"],
  spans: [
    "id", "trace_id", "span_id", "parent_span_id", "name", "kind", "service_name", "start_time", "end_time", "duration", "status",
    "status_message", "attributes", "timestamp"
  ],
  events: ["id", "trace_id", "span_id", "name", "timestamp", "attributes", "created_at"]
} as const

const expectDocument = (target: Session.Target, names: Names) =>
  Effect.forEach(Object.keys(document) as Array<keyof typeof document>, (key) =>
    Effect.map(columnsOf(target, names.schema, names[key]), (columns) => assert.deepStrictEqual(columns, [...document[key]], key)))

layer(Database.layer, { excludeTestServices: true })("migrations", (it) => {
  it.effect("eight processes at once: one works, all succeed", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      yield* Effect.all(
        Array.from({ length: 8 }, () => withSession(target, (session) => Effect.andThen(migrate(session, names), Partitions.ensureComing(session, names)))),
        { concurrency: 8 }
      )
      const applied = yield* ask(target, `select version, name from ${names.schema}.obs_migration`)
      assert.deepStrictEqual(applied.map((row) => [row["version"], row["name"]]), [[1, "store"], [2, "packing"], [3, "spans"], [4, "queries"], [5, "hot spans"], [6, "exponential histograms"], [7, "errors"], [8, "alerts"], [9, "upkeep"], [10, "processes"]])
      yield* expectDocument(target, names)
      const partitions = yield* ask(target, "select count(*)::int4 as n from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relkind = 'r'", [names.schema])
      // Three days of seven tables, and the months or years of three more.
      assert.isAtLeast(partitions[0]!["n"] as number, 24)
    }))

  it.effect("the names are the user's", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames({
        metrics: "app_metrics", metadata: "app_metric_metadata", spans: "app_spans", events: "app_span_events", histograms: "app_metrics_histograms"
      })
      yield* withSession(target, (session) => migrate(session, names))
      yield* expectDocument(target, names)
      assert.include(yield* columnsOf(target, names.schema, "app_metrics_histograms"), "buckets")
      const other = yield* Effect.flip(withSession(target, (session) => migrate(session, { ...names, spans: "spans" })))
      assert.strictEqual(other._tag, "SchemaConflict")
      assert.include(other.message, "app_spans")
    }))

  it.effect("once migrated, a role without the right to create anything will do", () =>
    Effect.gen(function*() {
      const { target, url } = yield* Database
      const names = freshNames()
      yield* withSession(target, (session) => Effect.andThen(migrate(session, names), Partitions.ensureComing(session, names)))
      const role = `${names.schema}_role`
      yield* ask(target, `create role ${role} login password 'secret'`)
      yield* ask(target, `grant usage on schema ${names.schema} to ${role}`)
      yield* ask(target, `grant select, insert, update, delete on all tables in schema ${names.schema} to ${role}`)
      yield* ask(target, `grant usage on all sequences in schema ${names.schema} to ${role}`)
      const limited = { ...target, url: Redacted.make(Redacted.value(url).replace(/\/\/[^@]*@/, `//${role}:secret@`)) }
      yield* withSession(limited, (session) =>
        Effect.gen(function*() {
          assert.strictEqual((yield* session.query("select current_user::text as me"))[0]!["me"], role)
          yield* migrate(session, names)
          yield* Partitions.ensureComing(session, names)
        }))

      // It writes, packs and reads. What only the owner may do, dropping, is left to the owner.
      const process = yield* startProcess(limited, names)
      const store = new Series4()
      const old = Math.floor(Date.now() / 86_400_000) * 86_400_000 - 3 * 86_400_000
      const day = new Set([Partitions.dayOf(old)])
      yield* withSession(target, (session) =>
        Partitions.ensure(session, names, new Map(partitioned.map((table) => [table, day]))))
      for (let i = 1; i <= 3; i++) {
        yield* process.exportFrames(i, store.frame(old + i * 1_000, old + i * 1_000 + 1_000, [{ metric: Requests, labels: { method: "GET", status: "200" }, value: i }]))
      }
      const done = yield* packAt(limited, names, Date.now())
      assert.deepStrictEqual([done.hours, done.days], [1, 1])
      assert.strictEqual((yield* everything(limited, names)).length, 3)
      yield* process.exportSpans(1, span({ startTime: BigInt(old) * 1_000_000n, endTime: BigInt(old + 5) * 1_000_000n }))
      const packed = yield* withSession(limited, (session) => SpanPacker.pass(session, { names, searchable: new Set(), minAge: 0, eager: true }))
      assert.deepStrictEqual(packed, { chunks: 1, spans: 1, problems: [] })
      const expired = (session: Session.Session) => Partitions.dropExpired(session, names, () => 1)
      // What another role owns is left alone, and told when nobody drops it.
      assert.deepStrictEqual(yield* withSession(limited, expired), [])
      assert.include(yield* withSession(limited, (session) => Partitions.overdue(session, names, () => -1)), `obs_metric_pack_day_p${Partitions.dayOf(old)}`)
      assert.deepStrictEqual(yield* withSession(target, (session) => Partitions.overdue(session, names, () => -1)), [])
      assert.deepStrictEqual(yield* withSession(target, expired), [])
    }))

  it.effect("retention drops the days that are over, and no others", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const days = (yield* ask(target, "select to_char((now() at time zone 'UTC')::date - d, 'YYYYMMDD') as day from generate_series(0, 9) as d"))
        .map((row) => String(row["day"]))
      const left = yield* withSession(target, (session) =>
        Effect.gen(function*() {
          yield* migrate(session, names)
          yield* Partitions.ensure(session, names, new Map([["metric_frame", new Set(days)], ["trace_part", new Set(days)]]))
          return yield* Partitions.dropExpired(session, names, () => 7)
        }))
      assert.deepStrictEqual(left, [])
      const kept = yield* ask(target, "select right(c.relname, 8) as day from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname like 'obs_trace_part_p%' and c.relkind = 'r' order by 1 desc", [names.schema])
      assert.deepStrictEqual(kept.map((row) => row["day"]), days.slice(0, 8))
    }))

  it.effect("a reader in the way delays a drop, never a writer", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      yield* withSession(target, (reader) =>
        withSession(target, (session) =>
          Effect.gen(function*() {
            yield* migrate(session, names)
            yield* Partitions.ensure(session, names, new Map([["metric_frame", new Set(["20200101"])]]))
            yield* reader.execute("begin")
            yield* reader.query(`select count(*) from ${names.schema}.obs_metric_frame`)
            assert.deepStrictEqual(yield* Partitions.dropExpired(session, names, () => 7), ["obs_metric_frame_p20200101"])
            yield* reader.execute("rollback")
            assert.deepStrictEqual(yield* Partitions.dropExpired(session, names, () => 7), [])
          })))
    }))
})
