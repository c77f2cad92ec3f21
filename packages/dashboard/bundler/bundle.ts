import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { build } from "rolldown"

/** Bundles the page whose sources are in `folder`. Not a part of what is published: rolldown is there in the workspace only. */
export const bundle = async (folder: string): Promise<{ readonly script: string; readonly style: string }> => {
  const { output } = await build({
    input: `${folder}/main.ts`,
    platform: "browser",
    write: false,
    logLevel: "warn",
    output: { format: "esm", minify: true, codeSplitting: false }
  })
  const [plot, own] = await Promise.all([
    readFile(fileURLToPath(import.meta.resolve("uplot/dist/uPlot.min.css")), "utf8"),
    readFile(`${folder}/page.css`, "utf8")
  ])
  return { script: output[0].code, style: `${plot}\n${own}` }
}
