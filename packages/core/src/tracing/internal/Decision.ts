import type { Held } from "../sampling/internal/Holding.ts"
import type { Tally } from "../sampling/internal/Shares.ts"

/** What was decided about one trace in this process; most traces share one of a few. */
export class Decision {
  /** Whether spans of the trace are recorded: because they are kept, or held until it is known. */
  readonly recorded: boolean
  /** The flag that goes out with the trace id. */
  readonly propagated: boolean
  /** How many traces this one stands for. */
  readonly weight: number
  /** OpenTelemetry's part of the outgoing `tracestate`: `th:…`, nothing, or `undefined` to leave it as it came. */
  readonly member: string | undefined
  /** Where a sampler counts the spans of the trace. */
  readonly tally: Tally | undefined
  /** Where ended spans wait; `undefined` when they need not. */
  readonly held: Held | undefined

  constructor(
    recorded: boolean,
    propagated: boolean,
    weight: number,
    member: string | undefined,
    tally?: Tally,
    held?: Held
  ) {
    this.recorded = recorded
    this.propagated = propagated
    this.weight = weight
    this.member = member
    this.tally = tally
    this.held = held
  }

  /** Of a trace nobody has decided about. */
  static readonly undecided = new Decision(false, false, 1, undefined)
  /** Everything is kept, as the caller said or because it is ours. */
  static readonly kept = new Decision(true, true, 1, undefined)
  /** Everything is kept, whatever threshold came with the trace. */
  static readonly keptAnew = new Decision(true, true, 1, "")
  /** Nothing is kept; a threshold that came with the trace no longer holds. */
  static readonly dropped = new Decision(false, false, 1, "")
}
