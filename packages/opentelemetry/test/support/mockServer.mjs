// The receiver of `@elastic/mockotlpserver` in a process of its own (rubbish kills it): prints its addresses, then a line for each request.
import { createRequire } from "node:module"

const { MockOtlpServer } = createRequire(import.meta.url)("@elastic/mockotlpserver")
const say = (kind) => (message) => process.stdout.write(`${JSON.stringify({ kind, message })}\n`)
const server = new MockOtlpServer({
  services: ["http", "grpc"],
  logLevel: "fatal",
  httpHostname: "127.0.0.1",
  httpPort: 0,
  grpcHostname: "127.0.0.1",
  grpcPort: 0,
  onTrace: say("traces"),
  onMetrics: say("metrics"),
  onLogs: say("logs")
})
await server.start()
say("ready")({ http: server.httpUrl.href, grpc: server.grpcUrl.href })
process.on("disconnect", () => process.exit(0))
