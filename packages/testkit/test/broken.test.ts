import { Memory, type MetricsHistory, type MetricsRecorder, type Tracer } from "@effect-observability/core"
import * as broken from "@effect-observability/testkit/broken"
import { historyLaws, type HistoryProbe, type Law, LawBroken, memoryHistory, memoryProbes, metricsLaws, type MetricsProbe, spansLaws, type SpansProbe } from "@effect-observability/testkit/contract"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"

type Services = MetricsHistory | HistoryProbe | MetricsRecorder | MetricsProbe | Tracer | SpansProbe

const memory = Layer.mergeAll(memoryHistory, memoryProbes.pipe(Layer.provideMerge(Memory.layer())))

const run = <R extends Services>(law: Law<R>, layer: Layer.Layer<Services, unknown>) =>
  law.check.pipe(Effect.provide(layer as Layer.Layer<R, unknown>), Effect.exit)

const bites = <R extends Services>(title: string, laws: ReadonlyArray<Law<R>>, wrong: Readonly<Record<string, broken.Breakage>>) =>
  describe(title, () => {
    it("every law has its broken backend", () => {
      assert.deepStrictEqual(Object.keys(wrong).sort(), laws.map((law) => law.name).sort())
    })
    for (const law of laws) {
      it.live(`"${law.name}" passes on memory and fails on its broken backend`, () =>
        Effect.gen(function*() {
          const right = yield* run(law, memory)
          assert.isTrue(Exit.isSuccess(right), String(right))
          const exit = yield* run(law, Layer.provideMerge(wrong[law.name] as Layer.Layer<any>, memory) as Layer.Layer<Services, unknown>)
          assert.isTrue(Exit.isFailure(exit), "the law did not notice")
          // "recording never waits" shows as a defect of `runSync`, all others as a broken law.
          if (law.name !== "recording never waits") assert.include(String(exit), LawBroken.name)
        }))
    }
  })

bites("metrics", metricsLaws, broken.metrics)
bites("history", historyLaws, broken.history)
bites("spans", spansLaws, broken.spans)
