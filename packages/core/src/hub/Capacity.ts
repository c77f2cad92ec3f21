/** Bytes by what they hold. */
export interface CapacityParts {
  readonly metrics: number
  readonly spans: number
  readonly errors: number
  /** Who, what and under which labels: grows with new series and operations. */
  readonly dictionaries: number
  readonly total: number
  /** Where `total` may as well lie: half of what was looked at against the other half, what the arithmetic does not know, growth going on or ending. */
  readonly least: number
  readonly most: number
}

/** How fast a store grows and when its disk is full, as told from what it takes at the moment. */
export interface CapacityReport {
  /** When it was estimated, milliseconds since the epoch. */
  readonly at: number
  /** How much recording was looked at, in milliseconds. Under five minutes the bounds are wide. */
  readonly observedMillis: number
  /** `"minutes"`: the last minutes, with finished days unknown; `"days"`: what finished days took for each sample and span. */
  readonly basis: "minutes" | "days"
  /** Series that are recorded at the moment, over all processes, and how many more in a day. */
  readonly series: number
  readonly seriesPerDay: number
  /** Rows written, before packing: frames, pieces of traces, errors. */
  readonly rowsPerDay: number
  readonly samplesPerDay: number
  readonly spansPerDay: number
  readonly errorsPerDay: number
  /** What waits to be packed takes at its most: it stands, it does not grow. */
  readonly hotBytes: number
  /** What an hour takes, the minutes that were looked at being its first; with what waits to be packed at its end. */
  readonly hour: CapacityParts & { readonly hot: number }
  /** What a day adds once it is packed, roll-ups included. */
  readonly bytesPerDay: CapacityParts
  /** Written ahead by the whole server; the server removes it by itself. `undefined` where it cannot be read or only one look was taken. */
  readonly walBytesPerDay: number | undefined
  /** The database, whatever else it holds; the store alone where the role may not ask. */
  readonly usedBytes: number
  /** Days that hold anything, up to yesterday. */
  readonly keptDays: number
  /** `undefined`: nobody said how much room there is. */
  readonly capacity: number | undefined
  /** Milliseconds since the epoch; `undefined` without a capacity, without growth, or when retention keeps it below. */
  readonly fullAt: number | undefined
  /** The same at the most and at the least growth. */
  readonly fullAtEarliest: number | undefined
  readonly fullAtLatest: number | undefined
  /** What could not be looked at, for people. */
  readonly notes: ReadonlyArray<string>
}
