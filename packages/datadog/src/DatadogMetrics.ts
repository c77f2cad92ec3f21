import { type BatchProcessor, Exporter, type MetricFrame, type Telemetry } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { DatadogConfig, DatadogConfigError } from "./DatadogConfig.ts"
import type { StatsdTarget } from "./internal/targets.ts"
import { FrameLines } from "./metrics/frameLines.ts"
import { FrameValues } from "./metrics/FrameValues.ts"
import { open } from "./transport/open.ts"
import { Sender } from "./transport/Sender.ts"

export interface MetricsPipe {
  readonly frames: BatchProcessor.BatchProcessor<MetricFrame>
  readonly sender: Sender
  /** Values of histograms told by their buckets. */
  readonly byBucket: () => number
}

/** How long an agent that is back may wait for us. */
const maxBackoff = "5 seconds"

/** The frames of the store as DogStatsD messages. */
export const start = (
  config: DatadogConfig,
  target: StatsdTarget,
  telemetry: Telemetry["Service"]
): Effect.Effect<MetricsPipe, DatadogConfigError, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const sender = new Sender(yield* open(target, () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6), config.maxDatagramSize)
    const values = new FrameValues(telemetry.store, config.maxValues)
    // Added before the queue, so that they run after its drain.
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        values.close()
        sender.close()
      })
    )
    const lines = new FrameLines({
      tags: config.metricTags,
      originFields: config.originFields,
      prefix: () => prefixOf(config.prefix, telemetry.settings().metrics.prefix),
      maxLine: config.maxDatagramSize
    })
    function* linesOf(batch: ReadonlyArray<MetricFrame>): Generator<string> {
      for (const frame of batch) {
        const late = config.timestamps && clock.currentTimeMillisUnsafe() - frame.endTime >= config.flushInterval
        yield* lines.of(frame, values.of(frame), late ? Math.max(1, Math.floor(frame.endTime / 1000)) : undefined)
      }
    }
    const frames = yield* telemetry.exportFrames({
      name: config.name,
      interval: config.flushInterval,
      exporter: {
        export: (batch, attempt) => Effect.as(sender.deliver(() => linesOf(batch), attempt), Exporter.complete),
        giveUp: sender.giveUp
      },
      policy: { maxBackoff, weigh: values.weigh, overflow: { merge: values.merge } }
    })
    return { frames, sender, byBucket: () => values.byBucket }
  })

/** The backend's prefix before the one of the settings, which may have its underscore or not. */
const prefixOf = (own: string, general: string): string => `${own}${general === "" || general.endsWith("_") ? general : `${general}_`}`
