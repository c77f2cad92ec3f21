import { Exporter } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { ClickHouseConfig } from "../ClickHouseConfig.ts"
import { header } from "../ClickHouseEncoding.ts"
import * as Connection from "./Connection.ts"
import * as Ddl from "./ddl.ts"
import { ClickHouseFailure } from "./errors.ts"
import { allTables, qualified, sqlNames } from "./names.ts"
import type { Table } from "./tables.ts"

/**
 * The database behind a backend: its tables are made in the background. Nothing here waits for the server or fails when it is
 * away.
 */
export interface Store {
  readonly config: ClickHouseConfig
  readonly state: () => { readonly ready: boolean; readonly problem: string | undefined }
  /** Fails until the tables are there. */
  readonly gate: Effect.Effect<void, Exporter.ExportError>
  /** Waits until it is known for the first time whether the tables are there. */
  readonly known: Effect.Effect<void>
  /** A table turned out to be missing: look again, and make it. */
  readonly recheck: () => void
  readonly connection: Connection.Connection
  /** What rows of a table begin with, and the statement that inserts them. */
  readonly insertInto: (table: Table) => { readonly sql: string; readonly header: Buffer }
}

/** The tables hold something this release cannot use; the message says what to do. */
export class SchemaConflict {
  readonly _tag = "SchemaConflict"
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/** 100 ms, doubling to 5 s, ± 20 %. */
const backoff = Schedule.exponential("100 millis").pipe(
  Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, Duration.seconds(5)))),
  Schedule.jittered
)

const connections = 4
/** All statements of a preparation; those for a cluster wait for every server. */
const preparation = "2 minutes"
/** The server's patience for one of them, in seconds. */
const statementSeconds = 60

type Insert = { readonly sql: string; readonly header: Buffer }

export const make = (config: ClickHouseConfig, version: string): Effect.Effect<Store, never, Scope.Scope> =>
  Effect.gen(function*() {
    const connection = yield* Connection.make(config.target, { connections })
    let ready = false
    let problem: string | undefined
    let inserts: ReadonlyMap<Table, Insert> = new Map()
    const stale = yield* Latch.make(true)
    const known = yield* Latch.make(false)

    const attempt = prepare(config, connection, version).pipe(
      Effect.timeoutOrElse({ duration: preparation, orElse: () => Effect.fail(new SchemaConflict("preparing the tables took longer than two minutes")) }),
      Effect.tap((prepared) =>
        Effect.sync(() => {
          inserts = prepared.inserts
          ready = true
          problem = prepared.notice
          known.openUnsafe()
        })
      ),
      Effect.tapCause((cause) =>
        Effect.sync(() => {
          problem = problemOf(cause)
          known.openUnsafe()
        })
      )
    )
    const life = Effect.gen(function*() {
      yield* stale.close
      yield* Effect.retry(attempt, { schedule: backoff })
      yield* stale.await
    }).pipe(
      // An interruption of something in it too: when this fiber is interrupted, no handler runs.
      Effect.catchCause((cause) => {
        problem = problemOf(cause)
        return Effect.sleep("1 second")
      }),
      Effect.forever
    )
    yield* Effect.forkScoped(life)

    return {
      config,
      state: () => ({ ready, problem }),
      gate: Effect.suspend(() => (ready ? Effect.void : Effect.fail(Exporter.unavailable(problem ?? "not connected yet")))),
      known: known.await,
      recheck: () => {
        if (!ready) return
        ready = false
        problem = "a table is gone: it is made again"
        stale.openUnsafe()
      },
      connection,
      insertInto: (table) => inserts.get(table)!
    }
  })

const problemOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof SchemaConflict || error instanceof ClickHouseFailure ? error.message : `unexpected: ${String(error).slice(0, 300)}`
}

type Failure = ClickHouseFailure | SchemaConflict

