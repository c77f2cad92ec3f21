import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import { gunzipSync } from "node:zlib"

/** One item of an envelope. */
export interface Item {
  readonly header: Readonly<Record<string, any>>
  readonly payload: any
}

export interface Received {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly header: Readonly<Record<string, any>>
  readonly items: ReadonlyArray<Item>
}

/**
 * Reads an envelope by the letter of Sentry's "Envelopes" page: a line of JSON, then items, each a line of JSON and a payload that is as long as
 * its header says or ends at the line break. Throws for anything else.
 */
export const parseEnvelope = (bytes: Buffer): Pick<Received, "header" | "items"> => {
  let at = 0
  const line = (): Buffer => {
    const end = bytes.indexOf(10, at)
    const found = bytes.subarray(at, end < 0 ? bytes.length : end)
    at = end < 0 ? bytes.length : end + 1
    return found
  }
  const header = JSON.parse(line().toString())
  const items: Array<Item> = []
  while (at < bytes.length) {
    const head = line()
    if (head.length === 0) continue
    const item = JSON.parse(head.toString())
    if (typeof item.type !== "string") throw new Error(`an item without a type: ${head.toString()}`)
    let payload: Buffer
    if (typeof item.length === "number") {
      payload = bytes.subarray(at, at + item.length)
      if (payload.length !== item.length) throw new Error(`an item of ${item.length} bytes has ${payload.length}`)
      at += item.length
      if (at < bytes.length && bytes[at] !== 10) throw new Error("no line break behind an item")
      at++
    } else payload = line()
    items.push({ header: item, payload: JSON.parse(payload.toString()) })
  }
  return { header, items }
}

type Answer = { readonly status?: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string } | ((response: ServerResponse) => void)

export interface Receiver {
  readonly url: string
  readonly dsn: string
  readonly received: Array<Received>
  /** Requests, understood or not. */
  requests: number
  /** What is answered to the next ones, in turn; then 200. */
  readonly answers: Array<Answer>
  readonly items: (type: string) => ReadonlyArray<any>
  readonly stop: () => Promise<void>
  readonly start: () => Promise<void>
}

/** A Sentry of our own, on loopback. */
export const startReceiver = async (): Promise<Receiver> => {
  const received: Array<Received> = []
  const answers: Array<Answer> = []
  const failures: Array<unknown> = []
  const server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      receiver.requests++
      const answer = answers.shift() ?? {}
      if (typeof answer === "function") return answer(response)
      const { body = "{}", headers = {}, status = 200 } = answer
      if (status === 200) {
        try {
          const whole = Buffer.concat(chunks)
          received.push({ url: request.url!, headers: request.headers, ...parseEnvelope(request.headers["content-encoding"] === "gzip" ? gunzipSync(whole) : whole) })
        } catch (error) {
          failures.push(error)
          return void response.writeHead(400).end(String(error))
        }
      }
      response.writeHead(status, headers).end(body)
    })
  })
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve))
  await listen(0)
  const { port } = server.address() as { port: number }
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}`,
    dsn: `http://publickey@127.0.0.1:${port}/42`,
    received,
    requests: 0,
    answers,
    items: (type) => {
      if (failures.length > 0) throw failures[0]
      return received.flatMap(({ items }) => items.filter(({ header }) => header["type"] === type).map(({ payload }) => payload))
    },
    stop: () => new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    }),
    start: () => listen(port)
  }
  return receiver
}
