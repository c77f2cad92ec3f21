import type * as Logger from "effect/Logger"
import type { LogData } from "./LogData.ts"

/** Writes log lines. */
export interface LogOutput {
  /** Called for every line of the program at or above its minimum level, synchronously. What it throws is swallowed. */
  readonly log: (entry: LogEntry) => void
}

/** A line on its way. */
export interface LogEntry {
  /** As Effect's loggers get it; it is only valid during the call. */
  readonly options: Logger.Options<unknown>
  /** The loggers that were given outside of the hub. */
  readonly loggers: ReadonlySet<Logger.Logger<unknown, any>>
  /** The line without secrets; made when it is first asked for. */
  readonly data: () => LogData
  /** Hands the line to span events, breadcrumbs and backends: at once, later, or never. */
  readonly keep: () => void
  /** The same for breadcrumbs alone: a line that is left out may still explain an error. */
  readonly remember: () => void
  /** Whether somebody takes spans, so that there is a decision about its trace to follow. */
  readonly traced: boolean
}
