import { AlertRule, Alerts, AlertSinks, LoadControl, MetricsRecorder, type ObservabilityInput, Sampler, Telemetry } from "@effect-observability/core"
import { Postgres } from "@effect-observability/postgres"
import { Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { Baskets } from "./metrics.ts"

// What does not happen to a healthy shop (`--trouble`): for dashboards and alerts to show, and for their tests.

/** Where nobody listens: port 9, "discard". */
const nowhere = "127.0.0.1:9"

/** Traces are held until it is known whether they are worth keeping; too few may be held, so that some are decided early. */
export const settings: Partial<ObservabilityInput> = {
  tracing: { serviceName: "shop", sampler: Sampler.tail({ maxTraces: 2, rest: Sampler.parentBased(Sampler.ratio(0.3)) }) }
}

const rules = [
  AlertRule.make({ name: "RefundsFail", metric: "http_requests_total", labels: { status: { prefix: "5" } }, groupBy: ["path"], increase: "1 minute", above: 0 }),
  AlertRule.make({ name: "RouteBusy", metric: "http_requests_total", groupBy: ["path", "status"], increase: "1 minute", above: 1_000_000 })
]

/** A second store that is away, alerts that nobody can be told about, and a process that says it is short of memory half of the time. */
export const backends = Layer.suspend(() => {
  let readings = 0
  return Layer.mergeAll(
    Postgres.layer({ name: "standby", connection: Redacted.make(`postgres://shop@${nowhere}/standby`), history: false, packing: false }),
    Alerts.layer({ rules, interval: "1 second", groupInterval: "1 second", maxGroups: 2, sinks: [AlertSinks.log(), AlertSinks.webhook({ url: `http://${nowhere}/hook` })] }),
    LoadControl.layer({
      interval: "250 millis",
      hold: "1 second",
      memory: () => [{ name: "example", used: readings++ % 60 < 30 ? 107 : 50, softLimit: 100 }]
    }).pipe(Layer.provideMerge(Telemetry.layer))
  )
})

/** The import of every night, which fails the same way every time. */
const nightlyImport = Effect.fn("nightly import")(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`insert into shop.products (id, name, cents) values (1, 'product 1 again', 100)`
})

const round = (n: number) =>
  Effect.gen(function*() {
    const metrics = yield* MetricsRecorder
    const telemetry = yield* Telemetry
    yield* nightlyImport().pipe(Effect.withErrorReporting, Effect.ignore)
    for (let i = 0; i < 5; i++) yield* metrics.incrementCounter(Baskets, 1, { customer: `customer ${n * 5 + i}` })
    yield* metrics.incrementCounter(Baskets, NaN, { customer: "customer 0" })
    if (n % 20 === 0) yield* telemetry.reload({ ...telemetry.settings(), batchSize: 100 + n % 40 })
    if (n % 20 === 10) yield* telemetry.reloadFailed("batchSize: expected a whole number from 1, got -1")
  })

/** Four rounds a second. */
export const layer = Layer.effectDiscard(
  Effect.suspend(() => {
    let n = 0
    return Effect.suspend(() => round(n++)).pipe(Effect.catchCause((cause) => Effect.logWarning("trouble has trouble", cause)), Effect.delay("250 millis"), Effect.forever, Effect.forkScoped)
  })
)
