import { Memory, type ErrorHistory, type MetricsHistory, type MetricsRecorder, type TraceHistory, type Tracer } from "@effect-observability/core"
import * as broken from "@effect-observability/testkit/broken"
import { errorHistoryLaws, errorHistoryProbe, errorsLaws, type ErrorsProbe, historyLaws, type HistoryProbe, type Law, LawBroken, logsLaws, type LogsProbe, memoryEventProbes, memoryHistory, memoryProbes, metricsLaws, type MetricsProbe, spansLaws, type SpansProbe, tracesLaws } from "@effect-observability/testkit/contract"
import { TestLayer } from "@effect-observability/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"

type Services = MetricsHistory | HistoryProbe | MetricsRecorder | MetricsProbe | Tracer | SpansProbe | TraceHistory | ErrorsProbe | LogsProbe | ErrorHistory

const memory = Layer.mergeAll(memoryHistory, Layer.mergeAll(memoryProbes, memoryEventProbes).pipe(Layer.provideMerge(Memory.layer())))
const kept = memoryProbes.pipe(Layer.provideMerge(TestLayer))

const run = <R extends Services>(law: Law<R>, layer: Layer.Layer<any, unknown>) =>
  law.check.pipe(Effect.provide(layer as Layer.Layer<R, unknown>), Effect.exit)

const bites = <R extends Services>(title: string, laws: ReadonlyArray<Law<R>>, wrong: Readonly<Record<string, broken.Breakage>>, right: Layer.Layer<any, unknown> = memory) =>
  describe(title, () => {
    it("every law has its broken backend", () => {
      assert.deepStrictEqual(Object.keys(wrong).sort(), laws.map((law) => law.name).sort())
    })
    for (const law of laws) {
      it.live(`"${law.name}" passes on memory and fails on its broken backend`, () =>
        Effect.gen(function*() {
          const good = yield* run(law, right)
          assert.isTrue(Exit.isSuccess(good), String(good))
          const exit = yield* run(law, Layer.provideMerge(wrong[law.name] as Layer.Layer<any>, right))
          assert.isTrue(Exit.isFailure(exit), "the law did not notice")
          // "recording never waits" shows as a defect of `runSync`, all others as a broken law.
          if (law.name !== "recording never waits") assert.include(String(exit), LawBroken.name)
        }))
    }
  })

bites("metrics", metricsLaws, broken.metrics)
bites("history", historyLaws, broken.history)
bites("spans", spansLaws, broken.spans)
bites("errors", errorsLaws, broken.errors)
bites("logs", logsLaws, broken.logs)
bites("error history", errorHistoryLaws, broken.errorHistory, errorHistoryProbe.pipe(Layer.provideMerge(TestLayer)))
bites("trace history", tracesLaws, broken.traces, kept)
