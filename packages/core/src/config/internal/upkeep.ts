import type { UpkeepFloor, UpkeepSettings } from "../ObservabilityConfig.ts"
import type { Reader } from "./Reader.ts"

/** A week of what is looked at, a month of minutes, a year of hours; days as long as they are kept. */
const floors: UpkeepFloor = { raw: 7, spans: 7, minute: 30, hour: 365, day: 3_650 }

export const upkeepOf = (postgres: Reader): UpkeepSettings => {
  const upkeep = postgres.group("upkeep")
  const floor = upkeep.group("floor")
  const days = (layer: keyof UpkeepFloor) => floor.integer(layer, floors[layer], 1, 36_500)
  const settings: UpkeepSettings = {
    enabled: upkeep.boolean("enabled", false),
    dryRun: upkeep.boolean("dryRun", false),
    daysLeft: upkeep.number("daysLeft", 7, 0, 365),
    maxBytes: upkeep.integer("maxBytes", 0, 0, Number.MAX_SAFE_INTEGER),
    floor: { raw: days("raw"), spans: days("spans"), minute: days("minute"), hour: days("hour"), day: days("day") }
  }
  if (settings.enabled && settings.maxBytes === 0 && !(Number(postgres.get("capacity")) > 0)) {
    upkeep.wrong("maxBytes", "is missing: upkeep needs a limit, here or as postgres.capacity")
  }
  for (const reader of [upkeep, floor]) reader.close()
  return settings
}
