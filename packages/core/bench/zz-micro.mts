import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Context from "effect/Context"
import * as OT from "../src/tracing/ObservabilityTracer.ts"
const mode = process.argv[2]
class Minimal {
  _tag = "Span"; traceId = "0"; spanId = "0"; sampled = true; name; parent; annotations; links; kind; status; a: any = undefined; e: any = undefined; sink
  constructor(o: any, sink: any) { this.name = o.name; this.parent = o.parent; this.annotations = o.annotations; this.links = o.links; this.kind = o.kind; this.status = { _tag: "Started", startTime: o.startTime }; this.sink = sink }
  end(endTime: bigint, exit: any) { this.status = { _tag: "Ended", startTime: this.status.startTime, endTime, exit } as any; this.sink.push(this) }
  attribute(k: string, v: unknown) { (this.a ??= new Map()).set(k, v) }
  event(n: string, t: bigint, a: any) { (this.e ??= []).push([n, t, a]) }
}
const sink: any[] = []
const tracer: any = mode === "min" ? { span: (o: any) => new Minimal(o, sink) } : OT.make({ active: () => true, sampleRate: () => 1, onEnd: (s) => { sink.push(s) } })
const ann = Context.empty()
const one = () => { const s = tracer.span({ name: "x", parent: Option.none(), annotations: ann, links: [], startTime: 5n, kind: "internal", root: false, sampled: true }); s.end(6n, Exit.void) }
const full = () => { const s = tracer.span({ name: "x", parent: Option.none(), annotations: ann, links: [], startTime: 5n, kind: "internal", root: false, sampled: true })
 s.attribute("http.request.method", "GET"); s.attribute("http.route", "/orders"); s.attribute("http.response.status_code", 200); s.attribute("user.tier", "gold"); s.attribute("retry", false); s.event("cache miss", 1n, { "cache.key": "orders" }); s.end(6n, Exit.void) }
for (const [name, f] of [["bare", one], ["full", full]] as const) {
  const rs: number[] = []
  for (let r = 0; r < 40; r++) { globalThis.gc?.(); const t = performance.now(); for (let i = 0; i < 20000; i++) { f(); if (sink.length === 2000) sink.length = 0 } rs.push((performance.now() - t) * 1e6 / 20000) }
  rs.sort((a, b) => a - b); console.log(mode, name, "min", rs[0]!.toFixed(0), "median", rs[20]!.toFixed(0))
}
