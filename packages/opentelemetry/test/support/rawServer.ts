import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"

/** A TCP server that does as told with each connection; its port, and how many connections there were. */
export const rawServer = (
  onConnection: (socket: Net.Socket, n: number) => void
): Effect.Effect<{ readonly url: string; readonly port: number; readonly connections: () => number; readonly open: () => number }, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => new Promise<{ readonly server: Net.Server; readonly sockets: Set<Net.Socket>; readonly count: () => number }>((resolve) => {
        const sockets = new Set<Net.Socket>()
        let count = 0
        const server = Net.createServer((socket) => {
          sockets.add(socket)
          socket.on("error", () => {})
          socket.on("close", () => sockets.delete(socket))
          onConnection(socket, ++count)
        })
        server.listen(0, "127.0.0.1", () => resolve({ server, sockets, count: () => count }))
      })),
      ({ server, sockets }) =>
        Effect.promise(() => new Promise<void>((resolve) => {
          for (const socket of sockets) socket.destroy()
          server.close(() => resolve())
        }))
    ),
    ({ count, server, sockets }) => {
      const { port } = server.address() as Net.AddressInfo
      return { url: `http://127.0.0.1:${port}`, port, connections: count, open: () => sockets.size }
    }
  )
