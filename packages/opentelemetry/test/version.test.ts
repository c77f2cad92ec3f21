import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { version } from "../src/internal/version.ts"

it("the version that is told is the package's", () =>
  assert.strictEqual(version, JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version))
