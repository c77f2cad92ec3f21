import { ConfigurationError } from "@effect-observability/core"
import * as Effect from "effect/Effect"

/** Checks the name a cache has in the metrics. */
export const checkedName = (name: unknown): Effect.Effect<string, ConfigurationError> =>
  typeof name === "string" && name.trim() !== "" && name.length <= 128
    ? Effect.succeed(name)
    : Effect.fail(new ConfigurationError({ problems: [{ path: "cache.name", message: "is empty or longer than 128 characters: give the cache a short name" }] }))
