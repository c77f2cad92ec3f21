// A program under dd-trace, for tests: says what its propagator writes, reads what is given, and sends a tree of spans to the agent of DD_TRACE_AGENT_URL.
const { createRequire } = require("node:module")
const path = require("node:path")
const outside = createRequire(path.join(process.env.OUTSIDE_MODULES, "package.json"))
const tracer = outside("dd-trace").init({ flushInterval: 100, startupLogs: false, plugins: false, sampleRate: undefined })

const out = {}
const root = tracer.startSpan("http.server.request", {
  tags: { "span.kind": "server", "span.type": "web", "resource.name": "GET /orders/{id}", "http.method": "GET", "http.status_code": 500, "http.url": "https://shop/orders/7", count: 3.5, zero: 0 }
})
const child = tracer.startSpan("postgresql.query", { childOf: root, tags: { "span.kind": "client", "span.type": "sql", "resource.name": "SELECT orders", "db.system.name": "postgresql" } })
child.addLink({ context: root.context(), attributes: { reason: "retry" } })
child.addEvent("halfway", { step: "two" }, 1_700_000_000_123)
child.finish()
const failing = tracer.startSpan("internal", { childOf: root, tags: { "span.kind": "internal", "resource.name": "pay" } })
failing.setTag("error.type", "PaymentFailed")
failing.setTag("error.message", "no funds")
failing.setTag("error.stack", "PaymentFailed: no funds\n    at pay")
failing.finish()
root.finish()

const carrier = {}
tracer.inject(root, "http_headers", carrier)
out.injected = carrier
out.traceId = root.context().toTraceId(true)
out.spanId = root.context().toSpanId(true)
out.extracted = JSON.parse(process.env.CARRIERS ?? "[]").map((given) => {
  const context = tracer.extract("http_headers", given)
  if (context === null) return null
  return {
    traceId: context.toTraceId(true), spanId: context.toSpanId(true), priority: context._sampling.priority ?? null, origin: context._trace.origin ?? null,
    tags: Object.fromEntries(Object.entries(context._trace.tags).filter(([key]) => key.startsWith("_dd.p.") && key !== "_dd.p.tid"))
  }
})
process.stdout.write(JSON.stringify(out))
setTimeout(() => process.exit(0), 1500)
