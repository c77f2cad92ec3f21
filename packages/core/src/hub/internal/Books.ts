import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type LedgerSnapshot, sum } from "../../pipe/Ledger.ts"
import type { ComponentReport, Signal } from "../Telemetry.ts"
import { Succession } from "./Succession.ts"

interface Account {
  readonly backend: string
  readonly signal: Signal
  /** Of all queues that are closed. */
  closed: LedgerSnapshot | undefined
  /** In the order in which they began; the last one is at work, the others drain. */
  open: ReadonlyArray<() => LedgerSnapshot>
}

/** The books of all queues there ever were, by backend and signal: what a backend that was exchanged or taken out did stays on record. */
export class Books {
  private readonly accounts = new Map<string, Account>()

  /** To be asked for before a queue is made, so that its books are closed after its drain; what it gives is to be called with them. */
  readonly enter = (backend: string, signal: Signal): Effect.Effect<(ledger: () => LedgerSnapshot) => void, never, Scope.Scope> =>
    Effect.gen({ self: this }, function*() {
      const handover = yield* Succession
      let held: (() => LedgerSnapshot) | undefined
      yield* Effect.addFinalizer(() => Effect.sync(() => this.close(backend, signal, held)))
      return (ledger) => {
        held = ledger
        const begin = () => {
          const account = this.account(backend, signal)
          account.open = [...account.open, ledger]
        }
        if (handover === undefined) begin()
        else handover.defer(() => held === undefined || begin())
      }
    })

  private account(backend: string, signal: Signal): Account {
    const key = `${signal} ${backend}`
    let account = this.accounts.get(key)
    if (account === undefined) this.accounts.set(key, account = { backend, signal, closed: undefined, open: [] })
    return account
  }

  private close(backend: string, signal: Signal, ledger: (() => LedgerSnapshot) | undefined): void {
    if (ledger === undefined) return
    const account = this.account(backend, signal)
    // One that never began has nothing on record.
    if (!account.open.includes(ledger)) return
    account.open = account.open.filter((other) => other !== ledger)
    account.closed = account.closed === undefined ? ledger() : sum(account.closed, ledger())
  }

  /** A report with the books of those before it. */
  readonly withFormers = (report: ComponentReport): ComponentReport => {
    const formers = report.signals.map(({ signal }) => this.formers(report.name, signal))
    if (formers.every((former) => former === undefined)) return report
    return {
      ...report,
      signals: report.signals.map((one, i) => formers[i] === undefined ? one : { ...one, ledger: sum(formers[i]!, one.ledger) })
    }
  }

  private formers(backend: string, signal: Signal): LedgerSnapshot | undefined {
    const account = this.accounts.get(`${signal} ${backend}`)
    if (account === undefined || (account.closed === undefined && account.open.length < 2)) return undefined
    return account.open.slice(0, -1).reduce<LedgerSnapshot | undefined>((all, ledger) => all === undefined ? ledger() : sum(all, ledger()), account.closed)
  }

  /** The books of those that are in none of the reports. */
  removed(reports: ReadonlyArray<ComponentReport>): ReadonlyArray<{ readonly backend: string; readonly signal: Signal; readonly ledger: LedgerSnapshot }> {
    const shown = new Set(reports.flatMap(({ name, signals }) => signals.map(({ signal }) => `${signal} ${name}`)))
    return [...this.accounts].flatMap(([key, { backend, closed, open, signal }]) => {
      if (shown.has(key)) return []
      const all = open.reduce<LedgerSnapshot | undefined>((all, ledger) => all === undefined ? ledger() : sum(all, ledger()), closed)
      return all === undefined ? [] : [{ backend, signal, ledger: all }]
    })
  }
}
