import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Baggage from "../../src/propagation/Baggage.ts"
import * as Propagator from "../../src/propagation/Propagator.ts"
import * as Targets from "../../src/propagation/Targets.ts"
import * as Tracestate from "../../src/propagation/Tracestate.ts"
import { toEnvironment, TraceState } from "../../src/tracing/Propagation.ts"
import * as Tracer from "../../src/tracing/Tracer.ts"
import { recording } from "../tracing/support.ts"

const trace = "0af7651916cd43dd8448eb211c80319c"
const span = "b7ad6b7169203331"
const outgoing: Propagator.Outgoing = {
  span: { traceId: trace, spanId: span, sampled: true, traceState: "foo=1" },
  baggage: Baggage.edit(Baggage.empty, { tenant: "a b" })
}
const nothing: Propagator.Outgoing = { span: undefined, baggage: Baggage.empty }
const all = Propagator.composite([Propagator.w3c, Propagator.baggage, Propagator.b3, Propagator.b3multi])
const written = {
  traceparent: `00-${trace}-${span}-01`,
  tracestate: "foo=1",
  baggage: "tenant=a%20b",
  b3: `${trace}-${span}-1`,
  "x-b3-traceid": trace,
  "x-b3-spanid": span,
  "x-b3-sampled": "1"
}
const idsOf = ({ span }: Propagator.Incoming) => span === undefined ? undefined : [span.traceId, span.spanId, span.sampled]

describe("several formats", () => {
  it("are written at once, and nothing where there is nothing", () => {
    const carrier: Record<string, string> = {}
    all.inject(carrier, nothing)
    assert.deepStrictEqual(carrier, {})
    all.inject(carrier, outgoing)
    assert.deepStrictEqual(carrier, written)
    assert.deepStrictEqual(all.fields, Object.keys(written))
  })

  it("are read in their order: the first that finds a span counts", () => {
    const other = "1".repeat(32)
    const carrier = { b3: `${other}-${span}-0`, traceparent: written.traceparent, baggage: "a=1" }
    assert.deepStrictEqual(idsOf(all.extract(carrier)), [trace, span, true])
    assert.deepStrictEqual(idsOf(Propagator.named(["b3", "tracecontext"]).extract(carrier)), [other, span, false])
    assert.strictEqual(all.extract({ ...carrier, traceparent: "00" }).span?.traceId, other)
    assert.strictEqual(all.extract(carrier).baggage.get("a")?.value, "1")
    // B3 is understood though it is not spoken; with no format at all nothing is.
    assert.strictEqual(Propagator.named(["tracecontext"]).extract({ b3: carrier.b3 }).span?.traceId, other)
    assert.isUndefined(Propagator.named([]).extract(carrier).span)
    const silent: Record<string, string> = {}
    Propagator.named([]).inject(silent, outgoing)
    assert.deepStrictEqual(silent, {})
  })

  it("come on carriers of all sorts", () => {
    const header = written.traceparent
    const bytes = new TextEncoder().encode(header)
    const map = new Map<string, unknown>()
    all.inject(map as Map<string, string>, outgoing)
    const headers = new Headers()
    all.inject(headers, outgoing)
    const carriers: ReadonlyArray<unknown> = [
      written, map, headers, { TRACEPARENT: header, TRACESTATE: "foo=1", BAGGAGE: "tenant=a%20b" }, { traceParent: [header], tracestate: ["foo=1"], Baggage: ["tenant=a%20b"] },
      { traceparent: bytes, tracestate: new TextEncoder().encode("foo=1"), baggage: "tenant=a%20b" }, new Map([["Traceparent", header], ["Tracestate", "foo=1"], ["Baggage", "tenant=a%20b"]])
    ]
    for (const carrier of carriers) {
      const found = all.extract(carrier)
      assert.deepStrictEqual(idsOf(found), [trace, span, true])
      assert.strictEqual(Context.get(found.span!.annotations, TraceState), "foo=1")
      assert.strictEqual(found.baggage.get("tenant")?.value, "a b")
    }
    const environment = toEnvironment(written)
    assert.deepStrictEqual(Object.keys(environment), ["TRACEPARENT", "TRACESTATE", "BAGGAGE", "B3", "X_B3_TRACEID", "X_B3_SPANID", "X_B3_SAMPLED"])
    assert.deepStrictEqual(idsOf(all.extract(environment)), [trace, span, true])
    const lists = all.extract({ traceparent: header, tracestate: ["a=1", "b=2"], baggage: ["a=1", "b=2"] })
    assert.strictEqual(Context.get(lists.span!.annotations, TraceState), "a=1,b=2")
    assert.strictEqual(lists.baggage.size, 2)
    assert.strictEqual(all.extract({ X_B3_TRACEID: trace, X_B3_SPANID: span }).span?.traceId, trace)
  })

  it("take nothing from hostile carriers, and never throw", () => {
    const refuse = (): never => {
      throw new Error("no")
    }
    const carriers: ReadonlyArray<unknown> = [
      null, undefined, 7, "traceparent", [], () => 1, new Proxy({}, { ownKeys: refuse, get: refuse, has: refuse }), { get: refuse, set: refuse },
      { traceparent: [written.traceparent, written.traceparent] }, { traceparent: "x".repeat(1e6), baggage: "x".repeat(1e6), b3: "x".repeat(1e6), tracestate: "x".repeat(1e6) },
      { traceparent: Array(1e5).fill("a") }, { traceparent: new Uint8Array(1e6) }, { b3: "0", "x-b3-traceid": "zz", "x-b3-spanid": span },
      { b3: `${"0".repeat(32)}-${span}-1` }, { b3: `${trace}-${span}-1\r\nx: y` }, { "x-b3-traceid": trace }, { "x-b3-traceid": `${trace}\n`, "x-b3-spanid": span }
    ]
    for (const carrier of carriers) assert.deepStrictEqual(all.extract(carrier), { span: undefined, baggage: Baggage.empty })
    for (const carrier of [Object.freeze({}), { get: refuse, set: refuse }, new Proxy({}, { set: refuse, has: refuse, get: refuse })]) all.inject(carrier as never, outgoing)
  })
})

