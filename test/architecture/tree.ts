import { readdirSync, readFileSync } from "node:fs"
import * as Path from "node:path"

export const root = Path.resolve(import.meta.dirname, "../..")

export interface SourceFile {
  /** From the root of the repository, with forward slashes. */
  readonly path: string
  readonly text: string
}

/** Every TypeScript file below `folder`, installed and built ones left out; none when the folder is missing. */
export const typescriptFiles = (folder: string): ReadonlyArray<SourceFile> => {
  const found: Array<SourceFile> = []
  const walk = (path: string): void => {
    for (const entry of list(path)) {
      const child = `${path}/${entry.name}`
      if (entry.isDirectory()) {
        if (entry.name !== "node_modules" && entry.name !== "dist") walk(child)
      } else if (/\.tsx?$/.test(entry.name)) {
        found.push({ path: child, text: readFileSync(Path.join(root, child), "utf8") })
      }
    }
  }
  walk(folder)
  return found
}

export const folders = (path: string): ReadonlyArray<string> =>
  list(path).filter((entry) => entry.isDirectory()).map((entry) => entry.name).toSorted()

export const readJson = (path: string): any => JSON.parse(readFileSync(Path.join(root, path), "utf8"))

const list = (path: string) => {
  try {
    return readdirSync(Path.join(root, path), { withFileTypes: true })
  } catch {
    return []
  }
}
