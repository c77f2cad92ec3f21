import { readFileSync } from "node:fs"
import * as Path from "node:path"
import { root } from "../architecture/tree.ts"

const marker = "<!-- ten-lines -->"

/**
 * The start of the README: the first ```ts block after the marker `<!-- ten-lines -->`, and, line by line, the ```text block
 * that follows it with what the program prints. Throws with what is missing.
 */
export const tenLines = (): { readonly code: string; readonly output: ReadonlyArray<string> } => parse(readFileSync(Path.join(root, "README.md"), "utf8"))

export const parse = (readme: string): { readonly code: string; readonly output: ReadonlyArray<string> } => {
  const start = readme.indexOf(marker)
  if (start < 0) throw new Error(`README.md has no ${marker}: put it before the code block of the quick start`)
  const rest = readme.slice(start)
  const code = /^```ts\n([\s\S]*?)^```/m.exec(rest)
  if (code === null) throw new Error(`README.md has no \`\`\`ts block after ${marker}`)
  const text = /^```text\n([\s\S]*?)^```/m.exec(rest.slice(code.index + code[0].length))
  if (text === null) throw new Error(`README.md has no \`\`\`text block with the output after the ten lines`)
  const output = text[1]!.split("\n").map((line) => line.trim()).filter((line) => line !== "")
  if (output.length === 0) throw new Error("README.md says the ten lines print nothing: show one line of what they print")
  return { code: code[1]!, output }
}
