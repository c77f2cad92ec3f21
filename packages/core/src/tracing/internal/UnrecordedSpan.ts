import type * as Exit from "effect/Exit"
import type { IdGenerator } from "../IdGenerator.ts"
import { LocalSpan, type SpanOptions } from "./LocalSpan.ts"
import { LocalTrace } from "./LocalTrace.ts"

/** Told when a span ends that nobody keeps. */
export type UnrecordedSink = (span: UnrecordedSpan, startTime: bigint, endTime: bigint, exit: Exit.Exit<unknown, unknown>) => void

/** A span that nobody keeps. Its ids are real, so that what is called from inside it stays one trace. */
export class UnrecordedSpan extends LocalSpan {
  private readonly flag: boolean
  private readonly ids: IdGenerator
  private known: LocalTrace | undefined
  private sink: UnrecordedSink | undefined

  /** Without a `trace` the span begins one; its id is drawn when somebody reads it. */
  constructor(
    options: SpanOptions,
    trace: LocalTrace | undefined,
    ids: IdGenerator,
    propagated: boolean,
    sink: UnrecordedSink | undefined
  ) {
    super(options, ids)
    this.known = trace
    this.ids = ids
    this.flag = propagated
    this.sink = sink
  }

  get sampled(): false {
    return false
  }

  get propagated(): boolean {
    return this.flag
  }

  get trace(): LocalTrace {
    return this.known ??= LocalTrace.random(this.ids)
  }

  get attributes(): ReadonlyMap<string, unknown> {
    return noAttributes
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    if (this.status._tag === "Ended") return
    const { startTime } = this.status
    this.status = { _tag: "Ended", startTime, endTime, exit }
    this.sink?.(this, startTime, endTime, exit)
  }

  /** Makes the end of this span count for nothing: another span stands for the same work. */
  discard(): void {
    this.sink = undefined
  }

  /** A name is all that is known of such a span. */
  rename(name: string): void {
    if (this.status._tag !== "Ended") this.name = name
  }

  attribute(): void {}

  event(): void {}

  addLinks(): void {}
}

const noAttributes: ReadonlyMap<string, unknown> = new Map()
