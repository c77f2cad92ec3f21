import { isInt64, isInteger, plain } from "./anyValue.ts"

// OTLP's JSON: protobuf's JSON mapping with hexadecimal ids and numbers for enums (OTLP 1.x, "JSON Protobuf Encoding").

/** Text as JSON; halves of surrogate pairs, which readers refuse, become U+FFFD. */
export const text = (value: string): string => JSON.stringify(value.isWellFormed() ? value : value.toWellFormed())

/** A double; what JSON has no number for is a text (protobuf, "JSON Format"). */
export const double = (value: number): string => Number.isFinite(value) ? Object.is(value, -0) ? "-0" : String(value) : `"${value}"`

export const keyValue = (key: string, value: unknown): string => `{"key":${text(key)},"value":${anyValue(value, 0)}}`

export const keyValues = (attributes: Iterable<readonly [string, unknown]>): string => {
  let out = ""
  for (const [key, value] of attributes) out += out === "" ? keyValue(key, value) : `,${keyValue(key, value)}`
  return out
}

export const recordValues = (attributes: Readonly<Record<string, unknown>>): string => {
  let out = ""
  for (const key of Object.keys(attributes)) out += `${out === "" ? "" : ","}${keyValue(key, attributes[key])}`
  return out
}

const anyValue = (value: unknown, depth: number): string => {
  switch (typeof value) {
    case "string":
      return `{"stringValue":${text(value)}}`
    case "boolean":
      return value ? `{"boolValue":true}` : `{"boolValue":false}`
    case "number":
      return isInteger(value) ? `{"intValue":"${value}"}` : `{"doubleValue":${double(value)}}`
    case "bigint":
      if (isInt64(value)) return `{"intValue":"${value}"}`
  }
  const other = plain(value, depth)
  if (other === undefined) return "{}"
  switch (other.kind) {
    case "text":
      return `{"stringValue":${text(other.value)}}`
    case "bytes":
      return `{"bytesValue":"${Buffer.from(other.value).toString("base64")}"}`
    case "list":
      return `{"arrayValue":{"values":[${other.value.map((item) => anyValue(item, depth + 1)).join(",")}]}}`
    case "record":
      return `{"kvlistValue":{"values":[${
        other.value.map(([key, inner]) => `{"key":${text(key)},"value":${anyValue(inner, depth + 1)}}`).join(",")
      }]}}`
  }
}
