// The same spans with dd-trace. Arguments: port, traces of ten spans.
const { createRequire } = require("node:module")
const path = require("node:path")
const outside = createRequire(path.join(process.env.OUTSIDE_MODULES, "package.json"))
const [port, traces] = process.argv.slice(2).map(Number)
process.env.DD_TRACE_AGENT_URL = `http://127.0.0.1:${port}`
process.env.DD_INSTRUMENTATION_TELEMETRY_ENABLED = "false"
process.env.DD_REMOTE_CONFIGURATION_ENABLED = "false"
const tracer = outside("dd-trace").init({ flushInterval: 100, startupLogs: false, plugins: false })

const tags = { route: "/orders/{id}", count: 3, shop: "berlin" }

const flushed = () => new Promise((done) => tracer._tracer._exporter.flush(done))

const run = async (count) => {
  for (let i = 0; i < count; i++) {
    const root = tracer.startSpan("http.server.request", { tags: { "span.kind": "server", "resource.name": "GET /orders/{id}", ...tags } })
    for (let j = 0; j < 9; j++) tracer.startSpan("internal", { childOf: root, tags: { "resource.name": "step", ...tags } }).finish()
    root.finish()
    if (i % 1000 === 999) await flushed()
  }
  await flushed()
}

run(4000).then(async () => {
  const cpu = process.cpuUsage()
  const start = performance.now()
  await run(traces)
  const millis = performance.now() - start
  const { system, user } = process.cpuUsage(cpu)
  process.stdout.write(JSON.stringify({ cpu: (user + system) / (traces * 10), rate: traces * 10 / (millis / 1000) }))
  process.exit(0)
})
