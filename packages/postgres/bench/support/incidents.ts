import { TraceFigures } from "@effect-observability/core"
import { mulberry32 } from "./spanData.ts"

/**
 * Incidents with a planted cause: one to three attribute values that half a percent to five percent of the spans carry
 * together. Most of those fail, and a few of all others. Which attribute is ranked first?
 */
export const incident = (seed: number, spans: number): { readonly ranked: boolean; readonly inThree: boolean; readonly byFrequency: boolean } => {
  const random = mulberry32(seed)
  const below = (n: number) => Math.floor(random() * n)
  /** Skewed: a few values are common. */
  const skewed = (n: number) => Math.min(n - 1, Math.floor(n * random() ** 2))
  const keys = ["region", "host", "version", "route", "tenant", "device", "feature", "user", "shard", "locale"]
  const sizes = [4, 30, 5, 20, 60, 8, 3, 20_000, 64, 15]
  const rows = Array.from({ length: spans }, () => sizes.map((size, key) => (key % 2 === 0 ? skewed(size) : below(size))))
  // Hosts belong to regions, as they do.
  for (const row of rows) row[1] = (row[0]! * 8 + row[1]! % 8) % 30
  let cause: ReadonlyArray<readonly [key: number, value: number]> = []
  let carriers = 0
  for (let tries = 0; tries < 2_000; tries++) {
    const width = 1 + below(3)
    const model = rows[below(spans)]!
    const chosen = [...keys.keys()].sort(() => random() - 0.5).slice(0, width)
    cause = chosen.map((key) => [key, model[key]!])
    carriers = rows.filter((row) => cause.every(([key, value]) => row[key] === value)).length
    if (carriers >= spans * 0.005 && carriers <= spans * 0.05) break
  }
  const background = 0.001 + random() * 0.01
  const failing = 0.6 + random() * 0.4
  const population = { selected: 0, rest: 0, selectedWeight: 0, restWeight: 0 }
  const counts = new Map<string, { selected: number; rest: number }>()
  for (const row of rows) {
    const caused = cause.every(([key, value]) => row[key] === value)
    const side = random() < (caused ? failing : background) ? "selected" : "rest"
    population[side]++
    row.forEach((value, key) => {
      const name = `${keys[key]}=${value}`
      let one = counts.get(name)
      if (one === undefined) counts.set(name, one = { selected: 0, rest: 0 })
      one[side]++
    })
  }
  const carried = [...counts].map(([name, { rest, selected }]): TraceFigures.Carried => {
    const [key, value] = name.split("=") as [string, string]
    return { key, value, selected, rest, selectedWeight: selected, restWeight: rest }
  })
  const planted = new Set(cause.map(([key, value]) => `${keys[key]}=${value}`))
  const isPlanted = ({ key, value }: { readonly key: string; readonly value: string }) => planted.has(`${key}=${value}`)
  const ranked = TraceFigures.rank({ ...population, selectedWeight: population.selected, restWeight: population.rest }, carried, 3)
  const frequent = carried.toSorted((a, b) => b.selected - a.selected)[0]!
  return { ranked: ranked[0] !== undefined && isPlanted(ranked[0]), inThree: ranked.some(isPlanted), byFrequency: isPlanted(frequent) }
}
