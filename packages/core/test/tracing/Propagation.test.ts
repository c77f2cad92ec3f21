import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Propagation from "../../src/tracing/Propagation.ts"

const trace = "12345678901234567890123456789012"
const span = "1234567890123456"
const valid = `00-${trace}-${span}-01`

// The traceparent cases of the W3C test suite (w3c/trace-context, test/test.py), by the names it gives them.
const accepted: Record<string, readonly [header: string, sampled: boolean, random?: { readonly random: true }]> = {
  both_traceparent_and_flags: [valid, true],
  not_sampled: [`00-${trace}-${span}-00`, false],
  trace_flags_unknown_bits: [`00-${trace}-${span}-ff`, true, { random: true }],
  trace_flags_only_unknown_bits: [`00-${trace}-${span}-fe`, false, { random: true }],
  version_cc: [`cc-${trace}-${span}-01`, true],
  version_cc_with_more: [`cc-${trace}-${span}-01-what-the-future-will-be-like`, true],
  version_01_not_sampled: [`01-${trace}-${span}-00-`, false],
  ows_space_before: [` ${valid}`, true],
  ows_tab_and_space_around: [`\t ${valid} \t`, true]
}
const refused: Record<string, unknown> = {
  version_0xff: `ff-${trace}-${span}-01`,
  version_00_with_more: `${valid}-what-the-future-will-be-like`,
  version_00_trailing_dash: `${valid}-`,
  version_cc_dot: `cc-${trace}-${span}-01.what-the-future-will-not-be-like`,
  version_illegal_characters: `.0-${trace}-${span}-01`,
  version_illegal_characters_2: `0.-${trace}-${span}-01`,
  version_too_long: `000-${trace}-${span}-01`,
  version_too_short: `0-${trace}-${span}-01`,
  version_uppercase: `CC-${trace}-${span}-01`,
  trace_id_all_zero: `00-${"0".repeat(32)}-${span}-01`,
  trace_id_illegal_characters: `00-.${trace.slice(1)}-${span}-01`,
  trace_id_too_long: `00-${trace}1-${span}-01`,
  trace_id_too_short: `00-${trace.slice(1)}-${span}-01`,
  trace_id_uppercase: `00-ABCDEF78901234567890123456789012-${span}-01`,
  parent_id_all_zero: `00-${trace}-${"0".repeat(16)}-01`,
  parent_id_illegal_characters: `00-${trace}-.${span.slice(1)}-01`,
  parent_id_too_long: `00-${trace}-${span}1-01`,
  parent_id_too_short: `00-${trace}-${span.slice(1)}-01`,
  trace_flags_illegal_characters: `00-${trace}-${span}-.0`,
  trace_flags_too_long: `00-${trace}-${span}-001`,
  trace_flags_too_short: `00-${trace}-${span}-1`,
  repeated_header_joined: `${valid}, ${valid}`,
  nul: `${valid.slice(0, -1)}\0`,
  newline: `${valid}\n`,
  non_ascii: `00-${trace.slice(1)}é-${span}-01`,
  wide_digits: `00-${"１".repeat(32)}-${span}-01`,
  one_megabyte: `cc-${trace}-${span}-01-${"x".repeat(1 << 20)}`,
  empty: "",
  missing: undefined,
  array: [valid],
  number: 7
}

describe("traceparent", () => {
  for (const [name, [header, sampled, random]] of Object.entries(accepted)) {
    it(`accepts ${name}`, () => {
      assert.deepStrictEqual(Propagation.parseTraceparent(header), { traceId: trace, spanId: span, sampled, ...random })
    })
  }
  for (const [name, header] of Object.entries(refused)) {
    it(`refuses ${name}`, () => assert.isUndefined(Propagation.parseTraceparent(header)))
  }

  it("comes back as it was written", () => {
    for (const sampled of [true, false]) {
      const context = { traceId: trace, spanId: span, sampled }
      assert.deepStrictEqual(Propagation.parseTraceparent(Propagation.formatTraceparent(context)), context)
    }
  })
})

