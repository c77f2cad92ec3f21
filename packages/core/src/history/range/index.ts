/** The arithmetic of range queries, for whoever stores metrics: check the question, name the series, add blocks of values. */
export type { Block, BlockColumn } from "./Block.ts"
export { Evaluation, extentOf, nothing, type Reading, readingsOf } from "./Evaluation.ts"
export { instant, type Known, type LabelTest, labelOf, passes, plan, type PointsPlan, pointsPlan, type RangePlan, resourceTests } from "./plan.ts"
export { streamed } from "./streamed.ts"
