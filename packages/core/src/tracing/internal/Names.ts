import type { Values } from "./values.ts"

/** Names remembered at once. */
const most = 2000

/** Names of spans nobody keeps, within the limits and redacted as those of others are; most come again and again. */
export class Names {
  private readonly values: () => Values
  private readonly known = new Map<string, string>()
  private current: Values | undefined

  constructor(values: () => Values) {
    this.values = values
  }

  shown(name: string): string {
    const values = this.values()
    if (values !== this.current) {
      this.current = values
      this.known.clear()
    }
    const known = this.known.get(name)
    if (known !== undefined) return known
    const shown = values.text(name, values.limits.attributeValueLength)
    if (this.known.size >= most) this.known.clear()
    this.known.set(name, shown)
    return shown
  }
}
