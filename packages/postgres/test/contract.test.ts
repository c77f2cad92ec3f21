import { MetricsHistory } from "@effect-observability/core"
import { HistoryProbe, historyProbes, historySuite, metricsSuite, spansSuite } from "@effect-observability/testkit/contract"
import { Context, Effect, Layer } from "effect"
import { Postgres } from "../src/index.ts"
import { Database, freshNames, historyOf, startProcess } from "./support/database.ts"
import { startServer } from "./support/server.ts"

const server = Layer.unwrap(Effect.map(startServer(), ({ url }) => Postgres.layer({ connection: url })))

const postgres = historyProbes.pipe(Layer.provideMerge(server))
metricsSuite("postgres", postgres)
spansSuite("postgres", postgres)

const history = Layer.effectContext(
  Effect.gen(function*() {
    const { target } = yield* Database
    const names = freshNames()
    yield* startProcess(target, names)
    return Context.make(MetricsHistory, yield* historyOf(target, names)).pipe(Context.add(HistoryProbe, {
      write: (frames) => Effect.scoped(Effect.flatMap(startProcess(target, names), ({ exportFrames }) => Effect.orDie(exportFrames(1, ...frames))))
    }))
  })
).pipe(Layer.provide(Database.layer))
historySuite("postgres", history)
