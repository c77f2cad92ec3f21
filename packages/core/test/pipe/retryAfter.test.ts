import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { retryAfter } from "../../src/pipe/Exporter.ts"

// Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110, 5.6.7.
const then = 784_111_777_000
const millis = (header: unknown, now: number) => {
  const wait = retryAfter(header, now)
  return wait === undefined ? undefined : Duration.toMillis(wait)
}

describe("Retry-After", () => {
  it("is whole seconds", () => {
    assert.deepStrictEqual(["0", "120", " 7 ", "007"].map((text) => millis(text, then)), [0, 120_000, 7_000, 7_000])
  })

  it("is a date in each of the three forms, and none of the time is left when it is past", () => {
    for (const date of ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]) {
      assert.strictEqual(millis(date, then - 90_000), 90_000, date)
      assert.strictEqual(millis(date, then + 1), 0, date)
    }
  })

  it("is at most a day", () => {
    assert.strictEqual(millis("9".repeat(60), then), 86_400_000)
    assert.strictEqual(millis("Fri, 31 Dec 9999 23:59:59 GMT", then), 86_400_000)
  })

  it("is nothing when it makes no sense", () => {
    for (const header of [undefined, 5, "", "-1", "1.5", "0x10", "1e3", "Infinity", "soon", "60, 120", "Thu, 31 Feb 2030 00:00:00 GMT", "9".repeat(65), ["5"]]) {
      assert.strictEqual(millis(header, then), undefined, String(header))
    }
  })
})
