import { type ChildProcess, spawn } from "node:child_process"

/** A server in a process of its own that takes whatever comes and says that it is stored: what is left is the sender's cost. */
export interface Sink {
  readonly url: string
  readonly stop: () => Promise<void>
}

const program = `
const server = require("node:http").createServer((request, response) => {
  request.resume()
  request.on("end", () => response.end())
})
server.listen(0, "127.0.0.1", () => console.log(server.address().port))`

export const startSink = async (): Promise<Sink> => {
  const child: ChildProcess = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] })
  const port = await new Promise<string>((resolve) => child.stdout!.once("data", (chunk: Buffer) => resolve(chunk.toString().trim())))
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        child.once("exit", () => resolve())
        child.kill("SIGTERM")
      })
  }
}
