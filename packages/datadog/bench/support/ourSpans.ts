import { Telemetry, Tracer } from "@effect-observability/core"
import { Effect } from "effect"
import { Datadog } from "../../src/index.ts"

// Spans of an Effect program to an agent: prints what they took. Arguments: port, traces of ten spans.
const [port, traces] = process.argv.slice(2).map(Number)

const attributes = { route: "/orders/{id}", count: 3, shop: "berlin" }

const program = Effect.gen(function*() {
  const { withSpan } = yield* Tracer
  const telemetry = yield* Telemetry
  const leaf = Effect.void.pipe(withSpan("step", { attributes }))
  const trace = Effect.gen(function*() {
    for (let i = 0; i < 9; i++) yield* leaf
  }).pipe(withSpan("GET /orders/{id}", { kind: "server", root: true, attributes }))
  const run = Effect.fnUntraced(function*(count: number) {
    for (let i = 0; i < count; i++) {
      yield* trace
      // The queue is emptied as it fills: nothing may be dropped.
      if (i % 1000 === 999) yield* telemetry.flush
    }
    yield* telemetry.flush
  })
  yield* run(4000)
  const cpu = process.cpuUsage()
  const start = performance.now()
  yield* run(traces!)
  const millis = performance.now() - start
  const { system, user } = process.cpuUsage(cpu)
  const ledger = telemetry.reports()[0]!.signals[0]!.ledger
  if (ledger.exported !== (traces! + 4000) * 10) throw new Error(`exported ${ledger.exported}`)
  process.stdout.write(JSON.stringify({ cpu: (user + system) / (traces! * 10), rate: traces! * 10 / (millis / 1000) }))
})

await Effect.runPromise(program.pipe(Effect.provide(Datadog.layer({ dogstatsd: false, traces: `http://127.0.0.1:${port}` }))))
