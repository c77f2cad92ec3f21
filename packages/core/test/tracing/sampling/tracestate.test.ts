import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { parseThreshold, thresholdOf } from "../../../src/tracing/sampling/internal/threshold.ts"
import { editTracestate, readTracestate } from "../../../src/tracing/sampling/internal/tracestate.ts"
import { parseTracestate } from "../../../src/tracing/Propagation.ts"

describe("thresholds", () => {
  it("are the ones OpenTelemetry's page gives", () => {
    // "TraceState: Probability Sampling": 50 %, 25 %, 10 %, 1 %.
    assert.strictEqual(thresholdOf(0.5).text, "8")
    assert.strictEqual(thresholdOf(0.25).text, "c")
    assert.strictEqual(thresholdOf(0.1).text, "e666")
    assert.strictEqual(thresholdOf(0.01).text, "fd70a")
  })

  it("stand for the probability within 1 in 65,536, and say exactly for which", () => {
    fc.assert(fc.property(fc.double({ min: 1e-12, max: 1, minExcluded: true, maxExcluded: true, noNaN: true }), (probability) => {
      const threshold = thresholdOf(probability)
      assert.isAtMost(Math.abs(threshold.probability / probability - 1), 2 ** -13)
      assert.strictEqual(parseThreshold(threshold.text), threshold.probability)
      assert.strictEqual(threshold.high * 2 ** 32 + threshold.low, 2 ** 56 * (1 - threshold.probability))
      assert.isTrue(threshold.high < 2 ** 24 && threshold.low < 2 ** 32 && Number.isInteger(threshold.low))
    }))
  })

  it("read nothing into what is no threshold", () => {
    for (const text of ["", "g", "C", "0x8", "1".repeat(15), " 8"]) assert.isUndefined(parseThreshold(text))
    assert.strictEqual(parseThreshold("0"), 1)
  })

  it("never stand for no probability at all: a weight would be infinite", () => {
    for (const text of ["ffffffffffffff", "fffffffffffffe", "fffffffffffffd"]) assert.isTrue(Number.isFinite(1 / parseThreshold(text)!))
    for (const probability of [2 ** -44, 2 ** -56, 1e-40, Number.MIN_VALUE]) {
      const { high, probability: stated, text } = thresholdOf(probability)
      assert.isTrue(stated > 0 && high < 2 ** 24)
      assert.strictEqual(parseThreshold(text), stated)
    }
  })
})

describe("the ot member of tracestate", () => {
  it("is read wherever it stands, and only where it is well formed", () => {
    assert.deepStrictEqual(readTracestate("a=1,ot=th:c;rv:0123456789abcd,b=2"), {
      probability: 0.25,
      randomness: { high: 0x012345, low: 0x6789abcd }
    })
    for (const state of ["", "a=1", "ot=", "ot=th:", "ot=th:zz;rv:123", "xot=th:8", "ot=p:8"]) {
      assert.deepStrictEqual(readTracestate(state), { probability: undefined, randomness: undefined })
    }
  })

  it("is written first, with what others put into it", () => {
    assert.strictEqual(editTracestate("a=1", "th:8"), "ot=th:8,a=1")
    assert.strictEqual(editTracestate("a=1,ot=th:c;x:y;rv:0123456789abcd", "th:8"), "ot=th:8;x:y;rv:0123456789abcd,a=1")
    assert.strictEqual(editTracestate("ot=th:c;rv:0123456789abcd", "th:8;rv:ffffffffffffff"), "ot=th:8;rv:ffffffffffffff")
  })

  it("goes when nothing is left to say", () => {
    assert.strictEqual(editTracestate("a=1,ot=th:c", ""), "a=1")
    assert.strictEqual(editTracestate("ot=th:c", ""), "")
    assert.strictEqual(editTracestate("ot=th:c;x:y", ""), "ot=x:y")
  })

  it("keeps the whole valid and within its limits, whatever came in", () => {
    const key = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/)
    const member = fc.tuple(fc.oneof(key, fc.constant("ot")), fc.stringMatching(/^[a-z0-9:;]{0,120}[a-z0-9]$/))
    fc.assert(fc.property(fc.array(member, { maxLength: 40 }), fc.constantFrom("", "th:8", "th:8;rv:0123456789abcd"), (members, sampling) => {
      const incoming = parseTracestate(members.map(([name, value]) => `${name}=${value}`).join(","))
      const edited = editTracestate(incoming, sampling)
      assert.strictEqual(parseTracestate(edited), edited)
      assert.isAtMost(edited.length, 512)
      if (sampling !== "") assert.isTrue(edited.startsWith(`ot=${sampling}`))
    }))
  })
})
