import { createSocket, type Socket } from "node:dgram"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Socket as Connection } from "node:net"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { DgramSocket } from "node-unix-socket"

// What an agent reads, by the rules of its own parser (datadog-agent, comp/dogstatsd/server/impl/parse*.go); what it would refuse throws.

export interface Sample {
  readonly name: string
  readonly kind: string
  readonly values: ReadonlyArray<number | string>
  readonly rate: number
  readonly tags: ReadonlyArray<string>
  readonly time: number | undefined
  readonly container: string | undefined
}

export const parse = (line: string): Sample => {
  const [nameAndValue, kind, ...fields] = line.split("|")
  const at = nameAndValue!.indexOf(":")
  if (at < 1 || at === nameAndValue!.length - 1) throw new Error(`no name or value: ${line}`)
  if (kind === undefined || !["c", "g", "h", "d", "ms", "s"].includes(kind)) throw new Error(`no type: ${line}`)
  const raw = nameAndValue!.slice(at + 1)
  const values = kind === "s" ? [raw] : raw.split(":").map((text) => {
    if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) throw new Error(`no number: ${line}`)
    return Number(text)
  })
  let rate = 1
  let tags: ReadonlyArray<string> = []
  let time: number | undefined
  let container: string | undefined
  const seen = new Set<string>()
  for (const field of fields) {
    const mark = field.startsWith("card:") ? "card:" : /^[@#T]|^[ce]:/.exec(field)?.[0]
    if (mark === undefined || seen.has(mark)) throw new Error(`unknown or repeated field ${field}: ${line}`)
    seen.add(mark)
    if (mark === "@") rate = Number(field.slice(1))
    else if (mark === "#") tags = field.slice(1).split(",")
    else if (mark === "T") time = Number(field.slice(1))
    else if (mark === "c:") container = field.slice(2)
  }
  if (!(rate > 0 && rate <= 1)) throw new Error(`wrong rate: ${line}`)
  if (time !== undefined && (!Number.isInteger(time) || time < 1)) throw new Error(`wrong time: ${line}`)
  if (tags.some((one) => one === "")) throw new Error(`empty tag: ${line}`)
  return { name: nameAndValue!.slice(0, at), kind, values, rate, tags, time, container }
}

/** How many observations a line stands for: the agent rounds down. */
export const countOf = ({ rate, values }: Sample): number => values.length * Math.floor(1 / rate)

/** Somebody who takes messages. */
export interface Receiver {
  readonly address: string
  /** Whole datagrams, as they came. */
  readonly datagrams: Array<string>
  readonly lines: () => Array<string>
  /** Metrics alone, parsed. */
  readonly samples: () => Array<Sample>
  readonly close: () => Promise<void>
}

const receiver = (address: string, datagrams: Array<string>, close: () => Promise<void>): Receiver => {
  const lines = () => datagrams.flatMap((one) => one.split("\n")).filter((line) => line !== "")
  return { address, datagrams, lines, samples: () => lines().filter((line) => !line.startsWith("_")).map(parse), close }
}

export const listenUdp = async (port = 0): Promise<Receiver & { readonly port: number }> => {
  const datagrams: Array<string> = []
  const socket: Socket = createSocket("udp4")
  socket.on("message", (bytes) => void datagrams.push(String(bytes)))
  await new Promise<void>((done) => socket.bind(port, "127.0.0.1", done))
  socket.setRecvBufferSize(4 * 1024 * 1024)
  const bound = socket.address().port
  return { ...receiver(`udp://127.0.0.1:${bound}`, datagrams, () => new Promise((done) => socket.close(() => done()))), port: bound }
}

export const socketPath = (): { readonly path: string; readonly remove: () => void } => {
  const folder = mkdtempSync(Path.join(tmpdir(), "statsd-"))
  return { path: Path.join(folder, "s.sock"), remove: () => rmSync(folder, { recursive: true, force: true }) }
}

export const listenUnixDatagram = (path: string): Receiver => {
  const datagrams: Array<string> = []
  rmSync(path, { force: true })
  const socket = new DgramSocket()
  socket.on("data", (bytes: Buffer) => void datagrams.push(String(bytes)))
  socket.on("error", () => {})
  socket.bind(path)
  return receiver(`unix://${path}`, datagrams, async () => {
    socket.close()
    rmSync(path, { force: true })
  })
}

/** Length-prefixed on a Unix socket, lines over TCP. */
export const listenStream = async (framing: "length" | "line", path?: string): Promise<Receiver> => {
  const datagrams: Array<string> = []
  const connections = new Set<Connection>()
  const server = createServer((connection) => {
    connections.add(connection)
    let held = Buffer.alloc(0)
    connection.on("error", () => {})
    connection.on("data", (bytes) => {
      held = Buffer.concat([held, bytes])
      for (;;) {
        const length = framing === "length" ? (held.length < 4 ? Infinity : 4 + held.readUInt32LE(0)) : held.indexOf(10) + 1 || Infinity
        if (held.length < length) return
        datagrams.push(String(held.subarray(framing === "length" ? 4 : 0, length)).trimEnd())
        held = held.subarray(length)
      }
    })
  })
  await new Promise<void>((done) => path === undefined ? server.listen(0, "127.0.0.1", done) : server.listen(path, done))
  const bound = server.address()
  const address = typeof bound === "string" ? `unixstream://${bound}` : `tcp://127.0.0.1:${bound!.port}`
  return receiver(address, datagrams, () => {
    for (const connection of connections) connection.destroy()
    return new Promise((done) => server.close(() => done()))
  })
}
