import { spawn } from "node:child_process"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import * as Path from "node:path"
import type { Bench } from "../../../test/bench/Bench.ts"

// CPU of a process that makes spans, or reports errors, and sends them to a Sentry on loopback: ours and `@sentry/node`, each in a process of its own.

let server: Server
let dsn = ""

const start = () =>
  new Promise<void>((resolve) => {
    server = createServer((request, response) => {
      request.resume()
      request.on("end", () => response.end("{}"))
    }).listen(0, "127.0.0.1", () => {
      dsn = `http://key@127.0.0.1:${(server.address() as AddressInfo).port}/1`
      resolve()
    })
  })
const stop = () => new Promise<void>((resolve) => server.close(() => resolve()))

/** Microseconds of CPU per item, as the program says. */
const run = (program: string, what: string) => () =>
  new Promise<number>((resolve, reject) => {
    const child = spawn(process.execPath, ["--conditions=source", Path.join(import.meta.dirname, "programs", program), dsn, what], { stdio: ["ignore", "pipe", "inherit"] })
    let text = ""
    child.stdout.on("data", (bytes) => text += bytes)
    child.on("close", (code) => code === 0 ? resolve(Number(text)) : reject(new Error(`${program} ended with ${code}`)))
  })

export default (bench: Bench): void => {
  for (const [what, must] of [["spans", 1], ["errors", 1]] as const) {
    bench.measure({
      name: `sentry.export.${what}`,
      unit: "us/item",
      better: "lower",
      must,
      samples: 3,
      setup: start,
      teardown: stop,
      run: run("ours.ts", what),
      baseline: { name: "@sentry/node", run: run("theirs.mjs", what) }
    })
  }
}
