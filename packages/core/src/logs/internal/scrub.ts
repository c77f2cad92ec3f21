import type { Values } from "../../tracing/internal/values.ts"
import type { LogData } from "../LogData.ts"

const maxCause = 16_384

/** A line from elsewhere, without secrets and within the limits. */
export const scrubLog = (line: LogData, values: Values): LogData => ({
  ...line,
  message: values.text(line.message, values.limits.attributeValueLength),
  attributes: new Map(Object.entries(values.record(Object.fromEntries(line.attributes), values.limits.attributeCount))),
  logSpans: line.logSpans.map(({ millis, name }) => ({ name: values.text(name, 256), millis })),
  cause: line.cause === undefined ? undefined : values.text(line.cause, maxCause)
})
