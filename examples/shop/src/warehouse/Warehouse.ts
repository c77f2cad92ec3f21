import { Config, Effect, Layer, Option, Redacted } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

/** How long it may take to deliver what it recorded when it is told to end. Milliseconds. */
const patience = 8_000

/** The warehouse as a process of its own, for as long as the scope is open; `/metrics` is on `port`. */
export const warehouse = (url: Redacted.Redacted<string>, port: number): Layer.Layer<never, Config.ConfigError> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const log = yield* Config.option(Config.String("SHOP_LOG"))
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, ["--conditions=source", fileURLToPath(new URL("main.ts", import.meta.url))], {
          env: { ...process.env, DATABASE_URL: Redacted.value(url), WAREHOUSE_PORT: String(port), ...(Option.isSome(log) ? { SHOP_LOG: log.value } : {}) },
          stdio: ["ignore", "ignore", "inherit"]
        })
      ),
      (child) =>
        Effect.callback<void>((resume) => {
          if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
          const late = setTimeout(() => child.kill("SIGKILL"), patience)
          child.once("close", () => {
            clearTimeout(late)
            resume(Effect.void)
          })
          child.kill("SIGTERM")
        })
    )
  }))