describe("B3", () => {
  it("has ids of 64 bits, a debug flag and an open decision", () => {
    const short = trace.slice(16)
    const cases: ReadonlyArray<readonly [carrier: object, expected: unknown]> = [
      [{ b3: `${short}-${span}` }, [`${"0".repeat(16)}${short}`, span, true]],
      [{ b3: `${trace}-${span}-d-${"1".repeat(16)}` }, [trace, span, true]],
      [{ b3: `${trace.toUpperCase()}-${span}-0` }, [trace, span, false]],
      [{ "X-B3-TraceId": short, "X-B3-SpanId": span, "X-B3-Sampled": "0" }, [`${"0".repeat(16)}${short}`, span, false]],
      [{ "x-b3-traceid": trace, "x-b3-spanid": span, "x-b3-sampled": "0", "x-b3-flags": "1" }, [trace, span, true]],
      [{ "x-b3-traceid": trace, "x-b3-spanid": span, "x-b3-sampled": "false" }, [trace, span, false]],
      [{ b3: "0" }, undefined], [{ b3: "1" }, undefined], [{ b3: `${trace}-${span}-2` }, undefined], [{ b3: `${trace}${span}` }, undefined]
    ]
    for (const [carrier, expected] of cases) assert.deepStrictEqual(idsOf(all.extract(carrier)), expected)
  })
})

