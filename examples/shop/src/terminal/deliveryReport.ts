import { Ledger, Telemetry } from "@effect-observability/core"
import { Effect } from "effect"

/** What became of everything that was accepted, per backend and signal, from the ledger. */
export const deliveryReport = Effect.gen(function*() {
  const telemetry = yield* Telemetry
  const lines: Array<string> = []
  let balanced = true
  for (const component of telemetry.reports()) {
    for (const { ledger, signal } of component.signals) {
      const wrong = Ledger.imbalance(ledger)
      if (wrong !== undefined) balanced = false
      const lost = Ledger.total(ledger.dropped)
      lines.push(
        `  ${component.name} ${signal}: accepted ${ledger.accepted}, exported ${ledger.exported}, dropped ${lost}` +
          `${lost === 0 ? "" : ` ${JSON.stringify(ledger.dropped)}`}, unconfirmed ${ledger.unconfirmed},` +
          ` waiting ${ledger.queued + ledger.inFlight}${wrong === undefined ? "" : ` — THE BOOKS DO NOT BALANCE: ${wrong}`}`
      )
    }
  }
  lines.push(balanced ? "  the ledger balances" : "  the ledger does not balance")
  return { balanced, lines }
})
