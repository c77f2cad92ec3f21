import type { MetricFrame } from "@effect-observability/core"
import { PgConnection } from "@effect/sql-pg"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import * as EmbeddedServer from "../../src/embedded/EmbeddedServer.ts"
import * as Session from "../../src/internal/session.ts"
import { freshNames, type Process, startProcess, targetOf } from "../../test/support/database.ts"
import type { Names } from "../../src/PostgresConfig.ts"

/** A durable server of the bench's own: commits wait for the disk, as in production. */
export interface Server {
  readonly target: Session.Target
  readonly connection: PgConnection.PgConnection
  readonly run: <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Promise<A>
  readonly stop: () => Promise<void>
}

const settings = {
  shared_buffers: "512MB",
  // No checkpoint in the middle of a sample: the page images after one would count for whoever comes next.
  max_wal_size: "16GB",
  checkpoint_timeout: "1h"
}

export const start = async (): Promise<Server> => {
  const scope = Effect.runSync(Scope.make())
  const run: Server["run"] = (effect) => Effect.runPromise(Scope.provide(effect, scope))
  const dir = Fs.mkdtempSync(Path.join(tmpdir(), "obs-bench-"))
  const { url } = await run(EmbeddedServer.start({ dir, settings }))
  const connection = await run(PgConnection.make({ url }))
  return {
    target: targetOf(url),
    connection,
    run,
    stop: async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      Fs.rmSync(dir, { recursive: true, force: true })
    }
  }
}

export const ask = async (server: Server, sql: string): Promise<ReadonlyArray<Record<string, unknown>>> =>
  (await server.run(server.connection.query(sql, [], false))).rows as ReadonlyArray<Record<string, unknown>>

export const number = async (server: Server, sql: string): Promise<number> => Number(Object.values((await ask(server, sql))[0]!)[0])

/** A process of an application on a schema of its own, and a way to send frames. */
export interface Writer {
  readonly names: Names
  readonly send: (frames: Arr.NonEmptyReadonlyArray<MetricFrame>) => Promise<void>
}

export const writer = async (server: Server): Promise<Writer> => {
  const names = freshNames()
  const process: Process = await server.run(startProcess(server.target, names, { timeout: 60_000 }))
  let sent = 0
  return { names, send: (frames) => server.run(process.exportFrames(++sent, ...frames)) }
}

/** Chapter 9's table, with its index syntax repaired. */
export const documentTable = async (server: Server, schema: string): Promise<void> => {
  await ask(server, `create schema ${schema}`)
  await ask(server, `create table ${schema}.observability_metrics (
    id serial primary key, name varchar(255) not null, type varchar(50) not null, value float not null, labels jsonb, timestamp timestamp with time zone)`)
  await ask(server, `create index idx_metrics_name_timestamp on ${schema}.observability_metrics (name, timestamp)`)
}
