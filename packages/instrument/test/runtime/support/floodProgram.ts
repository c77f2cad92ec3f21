// A program whose backend is away and whose queue is far too large for its heap. `on` or `off`: with or without load control.
import { Exporter, Ledger, ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { NodeLoad } from "@effect-observability/instrument/node"
import { Effect, Layer, Logger } from "effect"

const [, , mode, seconds] = process.argv

const backend = Layer.effectDiscard(Effect.gen(function*() {
  const telemetry = yield* Telemetry
  const away: Exporter.Exporter<unknown> = { export: () => Effect.fail(Exporter.unavailable("away")) }
  const spans = yield* telemetry.exportSpans({ name: "sink", exporter: away, policy: { maxItems: 10_000_000, maxBytes: 2 ** 40, drainDeadline: 0 } })
  const errors = yield* telemetry.exportErrors({ name: "sink", exporter: away, policy: { drainDeadline: 0 } })
  yield* telemetry.register({
    name: "sink",
    kind: "test",
    onSpan: (span) => void spans.offerUnsafe(span),
    onError: (error) => void errors.offerUnsafe(error),
    report: () => ({
      name: "sink", kind: "test", status: "up", reason: undefined,
      signals: ([["spans", spans], ["errors", errors]] as const).map(([signal, pipe]) => ({ signal, ledger: pipe.ledger(), queuedItems: 0, queuedBytes: 0, oldestAgeMillis: 0, lastError: undefined }))
    })
  })
}))

const details = (n: number) => Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`detail.${i}`, Buffer.alloc(3_000, `${n} ${i} lorem ipsum `).toString("latin1")]))

const program = Effect.gen(function*() {
  const telemetry = yield* Telemetry
  const started = performance.now()
  let highest = 0
  let n = 0
  while (performance.now() - started < Number(seconds) * 1000) {
    for (let i = 0; i < 10; i++) {
      const step = Effect.void.pipe(Effect.withSpan("step", { attributes: details(++n) }))
      yield* step.pipe(Effect.withSpan("GET /", { kind: "server" }))
    }
    yield* Effect.fail(new Error(`one of ${n % 7}`)).pipe(Effect.withErrorReporting, Effect.ignore)
    highest = Math.max(highest, telemetry.load()?.level ?? 0)
    yield* Effect.sleep(5)
  }
  const signals = telemetry.reports()[0]!.signals
  console.log(JSON.stringify({
    n, highest, load: telemetry.load(),
    imbalances: signals.map(({ ledger }) => Ledger.imbalance(ledger) ?? ""),
    ledgers: Object.fromEntries(signals.map(({ ledger, signal }) => [signal, ledger]))
  }))
})

const hub = backend.pipe(
  Layer.provideMerge(Telemetry.layer),
  Layer.provide(ObservabilityConfig.layer({ redaction: { enabled: false } })),
  Layer.provide(Logger.layer([]))
)
await Effect.runPromise(program.pipe(
  Effect.provide(mode === "on" ? NodeLoad.layer({ interval: "100 millis", hold: "1 second" }).pipe(Layer.provideMerge(hub)) : hub)
))
