import { connect, type Socket } from "node:net"
import { causeOf, type SendProblem, type Transport } from "./Transport.ts"

/**
 * Messages over a connection: length-prefixed (four bytes, little-endian) on the agent's Unix stream socket, ended by a line feed over TCP. A
 * datagram counts as handed over when the kernel has all of it.
 */
export const stream = (
  target: { readonly label: string } & ({ readonly path: string } | { readonly host: string; readonly port: number }),
  framing: "length" | "line"
): Transport => {
  const { label } = target
  let socket: Socket | undefined
  let waiting: ((problem: SendProblem | undefined) => void) | undefined
  const settle = (from: Socket, problem: SendProblem | undefined): void => {
    if (from !== socket) return
    const done = waiting
    waiting = undefined
    if (problem !== undefined) {
      socket = undefined
      from.destroy()
    }
    done?.(problem)
  }
  const drop = (): void => {
    const old = socket
    socket = undefined
    waiting = undefined
    old?.destroy()
  }
  const open = (): Socket => {
    const made = connect("path" in target ? { path: target.path } : { host: target.host, port: target.port })
    made.unref()
    // Nothing is expected to come back; it must not pile up either.
    made.resume()
    made.on("error", (error) => settle(made, { of: "sink", message: `${label}: ${causeOf(error)}` }))
    made.on("close", () => settle(made, { of: "sink", message: `${label}: the connection was closed` }))
    return made
  }
  return {
    label,
    hardLimit: 65_507,
    send: (bytes, done) => {
      waiting = done
      const mine = socket ??= open()
      mine.write(framing === "length" ? prefixed(bytes) : Buffer.concat([bytes, lineFeed]), (error) => {
        if (error === null || error === undefined) settle(mine, undefined)
      })
    },
    problem: () => undefined,
    reset: drop
  }
}

const lineFeed = Buffer.from("\n")

const prefixed = (bytes: Buffer): Buffer => {
  const out = Buffer.allocUnsafe(4 + bytes.length)
  out.writeUInt32LE(bytes.length, 0)
  bytes.copy(out, 4)
  return out
}
