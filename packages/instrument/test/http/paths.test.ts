import { assert, describe, it } from "@effect/vitest"
import { contentLength } from "../../src/http/internal/attributes.ts"
import { isIgnored, pathOf, queryNames } from "../../src/http/internal/paths.ts"
import { isRequestId } from "../../src/http/RequestId.ts"

describe("ignored paths", () => {
  const ignored = ["/metrics", "/health", "/internal/", "/"]
  for (const url of ["/health", "/health/live", "/health/", "/health?x=1", "/health#x", "/metrics", "/internal", "/internal/a", "/", "/?a=1"]) {
    it(`cover ${url}`, () => assert.isTrue(isIgnored(pathOf(url), ignored)))
  }
  for (const url of ["/healthy", "/heal", "/Health", "/api/health", "/metricsx?/metrics", "/internals", "//health", "*", ""]) {
    it(`leave ${url === "" ? "nothing" : url} alone`, () => assert.isFalse(isIgnored(pathOf(url), ignored)))
  }
})

describe("ignored patterns", () => {
  const covered: ReadonlyArray<readonly [pattern: string, paths: ReadonlyArray<string>, others: ReadonlyArray<string>]> = [
    ["/internal/*/health", ["/internal/a/health", "/internal//health"], ["/internal/a/b/health", "/internal/a/health/x", "/internal/a/healthy"]],
    ["/assets/**", ["/assets/", "/assets/a", "/assets/a/b.js"], ["/assets", "/asset/a"]],
    ["/**/ping", ["/a/ping", "/a/b/ping"], ["/ping", "/a/pings"]],
    ["/*.ico", ["/favicon.ico"], ["/a/favicon.ico", "/favicon.ico/x"]],
    ["/*a*a*a*", ["/aaa"], ["/" + "a/".repeat(2_000), "/b"]]
  ]
  for (const [pattern, paths, others] of covered) {
    it(`${pattern} covers whole paths`, () => {
      for (const path of paths) assert.isTrue(isIgnored(path, [pattern]), path)
      for (const path of others) assert.isFalse(isIgnored(path, [pattern]), path)
    })
  }

  it("take no exponential time", () => {
    const ignored = [`/${"**a".repeat(30)}b`]
    assert.isFalse(isIgnored(`/${"a".repeat(4_000)}`, ignored))
  })
})

describe("a query", () => {
  const cases: Record<string, string | undefined> = {
    "/a": undefined,
    "/a?": undefined,
    "/a?token=s3cret&page=2#frag=1": "token=REDACTED&page=REDACTED",
    "/a?s3cret": undefined,
    "/a?=s3cret&b=1": "b=REDACTED",
    "/a?a=b=c": "a=REDACTED",
    [`/a?${"x".repeat(65)}=1&b=2`]: "b=REDACTED"
  }
  for (const [url, names] of Object.entries(cases)) {
    it(`of ${url.slice(0, 40)} gives its names`, () => assert.strictEqual(queryNames(url), names))
  }

  it("is read only in part", () => {
    assert.strictEqual(queryNames(`/a?${"b=1&".repeat(100_000)}`)?.split("&").length, 32)
  })
})

describe("a request id from outside", () => {
  const refused = [
    undefined, "", "x".repeat(129), "x\r\nSet-Cookie: a=b", "x\n[ERROR] forged", "\u001b[2J", "<script>", "'; drop table", "a b", "é", "x\0"
  ]
  for (const id of refused) it(`is refused: ${JSON.stringify(id)?.slice(0, 30)}`, () => assert.isFalse(isRequestId(id)))
  for (const id of ["a", "x".repeat(128), "0c9f-A_B.c"]) it(`is taken: ${id.slice(0, 20)}`, () => assert.isTrue(isRequestId(id)))
})

describe("a content-length", () => {
  it("is a number of bytes or nothing", () => {
    assert.deepStrictEqual(
      ["0", "42", undefined, "", "-1", "1e3", "0x10", "12, 12", "9".repeat(16)].map(contentLength),
      [0, 42, undefined, undefined, undefined, undefined, undefined, undefined, undefined]
    )
  })
})
