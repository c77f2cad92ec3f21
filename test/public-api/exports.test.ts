import * as Path from "node:path"
import { describe, expect, it } from "vitest"
import { folders, readJson, root } from "../architecture/tree.ts"
import { publicNames } from "./exports.ts"

// A change of these files is a change of what users may rely on. After a wanted one: `npx vitest run test/public-api -u`.
describe("public names", () => {
  for (const folder of folders("packages")) {
    const { exports, name } = readJson(`packages/${folder}/package.json`)
    for (const [subpath, target] of Object.entries<{ readonly source?: string }>(exports)) {
      if (target.source === undefined) continue
      const specifier = Path.posix.join(name, subpath)
      it(specifier, async () => {
        const names = publicNames(Path.join(root, "packages", folder, target.source!))
        expect(names.length).toBeGreaterThan(0)
        await expect(`${names.join("\n")}\n`).toMatchFileSnapshot(`names/${folder}${subpath.slice(1).replaceAll("/", ".")}.txt`)
      })
    }
  }

  it("are found through every form of export", () => {
    expect(publicNames(Path.join(import.meta.dirname, "fixture/index.ts"))).toEqual([
      "Inner.Service",
      "Inner.answer",
      "Renamed",
      "Service",
      "answer",
      "default",
      "first",
      "local",
      "type Inner.Shape",
      "type Inner.nested.Deep",
      "type OnlyType",
      "type Shape",
      "type Shown"
    ])
  })
})
