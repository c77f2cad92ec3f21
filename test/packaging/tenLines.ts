import { readFileSync } from "node:fs"
import * as Path from "node:path"
import { sourceFacts } from "../architecture/sourceFacts.ts"
import { root } from "../architecture/tree.ts"

const marker = "<!-- ten-lines -->"

/** The quick start of the README: the first ```ts block after the marker. */
export const tenLines = (): string => {
  const readme = readFileSync(Path.join(root, "README.md"), "utf8")
  const start = readme.indexOf(marker)
  if (start < 0) throw new Error(`README.md has no ${marker}: put it before the code block of the quick start`)
  const code = /^```ts\n([\s\S]*?)^```/m.exec(readme.slice(start))
  if (code === null) throw new Error(`README.md has no \`\`\`ts block after ${marker}`)
  return code[1]!
}

/** The packages a program imports, without subpaths. */
export const packagesOf = (code: string): ReadonlyArray<string> => [
  ...new Set(sourceFacts(code).imports.map(({ specifier }) => specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/")))
]
