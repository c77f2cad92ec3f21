import type { Logs } from "@effect-observability/instrument"
import { Config, Effect, Logger, Option } from "effect"
import { appendFileSync } from "node:fs"

/** `SHOP_LOG` names a file that all processes of the demo write their lines to, as JSON; without it there are none: the terminal shows the table. */
export const logFile: Effect.Effect<Logs.LogsOptions, Config.ConfigError> = Effect.map(Config.option(Config.String("SHOP_LOG")), (file) =>
  Option.isNone(file)
    ? { format: "none" }
    : { format: "none", loggers: [Logger.map(Logger.formatJson, (line) => appendFileSync(file.value, `${line}\n`))] })
