import { MetricsHistory } from "@effect-observability/core"
import { errorHistoryProbe, errorHistorySuite, errorsSuite, HistoryProbe, historyProbes, historySuite, metricsSuite, spansSuite, tracesSuite } from "@effect-observability/testkit/contract"
import { Context, Effect, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { Postgres } from "../src/index.ts"
import { Database, freshNames, historyOf, startProcess } from "./support/database.ts"
import type * as Session from "../src/internal/session.ts"
import type { Names } from "../src/PostgresConfig.ts"
import { packAt } from "./support/packed.ts"
import { startServer } from "./support/server.ts"

const server = Layer.unwrap(Effect.map(startServer(), ({ url }) => Postgres.layer({ connection: url })))

const postgres = historyProbes.pipe(Layer.provideMerge(server))
metricsSuite("postgres", postgres)
spansSuite("postgres", postgres)
tracesSuite("postgres", postgres)
const errors = errorHistoryProbe.pipe(Layer.provideMerge(server))
errorsSuite("postgres", errors)
errorHistorySuite("postgres", errors)

/** Frames come from a process of their own each; `then` happens to the store before it is asked. */
const history = (then: (target: Session.Target, names: Names) => Effect.Effect<unknown, unknown> = () => Effect.void) =>
  Layer.effectContext(
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      yield* startProcess(target, names)
      return Context.make(MetricsHistory, yield* historyOf(target, names)).pipe(Context.add(HistoryProbe, {
        write: (frames, resource = {}) =>
          Effect.scoped(Effect.gen(function*() {
            const { exportFrames } = yield* startProcess(target, names, { instance: randomUUID(), ...resource })
            yield* exportFrames(1, ...frames)
            yield* then(target, names)
          })).pipe(Effect.orDie)
      }))
    })
  ).pipe(Layer.provide(Database.layer))

/** When the hour that the contract's frames lie in, or their day, is over. */
const hourLater = HistoryProbe.time + 90 * 60_000
const daysLater = HistoryProbe.time + 3 * 86_400_000
historySuite("postgres", history())
historySuite("postgres with packed hours", history((target, names) => packAt(target, names, hourLater)))
historySuite("postgres with packed days", history((target, names) => packAt(target, names, daysLater)))
