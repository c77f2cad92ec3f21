import type { MetricDefinition } from "../MetricDefinition.ts"
import type { Series } from "../MetricFrame.ts"

/** A series as the store keeps it. A class, so that all have one shape and the record path one way to read them. */
export class Slot implements Series {
  /** Position in its column; another after a compaction, -1 once the series was retired. */
  index: number
  readonly definition: MetricDefinition
  readonly labelValues: ReadonlyArray<string>
  readonly createdAt: number

  constructor(index: number, definition: MetricDefinition, labelValues: ReadonlyArray<string>, createdAt: number) {
    this.index = index
    this.definition = definition
    this.labelValues = labelValues
    this.createdAt = createdAt
  }
}
