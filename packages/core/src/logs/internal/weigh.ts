import { weighAttributes } from "../../tracing/internal/weigh.ts"
import type { LogData } from "../LogData.ts"

/** A cheap estimate of the bytes a log line holds on to. */
export const weighLog = (line: LogData): number =>
  400 + 2 * (line.message.length + (line.cause?.length ?? 0)) + 64 * line.logSpans.length + weighAttributes(line.attributes)
