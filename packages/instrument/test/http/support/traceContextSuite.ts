import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Lines } from "./echo.ts"

// The recommendation's own conformance tests (w3c/trace-context, test/test.py), by their descriptions: a harness sends headers to a service
// over a socket, and looks at the headers with which the service calls back.

const trace = "12345678901234567890123456789012"
const parent = "1234567890123456"
const header = `00-${trace}-${parent}-01`
const unsampled = `00-${trace}-${parent}-00`

/** What a service did when it was sent header lines. */
export interface Called {
  /** Its response, as it came over the wire. */
  readonly answer: string
  /** The header lines of every call it made meanwhile. */
  readonly seen: ReadonlyArray<Lines>
}

/** Sends a request with exactly these header lines to a service that calls back `times` times before it answers. */
export type Harness = (lines: Lines, times: number) => Effect.Effect<Called, unknown>

const valuesOf = (lines: Lines, name: string): ReadonlyArray<string> => lines.filter(([key]) => key === name).map(([, value]) => value)

type Case = readonly [lines: Lines, state?: string]
const p = (value: string): Lines => [["traceparent", value]]
const s = (...values: ReadonlyArray<string>): Lines => [["traceparent", unsampled], ...values.map((value) => ["tracestate", value] as const)]

/** Members of 20 characters. */
const many = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, i) => `m${String(i).padStart(2, "0")}=${"y".repeat(16)}`)

/** The same trace goes on; with the `tracestate` given, none if none is. */
const continued: Readonly<Record<string, ReadonlyArray<Case>>> = {
  "traceparent included, tracestate missing": [[p(header)]],
  "traceparent header name in any case": [[[["TraceParent", header]]], [[["TrAcEpArEnT", header]]], [[["TRACEPARENT", header]]]],
  "future version 0xcc, longer or not": [[p(`cc-${trace}-${parent}-01`)], [p(`cc-${trace}-${parent}-01-what-the-future-will-be-like`)]],
  "blanks around traceparent": [[p(` ${header}`)], [p(`\t${header}`)], [p(`${header} `)], [p(`${header}\t`)], [p(`\t ${header} \t`)]],
  "both included": [[s("foo=1,bar=2"), "foo=1,bar=2"]],
  "tracestate under wrong names is discarded": [
    [[["traceparent", unsampled], ["trace-state", "foo=1"]]],
    [[["traceparent", unsampled], ["trace.state", "foo=1"]]]
  ],
  "tracestate header name in any case": ["TraceState", "TrAcEsTaTe", "TRACESTATE"].map((name): Case => [[["traceparent", unsampled], [name, "foo=1"]], "foo=1"]),
  "empty tracestate headers": [[s("")], [s("foo=1", ""), "foo=1"], [s("", "foo=1"), "foo=1"]],
  "several tracestate headers keep their order": [[s("foo=1,bar=2", "rojo=1,congo=2", "baz=3"), "foo=1,bar=2,rojo=1,congo=2,baz=3"]],
  "duplicated keys": [[s("foo=1,foo=1"), "foo=1"], [s("foo=1,foo=2"), "foo=1"], [s("foo=1", "foo=1"), "foo=1"], [s("foo=1", "foo=2"), "foo=1"]],
  "all allowed characters": ["abcdefghijklmnopqrstuvwxyz0123456789_-*/", "abcdefghijklmnopqrstuvwxyz0123456789_-*/@a-z0-9_-*/"].map((key): Case => {
    const value = Array.from({ length: 0x7f - 0x20 }, (_, i) => String.fromCharCode(0x20 + i)).filter((c) => c !== "," && c !== "=").join("")
    return [s(`${key}=${value}`), `${key}=${value}`]
  }),
  "blanks in tracestate": [
    [s("foo=1 \t , \t bar=2, \t baz=3"), "foo=1,bar=2,baz=3"],
    [s("foo=1\t \t,\t \tbar=2,\t \tbaz=3"), "foo=1,bar=2,baz=3"],
    ...[" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t"].map((value): Case => [s(value), "foo=1"])
  ],
  "illegal keys discard tracestate": [[s("foo =1")], [s("FOO=1")], [s("foo.bar=1")], [s("@foo=1,bar=2")]],
  "at signs in keys": [[s("foo@=1,bar=2"), "foo@=1,bar=2"], [s("foo@@bar=1,bar=2"), "foo@@bar=1,bar=2"], [s("foo@bar@baz=1,bar=2"), "foo@bar@baz=1,bar=2"]],
  "32 members are kept, 33 are not": [32, 33].map((count): Case => {
    const members = Array.from({ length: count }, (_, i) => `bar${String(i + 1).padStart(2, "0")}=${String(i + 1).padStart(2, "0")}`)
    return [s(members.slice(0, 10).join(","), members.slice(10, 20).join(","), members.slice(20).join(",")), ...(count === 32 ? [members.join(",")] : [])] as unknown as Case
  }),
  "keys of 256 characters, not of 257": [
    [s("foo=1", `${"z".repeat(256)}=1`), `foo=1,${"z".repeat(256)}=1`],
    [s("foo=1", `${"z".repeat(257)}=1`)],
    [s("foo=1", `${"t".repeat(241)}@${"v".repeat(14)}=1`), `foo=1,${"t".repeat(241)}@${"v".repeat(14)}=1`],
    [s("foo=1", `${"t".repeat(242)}@v=1`), `foo=1,${"t".repeat(242)}@v=1`],
    [s("foo=1", `t@${"v".repeat(15)}=1`), `foo=1,t@${"v".repeat(15)}=1`]
  ],
  "illegal values discard tracestate": [[s("foo=bar=baz")], [s("foo=,bar=3")]],
  "an oversized tracestate loses its long members first, then its last ones": [
    // 4 + 24 × 21 characters are 508: the 25th member no longer fits into 512.
    [s(`a=1,long=${"x".repeat(200)}`, many(26).join(",")), ["a=1", ...many(24)].join(",")],
    [s(`a=${"x".repeat(9000)}`)]
  ]
}

