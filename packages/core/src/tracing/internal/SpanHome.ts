import type { SpanData } from "../SpanData.ts"
import type { RecordedSpan } from "./RecordedSpan.ts"
import type { Values } from "./values.ts"

/** Open spans that are remembered; of more the oldest are forgotten, and counted. */
const maxOpen = 10_000

/** What the recorded spans of one tracer share: rules for what they keep, where they go, and who of them is still open. */
export class SpanHome {
  /** Read at every use: limits and redaction may change while spans are open. */
  readonly values: () => Values
  /** Takes every span that ended, in the step that ends it. It must not throw. */
  readonly take: (data: SpanData, span: RecordedSpan) => void
  /** The open spans in the order in which they began: a list through the spans themselves, so that coming and going costs nothing. */
  private first: RecordedSpan | undefined
  private last: RecordedSpan | undefined
  private count = 0
  private lost = 0

  constructor(values: () => Values, take: (data: SpanData, span: RecordedSpan) => void) {
    this.values = values
    this.take = take
  }

  enter(span: RecordedSpan): void {
    const { last } = this
    if (last === undefined) this.first = span
    else {
      last.newer = span
      span.older = last
    }
    this.last = span
    if (++this.count > maxOpen) {
      this.leave(this.first!)
      this.lost++
    }
  }

  leave(span: RecordedSpan): void {
    const { newer, older } = span
    if (older === undefined && this.first !== span) return
    if (older === undefined) this.first = newer
    else older.newer = newer
    if (newer === undefined) this.last = older
    else newer.older = older
    span.older = undefined
    span.newer = undefined
    this.count--
  }

  /** How many are open, the one that has been open longest, and how many were forgotten to keep the list short. */
  report(): { readonly open: number; readonly oldest: RecordedSpan | undefined; readonly forgotten: number } {
    return { open: this.count, oldest: this.first, forgotten: this.lost }
  }

  /** The open spans of kept traces as they are now, ended at `now` and marked as unfinished; they go on. */
  unfinished(now: bigint): ReadonlyArray<SpanData> {
    const out: Array<SpanData> = []
    for (let span = this.first; span !== undefined; span = span.newer) {
      const { held } = span.trace.decision
      const data = span.unfinished(now)
      const kept = held === undefined ? data : held.judged(data)
      if (kept !== undefined) out.push(kept)
    }
    return out
  }
}
