import { Exposition, MetricDefinition, MetricsRecorder, ObservabilityConfig } from "@effect-observability/core"
import { Context, Effect, Exit, Layer, Scope, Stream } from "effect"
import * as Prom from "prom-client"
import type { Bench } from "../../../test/bench/Bench.ts"
import { Prometheus } from "../src/index.ts"

const labelNames = ["method", "route", "tenant"] as const
const methods = ["GET", "PUT", "POST", "HEAD", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"]
const labels = (i: number) => ({ method: methods[i % 10]!, route: `/orders/${((i / 10) | 0) % 100}`, tenant: `tenant-${(i / 1000) | 0}` })
const seconds = (i: number) => 0.001 * 1.0095 ** (i & 1_023)
const help = "What a scrape reads"

/** A hub with `n` series of one metric, and how to read its whole page as a server does: chunk by chunk, as bytes. */
class Subject {
  private exposition: Exposition["Service"] | undefined
  private scope: Scope.Closeable | undefined
  private readonly n: number
  private readonly kind: "counter" | "histogram"

  constructor(n: number, kind: "counter" | "histogram") {
    this.n = n
    this.kind = kind
  }

  readonly setup = async () => {
    const { kind, n } = this
    const scope = this.scope = Scope.makeUnsafe()
    const live = Prometheus.layer().pipe(
      Layer.provide(ObservabilityConfig.layer({ metrics: { maxSeries: n + 1_000, maxSeriesPerMetric: n + 1_000 } })),
      Layer.orDie
    )
    const context = await Effect.runPromise(Layer.buildWithScope(live, scope))
    const recorder = Context.get(context, MetricsRecorder)
    const Requests = MetricDefinition.counter("requests_total", { help, labelNames })
    const Duration = MetricDefinition.histogram("duration_seconds", { help, labelNames })
    for (let i = 0; i < n; i++) {
      if (kind === "counter") recorder.incrementCounterUnsafe(Requests, i + 1, labels(i))
      else recorder.observeHistogramUnsafe(Duration, seconds(i), labels(i))
    }
    this.exposition = Context.get(context, Exposition)
    await this.scrape()
  }

  readonly teardown = () => Effect.runPromise(Scope.close(this.scope!, Exit.void))

  /** Bytes of the page. */
  readonly scrape = (): Promise<number> =>
    Effect.runPromise(Effect.flatMap(this.exposition!.render(), ({ body }) => Stream.runFold(body, () => 0, (sum, chunk) => sum + chunk.length)))
}

/** The same series in prom-client. */
const peer = (n: number, kind: "counter" | "histogram") => {
  const registry = new Prom.Registry()
  const options = { help, labelNames, registers: [registry] }
  if (kind === "counter") {
    const counter = new Prom.Counter({ name: "requests_total", ...options })
    for (let i = 0; i < n; i++) counter.inc(labels(i), i + 1)
  } else {
    const histogram = new Prom.Histogram({ name: "duration_seconds", buckets: [...MetricDefinition.defaultBuckets], ...options })
    for (let i = 0; i < n; i++) histogram.observe(labels(i), seconds(i))
  }
  return async (): Promise<void> => {
    Buffer.from(await registry.metrics())
  }
}

/** The longest time the event loop stood still while `work` ran, in milliseconds. */
const longestGap = async (work: () => Promise<unknown>): Promise<number> => {
  let longest = 0
  let last = performance.now()
  let running = true
  const look = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (running) setImmediate(look)
  }
  look()
  await work()
  running = false
  return longest
}

const heapUsed = (): number => {
  globalThis.gc!()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

export default (bench: Bench): void => {
  const compare = (name: string, n: number, kind: "counter" | "histogram", must: number, moonshot: number) => {
    const subject = new Subject(n, kind)
    let prom = async (): Promise<void> => {}
    bench.compare({
      name,
      unit: "ms/op",
      subject: { name: `scrape of ${n} ${kind} series`, ops: 1, run: async () => void await subject.scrape() },
      baseline: { name: "prom-client registry.metrics()", ops: 1, run: () => prom() },
      setup: async () => {
        await subject.setup()
        prom = peer(n, kind)
      },
      teardown: subject.teardown,
      must,
      moonshot
    })
  }
  compare("C1", 100_000, "counter", 0.3, 0.1)
  compare("C2", 10_000, "histogram", 0.5, 0.2)

  const gap = (name: string, n: number, budgets: { readonly must?: number; readonly moonshot?: number }) => {
    const subject = new Subject(n, "counter")
    bench.measure({ name, unit: "ms", run: () => longestGap(subject.scrape), setup: subject.setup, teardown: subject.teardown, ...budgets })
  }
  gap("C3", 100_000, { must: 20, moonshot: 5 })
  gap("C3.million", 1_000_000, {})

  const million = new Subject(1_000_000, "counter")
  let before = 0
  let after = 0
  bench.measure({
    name: "C1.million",
    unit: "ms",
    samples: 5,
    run: async () => {
      const start = performance.now()
      await million.scrape()
      return performance.now() - start
    },
    setup: async () => {
      before = heapUsed()
      await million.setup()
      after = heapUsed()
    },
    teardown: million.teardown
  })
  bench.measure({ name: "C1.million.heap", unit: "B/series", samples: 1, run: () => (after - before) / 1_000_000 })
}
