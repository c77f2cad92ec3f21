import { assert, describe, it } from "vitest"
import { resolve } from "node:path"
import { gzipSync } from "node:zlib"
import { bundle } from "../bundler/bundle.ts"

describe("the page", () => {
  it("weighs at most 85 kB compressed and names no other origin", async () => {
    const { script, style } = await bundle(resolve(import.meta.dirname, "../web"))
    assert.isAtMost(gzipSync(script).length + gzipSync(style).length, 85_000)
    const named = [...`${script}${style}`.matchAll(/https?:\/\/[\w.-]+/g)].map(([url]) => url)
    // Names of XML, which nothing asks.
    assert.deepStrictEqual(named.filter((url) => !/^http:\/\/www\.w3\.org$/.test(url)), [])
    assert.notMatch(script, /dangerouslySetInnerHTML\s*:|\beval\(|new Function\(/)
  })
})
