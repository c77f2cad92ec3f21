import type * as Exit from "effect/Exit"
import type { IdGenerator } from "../IdGenerator.ts"
import { LocalSpan, type SpanOptions } from "./LocalSpan.ts"
import { TraceId } from "./TraceId.ts"

/** A span that nobody keeps. Its ids are real, so that what is called from inside it stays one trace. */
export class UnrecordedSpan extends LocalSpan {
  private readonly flag: boolean
  private readonly ids: IdGenerator
  private known: TraceId | undefined

  /** Without a `trace` the span begins one; its id is drawn when somebody reads it. */
  constructor(options: SpanOptions, trace: TraceId | undefined, ids: IdGenerator, propagated: boolean) {
    super(options, ids)
    this.known = trace
    this.ids = ids
    this.flag = propagated
  }

  get sampled(): false {
    return false
  }

  get propagated(): boolean {
    return this.flag
  }

  get trace(): TraceId {
    return this.known ??= TraceId.random(this.ids)
  }

  get attributes(): ReadonlyMap<string, unknown> {
    return noAttributes
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    if (this.status._tag === "Ended") return
    this.status = { _tag: "Ended", startTime: this.status.startTime, endTime, exit }
  }

  attribute(): void {}

  event(): void {}

  addLinks(): void {}
}

const noAttributes: ReadonlyMap<string, unknown> = new Map()
