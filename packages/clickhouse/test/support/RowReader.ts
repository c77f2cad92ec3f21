import { type Column, logs, metrics, type Table, traces } from "../../src/internal/tables.ts"

/** Reads RowBinary by the types of the columns: what the writer's rows say, written anew from ClickHouse's manual. */
export class RowReader {
  private at = 0
  private readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  get done(): boolean {
    return this.at === this.bytes.length
  }

  private size(): number {
    let value = 0
    for (let shift = 0;; shift += 7) {
      const byte = this.bytes[this.at++]!
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }

  value(type: string): unknown {
    const inner = /^(?:LowCardinality|Array)\((.*)\)$/.exec(type)?.[1]
    if (type.startsWith("Array(")) return Array.from({ length: this.size() }, () => this.value(inner!))
    if (type.startsWith("LowCardinality(")) return this.value(inner!)
    if (type.startsWith("Map(")) return Object.fromEntries(Array.from({ length: this.size() }, () => [this.value("String"), this.value("String")] as const))
    const take = (length: number) => {
      if (this.at + length > this.bytes.length) throw new Error(`${type} reaches past the end`)
      const start = this.at
      this.at += length
      return start
    }
    switch (type) {
      case "String": {
        const length = this.size()
        const start = take(length)
        return this.bytes.toString("utf8", start, start + length)
      }
      case "UInt8":
      case "Bool":
        return this.bytes[take(1)]
      case "UInt32":
        return this.bytes.readUInt32LE(take(4))
      case "Int32":
        return this.bytes.readInt32LE(take(4))
      case "Float64":
        return this.bytes.readDoubleLE(take(8))
      case "UInt64":
        return Number(this.bytes.readBigUInt64LE(take(8)))
      case "DateTime64(9)":
        return this.bytes.readBigInt64LE(take(8))
      default:
        throw new Error(`no reader for ${type}`)
    }
  }
}

const written = (table: Table): ReadonlyArray<Column> => table.columns.filter((one) => one.derived !== true)

/** The rows of a body, by column. */
export const rowsOf = (table: keyof typeof metrics | "traces" | "logs", body: Buffer): ReadonlyArray<Readonly<Record<string, any>>> => {
  const reader = new RowReader(body)
  const columns = written(table === "traces" ? traces : table === "logs" ? logs : metrics[table])
  const rows: Array<Record<string, unknown>> = []
  while (!reader.done) rows.push(Object.fromEntries(columns.map(({ name, type }) => [name, reader.value(type)])))
  return rows
}
