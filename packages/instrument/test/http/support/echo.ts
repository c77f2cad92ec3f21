import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as Net from "node:net"

/** Header lines as they came over the wire: names in lower case, repetitions kept. */
export type Lines = ReadonlyArray<readonly [name: string, value: string]>

interface Echo {
  readonly url: string
  readonly seen: Array<Lines>
}

/**
 * A server on a free port of the loopback interface that answers 200 (or the status in the path) with this body and remembers the
 * headers it was sent; `to` in the query becomes its `location`.
 */
export const answering = (body: string): Effect.Effect<Echo, never, Scope.Scope> => Effect.gen(function*() {
  const seen: Array<Lines> = []
  const server = yield* Effect.acquireRelease(
    Effect.callback<Http.Server>((resume) => {
      const server = Http.createServer((request, response) => {
        const { rawHeaders } = request
        seen.push(Array.from({ length: rawHeaders.length / 2 }, (_, i) => [rawHeaders[2 * i]!.toLowerCase(), rawHeaders[2 * i + 1]!] as const))
        response.statusCode = Number(/^\/(\d{3})/.exec(request.url ?? "")?.[1] ?? 200)
        const to = new URL(request.url ?? "/", "http://localhost").searchParams.get("to")
        if (to !== null) response.setHeader("location", to)
        response.end(body)
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  )
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
})

export const echo = answering("ok")

/** A GET with exactly these header lines, whatever a client library would make of them; the response's head. */
export const sendRaw = (port: number, path: string, lines: Lines): Effect.Effect<string, Error> =>
  Effect.callback((resume) => {
    const socket = Net.connect(port, "127.0.0.1")
    let text = ""
    socket.setEncoding("latin1")
    socket.on("data", (chunk: string) => text += chunk)
    socket.on("error", (error) => resume(Effect.fail(error)))
    socket.on("close", () => resume(Effect.succeed(text)))
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`, "latin1")
    return Effect.sync(() => socket.destroy())
  })
