import type { MetricsHistory } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Database, freshNames, historyOf, startProcess } from "../support/database.ts"
import type { World } from "./world.ts"

/** A world in a store of its own, every process as a writer. */
export const load = (world: World): Effect.Effect<MetricsHistory["Service"], never, Database | Scope.Scope> =>
  Effect.gen(function*() {
    const { target } = yield* Database
    const names = freshNames()
    yield* startProcess(target, names)
    for (const [i, frames] of world.writers.entries()) {
      yield* Effect.scoped(Effect.flatMap(startProcess(target, names, { instance: `i-${i}` }), ({ exportFrames }) => Effect.orDie(exportFrames(1, ...frames))))
    }
    return yield* historyOf(target, names)
  })
