import { Telemetry } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import { type Bench, median } from "../../../test/bench/Bench.ts"
import * as SqlInstrumentation from "../src/sql/SqlInstrumentation.ts"

// sql.wrapper: what observing adds to a statement: a client whose connection answers at once, observed and not, in one process under one hub. Nobody listens for
// spans: metrics, wait, rows and the look at the statement. sql.spans: the same with a listener that takes every span; the bare client then has Effect's own, with the
// full text. Both figures are the observed statement less the bare one.

const ops = 2_000
const rows = [{ id: 1 }]

const connection: Connection = {
  execute: () => Effect.succeed(rows),
  executeRaw: () => Effect.succeed({ rows }),
  executeStream: () => Stream.fromIterable(rows),
  executeValues: () => Effect.succeed([[1]]),
  executeValuesUnprepared: () => Effect.succeed([[1]]),
  executeUnprepared: () => Effect.succeed(rows)
}

const bare = SqlClient.make({
  acquirer: Effect.succeed(connection),
  borrower: (use) => use(connection),
  compiler: Statement.makeCompilerSqlite(),
  driver: "bench",
  spanAttributes: [["db.system.name", "sqlite"], ["db.namespace", "shop"], ["server.address", "db.example.org"], ["server.port", 5432]]
}).pipe(Effect.provide(Reactivity.layer))

/** Takes every span and forgets it. */
const listener = Layer.effectDiscard(Effect.flatMap(Telemetry, (telemetry) =>
  telemetry.register({
    name: "bench",
    kind: "bench",
    onSpan: () => {},
    report: () => ({ name: "bench", kind: "bench", status: "up", reason: undefined, signals: [] })
  })))

const statements = (sql: SqlClient.SqlClient) =>
  Effect.gen(function*() {
    for (let i = 0; i < ops; i++) yield* sql`select id, name, total from orders where customer = ${i} and state = ${"open"} order by id limit 50`
  })

/** Both clients under one hub. */
const setUp = async (listening: boolean) => {
  const runtime = ManagedRuntime.make(listening ? listener.pipe(Layer.provideMerge(Telemetry.layer)) : Telemetry.layer)
  const plain = await runtime.runPromise(bare)
  const observed = await runtime.runPromise(Effect.scoped(SqlInstrumentation.wrap(plain)))
  return {
    bare: () => runtime.runPromise(statements(plain)),
    observed: () => runtime.runPromise(statements(observed)),
    close: () => runtime.dispose()
  }
}

const declare = (bench: Bench, name: string, listening: boolean): void => {
  let sides: Awaited<ReturnType<typeof setUp>>
  const timed = async (run: () => Promise<void>): Promise<number> => {
    const began = performance.now()
    await run()
    return (performance.now() - began) * 1e6 / ops
  }
  bench.measure({
    name,
    unit: "ns/statement",
    must: 3_000,
    moonshot: 1_500,
    budget: "value",
    setup: async () => {
      sides = await setUp(listening)
      for (let i = 0; i < 20; i++) {
        await sides.bare()
        await sides.observed()
      }
    },
    teardown: () => sides.close(),
    run: async () => {
      // In turn, so that noise hits both; the median of the differences.
      const differences: Array<number> = []
      for (let i = 0; i < 5; i++) {
        const without = await timed(sides.bare)
        differences.push(await timed(sides.observed) - without)
      }
      return median(differences)
    }
  })
}

export default (bench: Bench): void => {
  declare(bench, "sql.wrapper", false)
  declare(bench, "sql.spans", true)
}
