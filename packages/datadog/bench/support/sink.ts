import { createSocket } from "node:dgram"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { parentPort, Worker } from "node:worker_threads"

// A receiver in a thread of its own, so that receiving costs the measured thread nothing.

export interface Sink {
  readonly statsdPort: number
  readonly agentPort: number
  /** Spans taken since the last call; the answer of the agent says it took them. */
  readonly close: () => void
}

if (parentPort !== null) {
  const port = parentPort
  const socket = createSocket("udp4")
  socket.on("message", () => {})
  const server = createServer((request, response) => {
    request.resume()
    request.on("end", () => response.end("{\"rate_by_service\":{}}"))
  })
  socket.bind(0, "127.0.0.1", () =>
    server.listen(0, "127.0.0.1", () => port.postMessage({ statsdPort: socket.address().port, agentPort: (server.address() as AddressInfo).port })))
  port.on("message", () => process.exit(0))
}

export const openSink = (): Promise<Sink> => {
  const worker = new Worker(new URL(import.meta.url), { execArgv: [] })
  return new Promise((done, fail) => {
    worker.once("error", fail)
    worker.once("message", (ports: { readonly statsdPort: number; readonly agentPort: number }) => done({ ...ports, close: () => void worker.terminate() }))
  })
}
