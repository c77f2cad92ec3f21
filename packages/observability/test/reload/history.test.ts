import { EmbeddedServer } from "@effect-observability/postgres"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Fiber, Option, Redacted } from "effect"
import { MetricsHistory, MetricsRecorder, Observability, type ObservabilityInput } from "effect-observability"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "obs-history-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)

describe("a history that a program holds", () => {
  it.live("leads to the successor, says so while its backend is off, and is there again with it", () =>
    Effect.gen(function*() {
      const server = yield* EmbeddedServer.start({ dir: join(yield* folder, "data"), durable: false })
      const settings = (enabled: boolean, retentionDays = 30): ObservabilityInput => ({
        postgres: { enabled, common: { connection: Redacted.value(server.url), retentionDays } },
        shutdownTimeout: 5
      })
      yield* Effect.gen(function*() {
        const recorder = yield* MetricsRecorder
        const history = Option.getOrThrow(yield* Effect.serviceOption(MetricsHistory))
        const total = Effect.map(history.getMetricsHistory({ name: "jobs_total", startTime: 0, endTime: Date.now() + 60_000 }), (points) => points.reduce((sum, { value }) => sum + value, 0))
        yield* recorder.incrementCounter("jobs_total", 1, {})
        yield* Observability.flush
        assert.strictEqual(yield* total, 1)
        yield* Observability.reload(settings(true, 40))
        yield* recorder.incrementCounter("jobs_total", 2, {})
        yield* Observability.flush
        assert.strictEqual(yield* total, 3)
        // Questions that are under way when their backend is exchanged are asked again.
        const asked = { times: 0, going: true }
        const asking = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(Effect.gen(function*() {
          while (asked.going) {
            assert.strictEqual(yield* total, 3)
            asked.times++
          }
        })))
        for (let i = 0; i < 8; i++) {
          yield* Observability.reload(settings(true, 41 + i))
          yield* Effect.sleep(120 + i)
        }
        asked.going = false
        for (const fiber of asking) yield* Fiber.join(fiber)
        assert.isAbove(asked.times, 15)
        yield* Observability.reload(settings(false))
        yield* Effect.sleep(300)
        const began = performance.now()
        const exit = yield* Effect.exit(total)
        assert.isTrue(Exit.isFailure(exit))
        assert.isBelow(performance.now() - began, 2_000)
        assert.match(String(exit), /the backend that answered was switched off/)
        yield* Observability.reload(settings(true))
        yield* recorder.incrementCounter("jobs_total", 4, {})
        yield* Observability.flush
        assert.strictEqual(yield* total, 7)
      }).pipe(Effect.provide(Observability.layerConfig(settings(true))), Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord({})))
    }), 60_000)
})
