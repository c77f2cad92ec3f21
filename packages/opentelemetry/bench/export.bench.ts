import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import type { Bench } from "../../../test/bench/Bench.ts"
import { effects, flushGap, ours, type Pipeline, sdk, Sink } from "./support/pipelines.ts"

// B7: spans per second and CPU per span from the program to a sink in a process of its own, made as fast as one fiber can and all of them delivered.
// Spans are made by plain `Effect.withSpan` with stack capture off on the Effect sides, with five attributes. B9: the longest time the event
// loop stood still while a batch of that size was flushed.

const spans = 20_000
const samples = 5

interface Cost {
  readonly rate: number
  readonly cpuMicros: number
}

const cost = async (pipeline: Pipeline): Promise<Cost> => {
  const cpu = process.cpuUsage()
  const began = performance.now()
  await pipeline.run(spans)
  const seconds = (performance.now() - began) / 1_000
  const used = process.cpuUsage(cpu)
  return { rate: spans / seconds, cpuMicros: (used.user + used.system) / spans }
}

export default (bench: Bench): void => {
  const sink = new Sink()
  const pipelines: Array<Pipeline> = []
  let users = 0
  const setup = async (): Promise<void> => {
    if (users++ === 0) await sink.start()
  }
  const teardown = async (): Promise<void> => {
    if (--users > 0) return
    for (const pipeline of pipelines) await pipeline.close()
    sink.stop()
  }
  /** Made when it is first needed, warmed once. */
  const lazily = (make: (url: string) => Pipeline): () => Promise<Pipeline> => {
    let made: Promise<Pipeline> | undefined
    return () =>
      made ??= (async () => {
        const pipeline = make(sink.url)
        pipelines.push(pipeline)
        await pipeline.run(spans)
        await pipeline.run(spans)
        return pipeline
      })()
  }
  const subject = lazily((url) => ours(url))
  const combinator = lazily((url) => ours(url, { combinator: true }))
  const json = lazily((url) => effects(url, OtlpSerialization.layerJson))
  const protobuf = lazily((url) => effects(url, OtlpSerialization.layerProtobuf))
  const otel = lazily(sdk)

  const add = (name: string, of: () => Promise<Pipeline>, against: string, baseline: () => Promise<Pipeline>, pick: keyof Cost, bound: { must?: number; moonshot?: number }): void =>
    bench.measure({
      name,
      unit: pick === "rate" ? "spans/s" : "us/span",
      setup,
      teardown,
      samples,
      run: async () => (await cost(await of()))[pick],
      baseline: { name: against, run: async () => (await cost(await baseline()))[pick] },
      ...bound
    })
  add("otel.export.cpu", subject, "Effect OtlpTracer JSON", json, "cpuMicros", { must: 0.7, moonshot: 0.4 })
  add("otel.export.rate", subject, "Effect OtlpTracer JSON", json, "rate", { must: 1.3, moonshot: 2.1 })
  add("otel.export.combinator.cpu", combinator, "Effect OtlpTracer JSON", json, "cpuMicros", { must: 0.7, moonshot: 0.4 })
  add("otel.export.combinator.rate", combinator, "Effect OtlpTracer JSON", json, "rate", { must: 1.3, moonshot: 2.1 })
  add("otel.export.protobuf.cpu", subject, "Effect OtlpTracer protobuf", protobuf, "cpuMicros", { must: 0.7 })
  add("otel.export.sdk.cpu", combinator, "OTel SDK, BSP and proto exporter, without Effect", otel, "cpuMicros", {})

  for (const size of [512, 10_000]) {
    let pipeline: ReturnType<typeof flushGap> | undefined
    bench.measure({
      name: `otel.block.${size}`,
      unit: "ms",
      budget: "value",
      must: 5,
      moonshot: 2,
      setup: async () => {
        await setup()
        pipeline = flushGap(sink.url, size)
        for (let i = 0; i < 10; i++) await pipeline.run()
      },
      teardown: async () => {
        await pipeline!.close()
        await teardown()
      },
      run: () => pipeline!.run()
    })
  }
}
