import { keyValues, text } from "./jsonValues.ts"
import type { LogRecord } from "./logRecord.ts"

/** One `LogRecord` as JSON. */
export const record = (one: LogRecord): string => {
  let out = `{"timeUnixNano":"${one.time}","observedTimeUnixNano":"${one.time}","severityNumber":${one.severity},"severityText":"${one.severityText}","body":{"stringValue":${text(one.body)}}`
  if (one.attributes.length > 0) out += `,"attributes":[${keyValues(one.attributes)}]`
  if (one.traceId !== undefined && one.spanId !== undefined) out += `,"flags":${one.flags},"traceId":"${one.traceId}","spanId":"${one.spanId}"`
  return `${out}}`
}
