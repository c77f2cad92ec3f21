import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { pipesReport, signalReport } from "../../src/hub/pipesReport.ts"
import * as BatchProcessor from "../../src/pipe/BatchProcessor.ts"
import * as Exporter from "../../src/pipe/Exporter.ts"
import { imbalance } from "../../src/pipe/Ledger.ts"

describe("pipesReport", () => {
  it.effect("is degraded while a queue fails, down after a minute, and up when it recovers; the books balance all along", () =>
    Effect.gen(function*() {
      let down = true
      const policy = { ...BatchProcessor.defaultPolicy<number>(), flushInterval: 0, maxAttempts: Infinity, maxBackoff: "5 seconds" as const }
      const sick = yield* BatchProcessor.make<number>({ export: () => down ? Effect.fail(Exporter.unavailable("no one home")) : Effect.succeed(Exporter.complete) }, policy)
      const well = yield* BatchProcessor.make<number>({ export: () => Effect.succeed(Exporter.complete) }, policy)
      const pipes = [{ signal: "metrics" as const, processor: well }, { signal: "spans" as const, processor: sick }]

      const idle = pipesReport(pipes)
      assert.deepStrictEqual([idle.status, idle.reason], ["up", undefined])
      const ailing = pipesReport(pipes, "its schema is old")
      assert.deepStrictEqual([ailing.status, ailing.reason], ["degraded", "its schema is old"])

      sick.offerUnsafe(1)
      well.offerUnsafe(1)
      yield* TestClock.adjust("1 second")
      const failing = pipesReport(pipes, "its schema is old")
      assert.deepStrictEqual([failing.status, failing.reason], ["degraded", "spans: no one home"])
      assert.deepStrictEqual(failing.signals.map(({ lastError, queuedItems, signal }) => [signal, queuedItems, lastError?.message]), [
        ["metrics", 0, undefined],
        ["spans", 1, "no one home"]
      ])

      yield* TestClock.adjust("61 seconds")
      assert.strictEqual(pipesReport(pipes).status, "down")

      down = false
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(pipesReport(pipes).status, "up")
      for (const pipe of pipes) {
        const { ledger, queuedItems } = signalReport(pipe)
        assert.deepStrictEqual([ledger.offered, ledger.exported, queuedItems, imbalance(ledger)], [1, 1, 0, undefined])
      }
    }))
})