/** A new trace begins. */
const anew: Readonly<Record<string, ReadonlyArray<Lines>>> = {
  "both missing": [[]],
  "traceparent duplicated": [[["traceparent", `00-${trace.slice(0, -1)}1-${parent}-01`], ["traceparent", header]]],
  "traceparent under wrong names": [[["trace-parent", header]], [["trace.parent", header]]],
  "version 00 with more behind it": [p(`${header}.`), p(`${header}-what-the-future-will-be-like`)],
  "future version with a wrong separator": [p(`cc-${trace}-${parent}-01.what-the-future-will-be-like`)],
  "version 0xff": [p(`ff-${trace}-${parent}-01`)],
  "illegal characters in the version": [p(`.0-${trace}-${parent}-01`), p(`0.-${trace}-${parent}-01`)],
  "version too long or short": [p(`000-${trace}-${parent}-01`), p(`0000-${trace}-${parent}-01`), p(`0-${trace}-${parent}-01`)],
  "trace id all zero": [p(`00-${"0".repeat(32)}-${parent}-01`)],
  "trace id illegal": [p(`00-.${trace.slice(1)}-${parent}-01`), p(`00-${trace.slice(0, -1)}.-${parent}-01`), p(`00-${"ABCDEF12".repeat(4)}-${parent}-01`)],
  "trace id too long or short": [p(`00-${trace}3-${parent}-01`), p(`00-${trace.slice(0, -1)}-${parent}-01`)],
  "parent id all zero": [p(`00-${trace}-${"0".repeat(16)}-01`)],
  "parent id illegal": [p(`00-${trace}-.${parent.slice(1)}-01`), p(`00-${trace}-${parent.slice(0, -1)}.-01`)],
  "parent id too long or short": [p(`00-${trace}-${parent}7-01`), p(`00-${trace}-${parent.slice(0, -1)}-01`)],
  "flags illegal": [p(`00-${trace}-${parent}-.0`), p(`00-${trace}-${parent}-0.`)],
  "flags too long or short": [p(`00-${trace}-${parent}-001`), p(`00-${trace}-${parent}-1`)],
  "tracestate included, traceparent missing": [[["tracestate", "foo=1"]], [["tracestate", "foo=1,bar=2"]]],
  "oversized": [p(`cc-${trace}-${parent}-01-${"x".repeat(4000)}`)]
}

/** The cases, against any service that is called by a server of ours and calls by a client of ours. */
export const suite = (service: string, harness: Harness) => {
  /** What the harness is called back with, having sent these header lines. */
  const callback = (lines: Lines, times = 1) =>
    Effect.map(harness(lines, times), ({ answer, seen }) => {
      assert.match(answer, /^HTTP\/1.1 200 /)
      assert.match(answer, /\r\ntraceresponse: 00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]\r\n/i)
      assert.strictEqual(seen.length, times)
      return seen
    })

  const one = (lines: Lines) =>
    Effect.map(callback(lines), ([seen]) => {
      const parents = valuesOf(seen!, "traceparent")
      assert.strictEqual(parents.length, 1)
      const found = /^00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])$/.exec(parents[0]!)
      assert.isNotNull(found, parents[0])
      assert.notStrictEqual(found![1], "0".repeat(32))
      assert.notStrictEqual(found![2], parent)
      const states = valuesOf(seen!, "tracestate")
      assert.isAtMost(states.length, 1)
      return { traceId: found![1]!, state: states[0] ?? "" }
    })

  describe(`W3C trace context through ${service}`, () => {
    for (const [name, cases] of Object.entries(continued)) {
      it.live(`continues the trace: ${name}`, () =>
        Effect.forEach(cases, ([lines, state = ""]) =>
          Effect.map(one(lines), (found) => assert.deepStrictEqual(found, { traceId: trace, state })), { discard: true }))
    }

    for (const [name, cases] of Object.entries(anew)) {
      it.live(`begins a trace: ${name}`, () =>
        Effect.forEach(cases, (lines) =>
          Effect.map(one(lines), ({ state, traceId }) => {
            assert.notInclude(traceId, trace.slice(1, -1))
            assert.strictEqual(state, "")
          }), { discard: true }))
    }

    it.live("passes the random flag of level 2 on, and no other that is unknown", () =>
      Effect.gen(function*() {
        for (const [sent, received] of [["02", "02"], ["03", "03"], ["ff", "03"], ["fc", "00"], ["01", "01"]]) {
          const [seen] = yield* callback(p(`00-${trace}-${parent}-${sent}`))
          assert.strictEqual(valuesOf(seen!, "traceparent")[0]!.slice(-2), received)
        }
      }))

    it.live("several calls are one trace with a parent each", () =>
      Effect.gen(function*() {
        for (const lines of [p(header), [], p(`00-${"0".repeat(32)}-${parent}-01`)]) {
          const parents = (yield* callback(lines, 3)).map((seen) => valuesOf(seen, "traceparent")[0]!.split("-"))
          assert.strictEqual(new Set(parents.map(([, traceId]) => traceId)).size, 1)
          assert.strictEqual(new Set(parents.map(([, , spanId]) => spanId)).size, 3)
          assert.notStrictEqual(parents[0]![1], "0".repeat(32))
        }
      }))
  })
}
