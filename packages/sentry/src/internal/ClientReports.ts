import type { Ledger } from "@effect-observability/core"
import type { Category } from "./RateLimits.ts"

export interface Discarded {
  readonly reason: string
  readonly category: Category
  readonly quantity: number
}

interface Source {
  readonly category: Category
  readonly ledger: () => Ledger.LedgerSnapshot
}

/** The ledger's reasons in Sentry's words (Sentry SDK docs, "Client reports"). */
const words: ReadonlyArray<readonly [RegExp, string]> = [
  [/^(overflow|oldest|newest|full|bytes|too_large_for_queue)/, "queue_overflow"],
  [/^sampled_out/, "sample_rate"],
  [/^before_send/, "before_send"],
  [/^(filtered|filter_defect)/, "event_processor"],
  [/^(shutdown|backend_removed)/, "network_error"],
  [/^(rejected|redirect|poison|partial|too_large)/, "send_error"]
]

const wordOf = (reason: string): string => words.find(([pattern]) => pattern.test(reason))?.[1] ?? "internal_sdk_error"

/** What the queues did not deliver and Sentry has not been told yet. */
export class ClientReports {
  private readonly sources: Array<Source> = []
  private readonly told = new Map<string, number>()
  private pending: Map<string, number> | undefined

  watch(category: Category, ledger: Source["ledger"]): void {
    this.sources.push({ category, ledger })
  }

  /** What is new since the last report that arrived; `undefined` for nothing, and while another report is under way: `arrived` or `returned` ends that. */
  take(): ReadonlyArray<Discarded> | undefined {
    if (this.pending !== undefined) return undefined
    const now = new Map<string, number>()
    for (const { category, ledger } of this.sources) {
      const { dropped, rejected } = ledger()
      for (const [reason, count] of [...Object.entries(dropped), ...Object.entries(rejected)]) {
        const key = `${category} ${wordOf(reason)}`
        now.set(key, (now.get(key) ?? 0) + count)
      }
    }
    const found: Array<Discarded> = []
    for (const [key, count] of now) {
      const quantity = count - (this.told.get(key) ?? 0)
      const [category, reason] = key.split(" ") as [Category, string]
      if (quantity > 0) found.push({ reason, category, quantity })
    }
    if (found.length === 0) return undefined
    this.pending = now
    return found
  }

  /** The report of the last `take` arrived. */
  arrived(): void {
    for (const [key, count] of this.pending ?? []) this.told.set(key, count)
    this.pending = undefined
  }

  /** It did not: the next one tells it. */
  returned(): void {
    this.pending = undefined
  }
}
