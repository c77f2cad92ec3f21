import * as Effect from "effect/Effect"
import type { Bench } from "../../../test/bench/Bench.ts"
import { compare, type Hour, measureDay, measureHour, profiles } from "../test/support/capacityHour.ts"
import { targetOf } from "../test/support/database.ts"
import { startServer } from "../test/support/server.ts"

// What the estimator says after five minutes of an hour, and what the hour took (docs/diagnostics.md): the share by which the total was off.

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(2)

/** The parts, for the table of the docs. */
const tell = (one: Hour): void => {
  const ratio = compare(one)
  const { estimated: { hour, walBytesPerDay = NaN }, measured, profile, wal } = one
  for (const part of ["hot", "metrics", "spans", "errors", "dictionaries", "total"] as const) {
    console.log(`| ${profile.name} | ${part} | ${megabytes(hour[part])} | ${megabytes(measured[part])} | ${((ratio[part] - 1) * 100).toFixed(1)} % |`)
  }
  console.log(`| ${profile.name} | WAL | ${megabytes(walBytesPerDay / 24)} | ${megabytes(wal)} | |`)
  console.log(`| ${profile.name} | bounds | ${megabytes(hour.least)} | ${megabytes(hour.most)} | |`)
}

export default (bench: Bench): void => {
  bench.measure({
    name: "pg.capacity.day",
    unit: "share off",
    samples: 1,
    must: 0.15,
    run: async () => {
      const { estimated, measured } = await Effect.runPromise(Effect.scoped(Effect.flatMap(startServer(), ({ url }) => measureDay(targetOf(url), 500))))
      console.log(`| day of 500 series | total | ${megabytes(estimated)} | ${megabytes(measured)} | ${((estimated / measured - 1) * 100).toFixed(1)} % |`)
      return Math.abs(estimated / measured - 1)
    }
  })
  for (const profile of profiles) {
    bench.measure({
      name: `pg.capacity.${profile.name.replaceAll(" ", "_")}`,
      unit: "share off",
      samples: 1,
      must: 0.15,
      run: async () => {
        const one = await Effect.runPromise(Effect.scoped(Effect.flatMap(startServer(), ({ url }) => measureHour(targetOf(url), profile))))
        tell(one)
        return Math.abs(compare(one).total - 1)
      }
    })
  }
}