describe("Datadog's headers", () => {
  const upper = trace.slice(0, 16)
  const low = BigInt(`0x${trace.slice(16)}`).toString()
  const id = BigInt(`0x${span}`).toString()
  const short = `${"0".repeat(16)}${trace.slice(16)}`
  const headers = (more: Record<string, unknown> = {}) => ({ "x-datadog-trace-id": low, "x-datadog-parent-id": id, ...more })
  const stateOf = (carrier: object) => Context.get(Propagator.datadog.extract(carrier).span!.annotations, TraceState)

  it("have decimal ids of 64 bits, and the rest of a trace's id as a tag", () => {
    const carrier: Record<string, string> = {}
    Propagator.datadog.inject(carrier, outgoing)
    assert.deepStrictEqual(carrier, { "x-datadog-trace-id": low, "x-datadog-parent-id": id, "x-datadog-sampling-priority": "1", "x-datadog-tags": `_dd.p.tid=${upper}` })
    assert.deepStrictEqual(idsOf(Propagator.datadog.extract(carrier)), [trace, span, true])
    const brief: Record<string, string> = {}
    Propagator.datadog.inject(brief, { ...outgoing, span: { ...outgoing.span!, traceId: short, sampled: false } })
    assert.deepStrictEqual(brief, { "x-datadog-trace-id": low, "x-datadog-parent-id": id, "x-datadog-sampling-priority": "0" })
    assert.isUndefined(Propagator.named(["tracecontext"]).extract(carrier).span)
    assert.strictEqual(Propagator.named(["datadog"]).extract(carrier).span?.traceId, trace)
  })

  it("are read by the rules of Datadog's tracers", () => {
    const cases: ReadonlyArray<readonly [carrier: object, expected: unknown]> = [
      [headers(), [short, span, true]],
      [{ "X-Datadog-Trace-Id": "18446744073709551615", "X-DATADOG-PARENT-ID": "1" }, [`${"0".repeat(16)}${"f".repeat(16)}`, "0000000000000001", true]],
      [headers({ "x-datadog-sampling-priority": "0" }), [short, span, false]], [headers({ "x-datadog-sampling-priority": "-1" }), [short, span, false]], [headers({ "x-datadog-sampling-priority": "2" }), [short, span, true]],
      [headers({ "x-datadog-sampling-priority": "x" }), [short, span, true]], [headers({ "x-datadog-tags": `_dd.p.dm=-4,_dd.p.tid=${upper}` }), [trace, span, true]],
      // A wrong upper half is left out alone, a wrong tag takes all tags with it.
      [headers({ "x-datadog-tags": "_dd.p.tid=xyz" }), [short, span, true]], [headers({ "x-datadog-tags": `other=1,_dd.p.tid=${upper}` }), [short, span, true]],
      [headers({ "x-datadog-tags": `_dd.p.a=${"x".repeat(512)},_dd.p.tid=${upper}` }), [short, span, true]],
      [headers({ "x-datadog-trace-id": "0" }), undefined], [headers({ "x-datadog-parent-id": "0" }), undefined], [headers({ "x-datadog-trace-id": "18446744073709551616" }), undefined],
      [headers({ "x-datadog-trace-id": "-1" }), undefined], [headers({ "x-datadog-trace-id": "1e5" }), undefined], [headers({ "x-datadog-trace-id": "abc" }), undefined], [headers({ "x-datadog-trace-id": ["1", "2"] }), undefined],
      [{ "x-datadog-trace-id": low }, undefined], [{ "x-datadog-parent-id": id }, undefined], [headers({ "x-datadog-trace-id": "9".repeat(1e6) }), undefined]
    ]
    for (const [carrier, expected] of cases) assert.deepStrictEqual(idsOf(Propagator.datadog.extract(carrier)), expected, JSON.stringify(carrier).slice(0, 200))
    assert.strictEqual(Propagator.datadog.extract({ X_DATADOG_TRACE_ID: low, X_DATADOG_PARENT_ID: id }).span?.spanId, span)
  })

  it("what they say beyond ids goes on in either format", () => {
    const carrier = headers({ "x-datadog-sampling-priority": "2", "x-datadog-origin": "rum;a=b", "x-datadog-tags": `_dd.p.dm=-4,_dd.p.usr.id=YQ==,_dd.p.tid=${upper}` })
    assert.strictEqual(stateOf(carrier), "dd=s:2;o:rum_a~b;t.dm:-4;t.usr.id:YQ~~")
    const again: Record<string, string> = {}
    Propagator.datadog.inject(again, { ...outgoing, span: { ...outgoing.span!, traceState: stateOf(carrier) } })
    assert.deepStrictEqual(again, {
      "x-datadog-trace-id": low, "x-datadog-parent-id": id, "x-datadog-sampling-priority": "2", "x-datadog-origin": "rum_a=b", "x-datadog-tags": `_dd.p.tid=${upper},_dd.p.dm=-4,_dd.p.usr.id=YQ==`
    })
    // What was decided here stands above what was said before.
    const dropped: Record<string, string> = {}
    Propagator.datadog.inject(dropped, { ...outgoing, span: { ...outgoing.span!, sampled: false, traceState: "dd=s:2" } })
    assert.strictEqual(dropped["x-datadog-sampling-priority"], "0")
    for (const evil of ["a\r\nx: y", "\u0000", "请求"]) {
      assert.match(stateOf(headers({ "x-datadog-origin": evil })), /^dd=o:[\x20-\x7e]+$/)
    }
    const state = stateOf(headers({ "x-datadog-tags": Array.from({ length: 40 }, (_, i) => `_dd.p.k${i}=${"v".repeat(5)}`).join(",") }))
    assert.isTrue(state.length <= 512)
  })
})

describe("tracestate", () => {
  it("is edited by rule: what changed comes first, the rest keeps its order", () => {
    assert.strictEqual(Tracestate.set("a=1,b=2", "c", "3"), "c=3,a=1,b=2")
    assert.strictEqual(Tracestate.set("a=1,b=2", "b", "3"), "b=3,a=1")
    assert.strictEqual(Tracestate.set("", "a", "1"), "a=1")
    assert.strictEqual(Tracestate.get("a=1,ab=2", "ab"), "2")
    assert.isUndefined(Tracestate.get("a=1,ab=2", "b"))
    assert.strictEqual(Tracestate.remove("a=1,b=2,c=3", "b"), "a=1,c=3")
    const full = Array.from({ length: 32 }, (_, i) => `k${i}=${i}`).join(",")
    assert.strictEqual(Tracestate.set(full, "new", "1"), `new=1,${full.slice(0, full.lastIndexOf(","))}`)
    for (const [name, value] of [["A", "1"], ["a,b", "1"], ["", "1"], ["a", ""], ["a", "1,b=2"], ["a", "x=y"], ["a", "x "], ["a", "\r\nx: y"], ["a".repeat(257), "1"], ["a", "x".repeat(257)]] as const) {
      assert.strictEqual(Tracestate.set("k=v", name, value), "k=v")
    }
  })
})