describe("tracestate", () => {
  const cases: Record<string, readonly [input: unknown, kept: string]> = {
    one: ["foo=1", "foo=1"],
    multi_tenant: ["fw529a3039@dt=FfffI1vIIw,2a@v=1", "fw529a3039@dt=FfffI1vIIw,2a@v=1"],
    blanks_and_empty_members: [" foo=1 \t,, bar=2,", "foo=1,bar=2"],
    value_with_spaces: ["foo=a b", "foo=a b"],
    duplicate_keys: ["foo=1,foo=2,bar=3", "foo=1,bar=3"],
    equals_in_value: ["foo=1=2", ""],
    no_equals: ["foo", ""],
    empty_value: ["foo=", ""],
    upper_case_key: ["Foo=1", ""],
    control_character: ["foo=a\u0007b", ""],
    line_break: ["foo=1\r\nSet-Cookie: a=b", ""],
    not_a_string: [["foo=1"], ""],
    members_32: [Array.from({ length: 32 }, (_, i) => `k${i}=1`).join(), Array.from({ length: 32 }, (_, i) => `k${i}=1`).join()],
    members_33: [Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(), ""],
    one_megabyte: [`a=${"x".repeat(1 << 20)}`, ""],
    long_member_first: [`a=${"x".repeat(250)},b=2,c=${"y".repeat(250)},d=4,e=${"z".repeat(60)}`, `b=2,d=4,e=${"z".repeat(60)}`]
  }
  for (const [name, [input, kept]] of Object.entries(cases)) {
    it(name, () => assert.strictEqual(Propagation.parseTracestate(input), kept))
  }

  it("is cut from its end when many short members pass 512 characters", () => {
    const members = Array.from({ length: 6 }, (_, i) => `k${i}=${"x".repeat(97)}`)
    assert.strictEqual(Propagation.parseTracestate(members.join()), members.slice(0, 5).join())
  })
})

describe("extract", () => {
  it("finds the keys in any case and keeps tracestate", () => {
    for (const key of ["traceparent", "Traceparent", "TRACEPARENT", "traceParent"]) {
      const found = Propagation.extract({ [key]: valid, TraceState: "foo=1" })
      assert.strictEqual(found?.traceId, trace)
      assert.strictEqual(found?.spanId, span)
      assert.isTrue(found?.sampled)
      assert.strictEqual(Context.get(found!.annotations, Propagation.TraceState), "foo=1")
    }
  })

  it("takes nothing from a carrier that names it twice, has no strings, or throws", () => {
    const throwing = Object.defineProperty({}, "traceparent", { enumerable: true, get: () => { throw new Error("no") } })
    const proxy = new Proxy({}, { ownKeys: () => { throw new Error("no") } })
    const carriers: ReadonlyArray<unknown> = [
      { traceparent: valid, Traceparent: valid },
      { traceparent: [valid, valid] },
      { traceparent: [valid, 1] },
      { traceparent: 1 },
      {},
      null,
      undefined,
      "traceparent",
      throwing,
      proxy
    ]
    for (const carrier of carriers) assert.isUndefined(Propagation.extract(carrier))
  })

  it("does not read a prototype", () => {
    assert.isUndefined(Propagation.extract(Object.create({ traceparent: valid })))
  })
})

describe("inject", () => {
  const context = { traceId: trace, spanId: span, sampled: true }

  it("writes the header form", () => {
    const carrier: Record<string, string> = { other: "kept" }
    Propagation.inject(carrier, context, "foo=1")
    assert.deepStrictEqual(carrier, { other: "kept", traceparent: valid, tracestate: "foo=1" })
  })

  it("survives a carrier that takes nothing", () => {
    const setter = Object.defineProperty({}, "traceparent", { set: () => { throw new Error("no") } })
    const proxy = new Proxy({}, { set: () => { throw new Error("no") } })
    for (const carrier of [Object.freeze({}), setter, proxy]) Propagation.inject(carrier, context, "")
    assert.deepStrictEqual(Object.keys(Object.freeze({})), [])
  })
})
