import { clean } from "../internal/json.ts"
import { int8, text } from "../internal/parameters.ts"

/** Collects the parameters of a statement while it is written. */
export class Parameters {
  readonly values: Array<unknown> = []

  /** The place of a value, with its type. */
  add(value: unknown, type: string): string {
    this.values.push(value)
    return `$${this.values.length}::${type}`
  }

  text(value: string): string {
    return this.add(text(clean(value)), "text")
  }

  nanos(value: bigint): string {
    return this.add(int8(value), "int8")
  }
}
