import { Ledger, Telemetry } from "@effect-observability/core"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"

/** The books of a backend, by signal; they must balance. */
export const books = (name = "opentelemetry"): Effect.Effect<Record<"metrics" | "spans" | "logs" | "errors", Ledger.LedgerSnapshot>, never, Telemetry> =>
  Effect.map(Telemetry, (telemetry) => {
    const report = telemetry.reports().find((one) => one.name === name)!
    return Object.fromEntries(report.signals.map(({ ledger, signal }) => {
      assert.isUndefined(Ledger.imbalance(ledger), `${signal} of ${name}`)
      return [signal, ledger]
    })) as never
  })

/** Everything offered was exported. */
export const allExported = (name?: string): Effect.Effect<void, never, Telemetry> =>
  Effect.map(books(name), (all) => {
    for (const [signal, { accepted, dropped, exported, offered, unconfirmed }] of Object.entries(all)) {
      assert.deepEqual({ signal, accepted, dropped, exported, unconfirmed }, { signal, accepted: offered, dropped: {}, exported: offered, unconfirmed: 0 })
    }
  })
