import type { LogRecord } from "./logRecord.ts"
import { keyValue } from "./protoValues.ts"
import type { Writer } from "./Writer.ts"

/** One `LogRecord` (opentelemetry/proto/logs/v1/logs.proto) as field 2 of `ScopeLogs`. */
export const record = (writer: Writer, one: LogRecord): void => {
  const start = writer.beginLong(0x12)
  if (one.time !== 0n) writer.fixed64(0x09, one.time)
  writer.small(0x10, one.severity)
  writer.text(0x1a, one.severityText)
  const body = writer.begin(0x2a)
  writer.text(0x0a, one.body)
  writer.end(body)
  for (const [name, value] of one.attributes) keyValue(writer, 0x32, name, value)
  if (one.traceId !== undefined && one.spanId !== undefined) {
    if (one.flags !== 0) writer.fixed32(0x45, one.flags)
    writer.hex(0x4a, one.traceId)
    writer.hex(0x52, one.spanId)
  }
  if (one.time !== 0n) writer.fixed64(0x59, one.time)
  writer.endLong(start)
}
