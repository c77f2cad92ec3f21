/** One thing a store did about its disk, or with `dryRun` would have done. */
export interface UpkeepAction {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly action: "pack_early" | "shorten_retention" | "restore_retention" | "stop_packing_early"
  readonly dryRun: boolean
  /** One line for people: why, and what became of it. */
  readonly detail: string
}

/** What a store does by itself about its disk. */
export interface UpkeepReport {
  readonly dryRun: boolean
  /** 0: nothing. 1: packs early. From 2 on each one keeps a quarter less, down to the floors. */
  readonly step: number
  /** When the step changed last. */
  readonly since: number | undefined
  /** Why it is at this step, or why more cannot be done. */
  readonly reason: string | undefined
  /** Whether this process decides for those that share the store. */
  readonly leads: boolean
  /** Days each layer is kept at this step. */
  readonly retention: Readonly<Record<"raw" | "spans" | "minute" | "hour" | "day", number>>
  /** The last twenty of this process, and how many there were since its start. */
  readonly actions: ReadonlyArray<UpkeepAction>
  readonly counts: Readonly<Partial<Record<UpkeepAction["action"], number>>>
}
