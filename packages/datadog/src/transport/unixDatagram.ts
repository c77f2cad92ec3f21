import type { DgramSocket } from "node-unix-socket"
import { causeOf, type SendProblem, type Transport } from "./Transport.ts"

/** The constructor of the optional peer. */
export interface UnixSockets {
  readonly DgramSocket: new() => DgramSocket
}

/**
 * Datagrams over a Unix socket. Nothing is lost on the way: while the agent's queue is full the kernel takes no more (EAGAIN), and the datagram
 * waits until it does or the attempt is given up.
 */
export const unixDatagram = (target: { readonly path: string; readonly label: string }, sockets: UnixSockets): Transport => {
  const { label, path } = target
  let socket: DgramSocket | undefined
  let generation = 0
  const drop = (): void => {
    generation++
    const old = socket
    socket = undefined
    try {
      // What waits in it never goes: it was not handed over.
      old?.close()
    } catch {
      // Closed already.
    }
  }
  const problemOf = (error: unknown): SendProblem => {
    const cause = causeOf(error)
    if (/EMSGSIZE|too long/i.test(cause)) return { of: "datagram", message: `${label}: EMSGSIZE` }
    const words = /no such file/i.test(cause) ? "there is no socket of that name (ENOENT)" : /refused/i.test(cause) ? "nobody listens there (ECONNREFUSED)" : cause
    return { of: "sink", message: `${label}: ${words}` }
  }
  return {
    label,
    hardLimit: 65_507,
    send: (bytes, done) => {
      const mine = generation
      try {
        if (socket === undefined) {
          socket = new sockets.DgramSocket()
          socket.on("error", () => {
            if (mine === generation) drop()
          })
        }
        socket.sendTo(bytes, 0, bytes.length, path, (error) => {
          if (mine === generation) done(error === undefined || error === null ? undefined : problemOf(error))
        })
      } catch (error) {
        drop()
        done(problemOf(error))
      }
    },
    problem: () => undefined,
    reset: drop
  }
}
