import type { MetricDefinition } from "../MetricDefinition.ts"
import type { Series } from "../MetricFrame.ts"

/** What all series of a family have in common. */
export interface Owner {
  readonly definition: MetricDefinition
  /** Values of the labels that are the same for all of them; the last ones. */
  readonly constants: ReadonlyArray<string>
  /** Milliseconds since the epoch from which the ages of series count. */
  readonly epoch: number
}

/**
 * One level of a family's trie: the label values that may follow those that lead here. The last level holds slots, those above it
 * branches.
 */
export class Branch extends Map<string, any> {
  readonly owner: Owner
  readonly parent: Branch | undefined
  /** The label value that leads here; the root has none. */
  readonly key: string
  /** How many values lead here. */
  readonly depth: number

  constructor(owner: Owner, parent: Branch | undefined, key: string) {
    super()
    this.owner = owner
    this.parent = parent
    this.key = key
    this.depth = parent === undefined ? 0 : parent.depth + 1
  }
}

/** Takes a path out of the trie, with the branches that are empty then. */
export const prune = (node: Branch, values: ReadonlyArray<string>, depth: number): void => {
  const value = values[depth]!
  const child: unknown = node.get(value)
  if (child instanceof Branch) {
    prune(child, values, depth + 1)
    if (child.size > 0) return
  }
  node.delete(value)
}

/**
 * A series as the store keeps it: where it stands in the trie says which labels it has, so that a value which many series share is kept
 * once. There may be a million of them.
 */
export class Slot implements Series {
  /** Position in its column; another after a compaction, -1 once the series was retired. */
  index: number
  private branch: Branch
  /** Its last label value; `undefined` when there is nothing to tell it apart by. */
  private key: string | undefined
  private age: number

  constructor(index: number, branch: Branch, key: string | undefined, createdAt: number) {
    this.index = index
    this.branch = branch
    this.key = key
    this.age = createdAt - branch.owner.epoch
  }

  get definition(): MetricDefinition {
    return this.branch.owner.definition
  }

  get createdAt(): number {
    return this.branch.owner.epoch + this.age
  }

  /** Its family got more labels. */
  move(branch: Branch, key: string): void {
    this.branch = branch
    this.key = key
  }

  /** It goes on where another left off. */
  resume(createdAt: number): void {
    this.age = createdAt - this.branch.owner.epoch
  }

  /** Those that tell it apart within its family. */
  get ownValues(): Array<string> {
    if (this.key === undefined) return []
    const values = new Array<string>(this.branch.depth + 1)
    values[this.branch.depth] = this.key
    for (let branch = this.branch; branch.parent !== undefined; branch = branch.parent) values[branch.depth - 1] = branch.key
    return values
  }

  get labelValues(): ReadonlyArray<string> {
    const { constants } = this.branch.owner
    return constants.length === 0 ? this.ownValues : [...this.ownValues, ...constants]
  }
}
