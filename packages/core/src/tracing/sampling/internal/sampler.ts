import type { Decide, SamplingEnvironment } from "./Root.ts"

const TypeId = "~@effect-observability/core/Sampler"

/** Decides which traces are kept. A value without state: what it counts begins when a hub starts it. */
export interface Sampler {
  readonly [TypeId]: typeof TypeId
  readonly description: string
  /** What is wrong with its settings, a line each; a hub does not take one that has any. */
  readonly problems: ReadonlyArray<string>
  readonly start: (environment: SamplingEnvironment) => Decide
  /** The probability of every trace that begins here, where it is always the same. */
  readonly fixed: number | undefined
}

export const sampler = (description: string, problems: ReadonlyArray<string>, start: Sampler["start"], fixed?: number): Sampler => ({
  [TypeId]: TypeId,
  description,
  problems,
  start,
  fixed
})

export const isSampler = (value: unknown): value is Sampler => typeof value === "object" && value !== null && TypeId in value
