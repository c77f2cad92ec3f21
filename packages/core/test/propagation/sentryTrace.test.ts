import { Baggage, Propagator } from "@effect-observability/core"
import { assert, describe, it } from "vitest"

const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
const span = "00f067aa0ba902b7"

describe("sentry-trace", () => {
  it("is written as Sentry's SDKs read it", () => {
    for (const [sampled, flag] of [[true, "1"], [false, "0"]] as const) {
      const carrier: Record<string, string> = {}
      Propagator.sentry.inject(carrier, { span: { traceId: trace, spanId: span, sampled, traceState: "" }, baggage: Baggage.empty })
      assert.deepStrictEqual(carrier, { "sentry-trace": `${trace}-${span}-${flag}` })
    }
    const nothing: Record<string, string> = {}
    Propagator.sentry.inject(nothing, { span: undefined, baggage: Baggage.empty })
    assert.deepStrictEqual(nothing, {})
  })

  it("is read with and without a decision", () => {
    for (const [text, sampled] of [[`${trace}-${span}-1`, true], [`${trace}-${span}-0`, false], [`${trace}-${span}`, true], [` ${trace.toUpperCase()}-${span}-1 `, true]] as const) {
      const found = Propagator.sentry.extract({ "Sentry-Trace": text }).span
      assert.deepStrictEqual([found?.traceId, found?.spanId, found?.sampled], [trace, span, sampled], text)
    }
  })

  it("anything else is no trace", () => {
    for (const text of ["", "-", trace, `${trace}-${span}-2`, `${trace}-${span}-1-`, `${"0".repeat(32)}-${span}-1`, `${trace}-${"0".repeat(16)}-1`, `${trace}-${span}-1\r\nx: y`, "x".repeat(100_000)]) {
      assert.isUndefined(Propagator.sentry.extract({ "sentry-trace": text }).span, text.slice(0, 80))
    }
    assert.isUndefined(Propagator.sentry.extract({ "sentry-trace": [`${trace}-${span}-1`, `${trace}-${span}-1`] }).span)
  })
})
