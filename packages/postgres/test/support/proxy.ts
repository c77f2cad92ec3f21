import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"

export interface Proxy {
  readonly port: number
  /** From now on the server's next answer is swallowed and the connection cut: what was asked has been done, nobody learns it. */
  readonly loseNextAnswer: () => void
  readonly lost: () => number
  /** Connections stay open and nothing comes through, in either direction, until `thaw`: a stopped server, or a black hole. */
  readonly freeze: () => void
  readonly thaw: () => void
  /** The connections that are open now swallow everything from here on; new ones work. */
  readonly swallow: () => void
  /** Connections that were ever made. */
  readonly connections: () => number
}

/** A TCP proxy in front of a server. */
export const startProxy = (port: number): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Proxy & { readonly close: () => void }>((resume) => {
      let lose = false
      let lost = 0
      let frozen = false
      const sockets = new Set<Net.Socket>()
      let connections = 0
      const server = Net.createServer((client) => {
        connections++
        const upstream = Net.connect({ host: "127.0.0.1", port })
        for (const socket of [client, upstream]) {
          sockets.add(socket)
          socket.on("error", () => socket.destroy())
          socket.on("close", () => sockets.delete(socket))
          if (frozen) socket.pause()
        }
        client.on("data", (chunk) => upstream.write(chunk))
        upstream.on("data", (chunk) => {
          if (!lose) return void client.write(chunk)
          lose = false
          lost++
          client.destroy()
          upstream.destroy()
        })
        client.on("close", () => upstream.end())
        upstream.on("close", () => client.end())
      })
      server.listen(0, "127.0.0.1", () =>
        resume(Effect.succeed({
          port: (server.address() as Net.AddressInfo).port,
          loseNextAnswer: () => {
            lose = true
          },
          lost: () => lost,
          freeze: () => {
            frozen = true
            for (const socket of sockets) socket.pause()
          },
          thaw: () => {
            frozen = false
            for (const socket of sockets) socket.resume()
          },
          swallow: () => {
            for (const socket of sockets) {
              socket.removeAllListeners("data")
              socket.resume()
            }
          },
          connections: () => connections,
          close: () => {
            server.close()
            for (const socket of sockets) socket.destroy()
          }
        })))
    }),
    (proxy) => Effect.sync(proxy.close)
  )