describe("targets", () => {
  const matches = (patterns: ReadonlyArray<string>, url: string) => Targets.compile(patterns)(new URL(url))

  it("are everybody, hosts, ports, domains and origins", () => {
    const cases: ReadonlyArray<readonly [pattern: string, yes: ReadonlyArray<string>, no: ReadonlyArray<string>]> = [
      ["*", ["https://example.org/x", "http://[::1]:80/"], []],
      ["api.example.org", ["https://api.example.org/x", "http://API.example.org:8080/", "https://api.example.org./"], ["https://example.org", "https://api.example.org.evil.com", "https://xapi.example.org"]],
      ["api.example.org:8443", ["https://api.example.org:8443/"], ["https://api.example.org/"]],
      ["*.example.org", ["https://a.example.org", "https://a.b.example.org"], ["https://example.org", "https://aexample.org", "https://example.org.evil.com"]],
      ["https://api.example.org", ["https://api.example.org/x", "https://api.example.org:443/"], ["http://api.example.org/", "https://api.example.org:8443/"]],
      ["[::1]:9000", ["http://[::1]:9000/"], ["http://[::1]:9001/", "http://127.0.0.1:9000/"]],
      ["bücher.example", ["https://xn--bcher-kva.example/"], ["https://bucher.example/"]],
      ["internal", [
        "http://localhost:3000/", "http://orders/", "http://orders.shop.svc.cluster.local/", "http://db.internal", "http://10.1.2.3/", "http://172.31.0.1/", "http://192.168.0.1/",
        "http://127.0.0.1/", "http://[::1]/", "http://[fd00::1]/", "http://2130706433/"
      ], ["https://example.org", "http://172.32.0.1/", "http://169.254.169.254/", "http://8.8.8.8/", "http://[2001:db8::1]/", "http://localhost.evil.com/", "http://10.evil.com/", "http://user@example.org/"]]
    ]
    for (const [pattern, yes, no] of cases) {
      assert.isUndefined(Targets.targetProblem(pattern), pattern)
      for (const url of yes) assert.isTrue(matches([pattern], url), `${pattern} ${url}`)
      for (const url of no) assert.isFalse(matches([pattern], url), `${pattern} ${url}`)
    }
    assert.isFalse(matches([], "http://localhost/"))
    assert.isTrue(matches(["a", "b"], "http://b/"))
  })

  it("that are none are refused with a reason", () => {
    for (const pattern of ["", " ", "a b", "*.*", "*example.org", "a.*.b", "http://", "https://example.org/path", "example.org/", "https://u:p@example.org", "*.https://x", "https://*.example.org"]) {
      assert.isString(Targets.targetProblem(pattern), pattern)
    }
  })
})

describe("the Tracer service", () => {
  const rules = { propagator: all, sentTo: (url: URL) => url.hostname === "friend" ? "all" as const : url.hostname === "stranger" ? "trace" as const : "nothing" as const }
  const service = Tracer.make({ flush: Effect.void, rules: () => rules })

  it.effect("writes what the target may receive", () =>
    Effect.gen(function*() {
      const { provide } = recording()
      const sent = (target?: URL) =>
        Effect.suspend(() => {
          const carrier: Record<string, string> = {}
          return Effect.as(service.injectContext(carrier, target), carrier)
        })
      const [free, friend, stranger, enemy] = yield* Effect.all([
        sent(), sent(new URL("http://friend/")), sent(new URL("http://stranger/")), sent(new URL("http://enemy/"))
      ]).pipe(Baggage.with({ a: "1" }), service.withSpan("op"), provide)
      assert.strictEqual(free["baggage"], "a=1")
      assert.deepStrictEqual(Object.keys(friend), ["traceparent", "baggage", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"])
      assert.deepStrictEqual(Object.keys(stranger), ["traceparent", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"])
      assert.deepStrictEqual(enemy, {})
    }))

  it.effect("continues what a message or the environment of a process brought", () =>
    Effect.gen(function*() {
      const { named, provide } = recording()
      const found = yield* Baggage.get("tenant").pipe(
        service.withSpan("job"),
        service.continueFrom({ TRACEPARENT: written.traceparent, BAGGAGE: "tenant=a" }),
        provide
      )
      assert.strictEqual(found, "a")
      assert.strictEqual(named("job").traceId, trace)
      assert.strictEqual(named("job").parentSpanId, span)
      assert.deepStrictEqual(yield* service.currentContext.pipe(service.continueFrom({})), Option.none())
    }))
})
