import { createSocket, type Socket } from "node:dgram"
import { lookup } from "node:dns"
import { isIP } from "node:net"
import { causeOf, type SendProblem, type Transport } from "./Transport.ts"

/** A name is looked up anew after so long: agents move. Milliseconds. */
const nameLifetime = 60_000

/**
 * UDP over a connected socket: the system then says when nobody listens (ICMP), with the datagram after the one it is about. `now` is monotonic
 * milliseconds.
 */
export const udp = (target: { readonly host: string; readonly port: number; readonly label: string }, now: () => number): Transport => {
  const { host, label, port } = target
  const fixed = isIP(host) !== 0
  let socket: Socket | undefined
  let born = 0
  let generation = 0
  let told: SendProblem | undefined
  const sink = (message: string, previous = false): SendProblem => ({ of: "sink", message: `${label}: ${message}`, previous })
  const drop = (): void => {
    generation++
    const old = socket
    socket = undefined
    try {
      old?.close()
    } catch {
      // Closed already.
    }
  }
  const open = (done: (problem: SendProblem | undefined) => void): void => {
    const mine = generation
    lookup(host, (failure, address, family) => {
      if (mine !== generation) return
      if (failure !== null) return done(sink(`the name of the host was not found (${causeOf(failure)})`))
      let made: Socket
      try {
        made = createSocket(family === 6 ? "udp6" : "udp4")
      } catch (error) {
        return done(sink(causeOf(error)))
      }
      made.unref()
      let settled = false
      const settle = (problem: SendProblem | undefined): void => {
        if (settled || mine !== generation) return
        settled = true
        if (problem === undefined) {
          socket = made
          born = now()
        } else {
          try {
            made.close()
          } catch {
            // As above.
          }
        }
        done(problem)
      }
      made.on("error", (error) => {
        if (!settled) settle(sink(causeOf(error)))
        else if (mine === generation) told = sink(refusal(error), true)
      })
      try {
        made.connect(port, address, () => settle(undefined))
      } catch (error) {
        settle(sink(causeOf(error)))
      }
    })
  }
  const write = (bytes: Buffer, done: (problem: SendProblem | undefined) => void): void => {
    const mine = generation
    socket!.send(bytes, (error) => {
      if (mine !== generation) return
      if (error === null || error === undefined) return done(undefined)
      const code = causeOf(error)
      done(code === "EMSGSIZE" ? { of: "datagram", message: `${label}: EMSGSIZE` } : sink(refusal(error), code === "ECONNREFUSED"))
    })
  }
  return {
    label,
    hardLimit: 65_507,
    send: (bytes, done) => {
      if (told !== undefined) {
        const problem = told
        told = undefined
        return done(problem)
      }
      if (socket !== undefined && !fixed && now() - born > nameLifetime) drop()
      if (socket !== undefined) return write(bytes, done)
      open((problem) => problem === undefined ? write(bytes, done) : done(problem))
    },
    problem: () => {
      const problem = told
      told = undefined
      return problem
    },
    reset: drop
  }
}

const refusal = (error: unknown): string => {
  const code = causeOf(error)
  return code === "ECONNREFUSED" ? "nobody listens there (ECONNREFUSED)" : code
}