const prepare = (
  config: ClickHouseConfig,
  connection: Connection.Connection,
  version: string
): Effect.Effect<{ readonly inserts: ReadonlyMap<Table, Insert>; readonly notice: string | undefined }, Failure> =>
  Effect.gen(function*() {
    const { createTables, layout } = config
    const { distributed, names } = layout
    const run = (sql: string) => connection.ask({ sql, settings: { max_execution_time: statementSeconds } })
    const tables = allTables(layout)
    const local = (name: string) => (distributed ? `${name}_local` : name)
    const wanted = [...new Set(tables.flatMap(({ name }) => [name, local(name)])), `${names.traces}_trace_id_ts_mv`, "observability_schema"]
    let found = yield* look(connection, names.database)
    if (createTables && wanted.some((name) => !found.has(name))) {
      for (const sql of Ddl.statements(layout)) yield* run(sql)
      found = yield* look(connection, names.database)
    }
    let notice: string | undefined
    if (createTables) {
      const changes = tables.flatMap(({ name, table }) => {
        const there = found.get(local(name))
        const over = distributed ? found.get(name) : undefined
        return [
          ...(there === undefined ? [] : Ddl.amendments(layout, local(name), table, there)),
          ...(over === undefined ? [] : Ddl.amendments(layout, name, table, over))
        ]
      })
      for (const sql of changes) {
        // Who may not change a table may still write into it.
        yield* Effect.catch(run(sql), (error) => {
          notice = error.message
          return Effect.void
        })
      }
      if (changes.length > 0) found = yield* look(connection, names.database)
    }
    const inserts = new Map<Table, Insert>()
    for (const { name, table } of tables) {
      const there = found.get(name)
      if (there === undefined) {
        return yield* Effect.fail(new SchemaConflict(`table ${names.database}.${name} is missing: let the backend make it (createTables), or make it by hand`))
      }
      const wrong = Ddl.columnProblem(`${names.database}.${name}`, table, there)
      if (wrong !== undefined) return yield* Effect.fail(new SchemaConflict(notice === undefined ? wrong : `${wrong} (${notice})`))
      const columns = table.columns.filter((one) => one.derived !== true).map((one) => ({ name: one.name, type: there.columns.get(one.name)! }))
      inserts.set(table, {
        sql: `INSERT INTO ${qualified(names, name)} (${columns.map((one) => `\`${one.name}\``).join(", ")}) FORMAT RowBinaryWithNamesAndTypes`,
        header: header(columns)
      })
    }
    if (createTables && found.has("observability_schema")) yield* Effect.catch(record(run, sqlNames(names).version, version), () => Effect.void)
    return { inserts, notice }
  })

/** Which layout this is, once; two processes at the same moment may both write it. */
const record = (run: (sql: string) => Effect.Effect<string, ClickHouseFailure>, table: string, version: string): Effect.Effect<unknown, ClickHouseFailure> =>
  Effect.flatMap(run(`SELECT max(Version) FROM ${table} FORMAT TSV`), (newest) =>
    Number(newest) >= Ddl.schemaVersion
      ? Effect.void
      : run(`INSERT INTO ${table} (Version, AppliedBy) VALUES (${Ddl.schemaVersion}, '${version.replaceAll(/[^A-Za-z0-9 ._-]/g, "")}')`))

const look = (connection: Connection.Connection, database: string): Effect.Effect<ReadonlyMap<string, Ddl.Found>, Failure> =>
  Effect.gen(function*() {
    const parameters = { database }
    const limit = 8 * 1024 * 1024
    const tables = yield* rowsOf(connection, {
      sql: "SELECT name, engine, engine_full FROM system.tables WHERE database = {database:String} FORMAT JSONCompactEachRow",
      parameters, limit
    })
    const columns = yield* rowsOf(connection, {
      sql: "SELECT table, name, type FROM system.columns WHERE database = {database:String} FORMAT JSONCompactEachRow",
      parameters, limit
    })
    const byTable = Map.groupBy(columns, (row) => row[0]!)
    return new Map(tables.map(([name, engine, engineFull]) => [
      name!,
      { engine: engine!, engineFull: engineFull!, columns: new Map((byTable.get(name!) ?? []).map((row) => [row[1]!, row[2]!])) }
    ]))
  })

const rowsOf = (connection: Connection.Connection, statement: Connection.Statement): Effect.Effect<ReadonlyArray<ReadonlyArray<string>>, Failure> =>
  Effect.flatMap(connection.ask(statement), (text) =>
    Effect.try({
      try: () => text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as ReadonlyArray<string>),
      catch: () => new SchemaConflict("the answer is not ClickHouse's: give the address of its HTTP interface (port 8123, with TLS 8443)")
    }))

