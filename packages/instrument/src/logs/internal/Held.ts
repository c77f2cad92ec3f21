/** What was held back, by trace, in the order in which it came; the oldest gives way. */
export class Held<in out A> {
  private readonly capacity: number
  private readonly onDrop: (count: number) => void
  /** Insertion order is age: a trace's list is small, and traces leave whole. */
  private readonly traces = new Map<string, Array<A>>()
  private count = 0

  constructor(capacity: number, onDrop: (count: number) => void) {
    this.capacity = capacity
    this.onDrop = onDrop
  }

  get size(): number {
    return this.count
  }

  add(trace: string, item: A): void {
    const items = this.traces.get(trace)
    if (items === undefined) this.traces.set(trace, [item])
    else items.push(item)
    this.count++
    while (this.count > this.capacity) this.dropOldest()
  }

  private dropOldest(): void {
    for (const [trace, items] of this.traces) {
      items.shift()
      if (items.length === 0) this.traces.delete(trace)
      this.count--
      this.onDrop(1)
      return
    }
  }

  /** Takes out what was held back of a trace. */
  release(trace: string): ReadonlyArray<A> {
    const items = this.traces.get(trace)
    if (items === undefined) return []
    this.traces.delete(trace)
    this.count -= items.length
    return items
  }

  clear(): void {
    if (this.count > 0) this.onDrop(this.count)
    this.traces.clear()
    this.count = 0
  }
}
