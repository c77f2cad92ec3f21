import { isInt64, isInteger, plain } from "./anyValue.ts"
import type { Writer } from "./Writer.ts"

// Tags are field number * 8 + wire type: 0 varint, 1 eight bytes, 2 length and bytes.

/** `KeyValue { string key = 1; AnyValue value = 2 }`, itself in the field of `tag`. */
export const keyValue = (writer: Writer, tag: number, key: string, value: unknown): void => {
  const start = writer.begin(tag)
  if (key !== "") writer.text(0x0a, key)
  const inner = writer.begin(0x12)
  anyValue(writer, value, 0)
  writer.end(inner)
  writer.end(start)
}

/** The fields of `AnyValue`: string 1, bool 2, int 3, double 4, array 5, kvlist 6, bytes 7; none for nothing. */
export const anyValue = (writer: Writer, value: unknown, depth: number): void => {
  switch (typeof value) {
    case "string":
      return writer.text(0x0a, value)
    case "boolean":
      return writer.small(0x10, value ? 1 : 0)
    case "number":
      if (!isInteger(value)) return writer.double(0x21, value)
      writer.tag(0x18)
      return writer.int64(value)
    case "bigint":
      if (isInt64(value)) {
        writer.tag(0x18)
        return writer.int64(value)
      }
  }
  const other = plain(value, depth)
  if (other === undefined) return
  switch (other.kind) {
    case "text":
      return writer.text(0x0a, other.value)
    case "bytes":
      return writer.bytesField(0x3a, other.value)
    case "list": {
      const list = writer.begin(0x2a)
      for (const item of other.value) {
        const start = writer.begin(0x0a)
        anyValue(writer, item, depth + 1)
        writer.end(start)
      }
      return writer.end(list)
    }
    case "record": {
      const record = writer.begin(0x32)
      for (const [key, inner] of other.value) {
        const start = writer.begin(0x0a)
        if (key !== "") writer.text(0x0a, key)
        const nested = writer.begin(0x12)
        anyValue(writer, inner, depth + 1)
        writer.end(nested)
        writer.end(start)
      }
      return writer.end(record)
    }
  }
}
