// The receiver of `@elastic/mockotlpserver` in a process of its own (rubbish kills it): prints its addresses, then a line for each request.
import { createRequire } from "node:module"

const { MockOtlpServer } = createRequire(import.meta.url)("@elastic/mockotlpserver")
// The gRPC side decodes 64-bit integers into pairs of halves.
const whole = (_, value) =>
  typeof value === "object" && value !== null && "low" in value && "high" in value
    ? String((BigInt(value.unsigned ? value.high >>> 0 : value.high) << 32n) | BigInt(value.low >>> 0))
    : value
const say = (kind) => (message) => process.stdout.write(`${JSON.stringify({ kind, message }, whole)}\n`)
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
