import { ConfigurationError } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"

/** The script and the style of the page. */
export interface Assets {
  readonly script: string
  readonly style: string
}

const fromSource = import.meta.url.endsWith(".ts")

/** Built files of the package; bundled at once when the package runs from its source. */
export const load: Effect.Effect<Assets, ConfigurationError> = Effect.tryPromise({
  try: async () => {
    if (fromSource) {
      // The bundler is no part of the package: named by its place, so that nothing that is published reaches for it.
      const bundler = await import(new URL("../../bundler/bundle.ts", import.meta.url).href) as { readonly bundle: (folder: string) => Promise<Assets> }
      return await bundler.bundle(fileURLToPath(new URL("../../web", import.meta.url)))
    }
    const read = (name: string) => readFile(new URL(`../page/${name}`, import.meta.url), "utf8")
    return { script: await read("page.js"), style: await read("page.css") }
  },
  catch: (error) =>
    new ConfigurationError({
      problems: [{
        path: "dashboard",
        message: `its page cannot be ${fromSource ? "bundled from its source: run `npm install` in the workspace" : "read: run `npm run build` in packages/dashboard"} (${error instanceof Error ? error.message.split("\n")[0] : String(error)})`
      }]
    })
})
