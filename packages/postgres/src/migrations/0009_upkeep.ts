import type { Sql } from "../internal/names.ts"

/** What the processes that share the store have decided about a disk that fills: a row, and one for those that only try. */
export const name = "upkeep"

export const statements = (t: Sql): ReadonlyArray<string> => [
  `create table ${t.upkeep} (
    dry bool primary key, producer uuid not null, at timestamptz not null, step int2 not null, since timestamptz not null, calm_since timestamptz, reason text)`
]
