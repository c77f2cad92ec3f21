import { weighAttributes } from "../../tracing/internal/weigh.ts"
import { weighLog } from "../../logs/internal/weigh.ts"
import type { ErrorData } from "../ErrorData.ts"

/** A cheap estimate of the bytes an error holds on to. */
export const weighError = (error: ErrorData): number => {
  let bytes = 800 + weighAttributes(error.attributes)
  for (const cause of error.causes) bytes += 96 + 2 * (cause.type.length + cause.message.length + (cause.stack?.length ?? 0))
  for (const name of error.spanNames) bytes += 16 + 2 * name.length
  for (const line of error.breadcrumbs) bytes += weighLog(line)
  return bytes
}
