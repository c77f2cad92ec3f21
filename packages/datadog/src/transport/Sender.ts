import { Exporter } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import { Packets } from "./Packets.ts"
import type { SendProblem, Transport } from "./Transport.ts"

/** Datagrams sent between two turns of the event loop. */
const perTurn = 64

interface Delivery {
  readonly number: number
  readonly packets: Packets
  sent: number
  /** Messages in datagrams that were refused for good. */
  refused: number
}

/**
 * Delivers messages over a transport. DogStatsD has no acknowledgement and knows no duplicates, so an attempt goes on where the one before
 * stopped: no datagram that the kernel took is sent twice, but for one of which the system said afterwards that nobody was there.
 */
export class Sender {
  /** Datagrams handed to the kernel; refused for good, too long for it; and handed over and then reported refused, too late to send again. */
  readonly counts = { datagrams: 0, refused: 0, lost: 0 }
  private readonly transport: Transport
  private readonly size: number
  private current: Delivery | undefined

  constructor(transport: Transport, size: number) {
    this.transport = transport
    this.size = size
  }

  /** How many messages were refused for good. `lines` is asked for once per batch. */
  deliver(lines: () => Iterable<string>, attempt: Exporter.Attempt): Effect.Effect<number, Exporter.ExportError> {
    return Effect.suspend(() => {
      const delivery = this.current?.number === attempt.number
        ? this.current
        : this.current = { number: attempt.number, packets: new Packets(lines(), this.size), sent: 0, refused: 0 }
      return this.turns(delivery)
    })
  }

  /** What was sent of a batch that is given up stays sent: whether it counts cannot be taken back. */
  readonly giveUp = (attempt: Exporter.Attempt): Effect.Effect<void, Exporter.ExportError> =>
    Effect.suspend(() => {
      const { current } = this
      if (current?.number !== attempt.number) return Effect.void
      this.current = undefined
      return current.sent > 0 ? Effect.fail(Exporter.unavailable("a part of it is with the agent already")) : Effect.void
    })

  close(): void {
    this.transport.reset()
  }

  private turns(delivery: Delivery): Effect.Effect<number, Exporter.ExportError> {
    return Effect.flatMap(this.turn(delivery), (more) => {
      // In this turn the system tells what became of the last one.
      const rest = Effect.suspend(() => {
        if (more) return this.turns(delivery)
        const problem = this.transport.problem()
        return problem === undefined ? Effect.succeed(delivery.refused) : Effect.fail(this.failed(delivery, problem))
      })
      return Effect.andThen(Effect.yieldNow, rest)
    })
  }

  private turn(delivery: Delivery): Effect.Effect<boolean, Exporter.ExportError> {
    return Effect.callback((resume) => {
      let stopped = false
      let left = perTurn
      const { packets } = delivery
      // Called back from sockets: what is thrown there would end the program.
      const next = (): void => {
        try {
          step()
        } catch (defect) {
          stopped = true
          resume(Effect.die(defect))
        }
      }
      const step = (): void => {
        const packet = packets.peek()
        if (packet === undefined || left-- === 0) {
          stopped = true
          resume(Effect.succeed(packet !== undefined))
          return
        }
        if (packet.bytes.length > this.transport.hardLimit) return refuse(packet.messages)
        this.transport.send(packet.bytes, (problem) => {
          if (stopped) return
          if (problem === undefined) {
            packets.advance()
            delivery.sent++
            this.counts.datagrams++
            next()
          } else if (problem.of === "datagram") refuse(packet.messages)
          else {
            stopped = true
            resume(Effect.fail(this.failed(delivery, problem)))
          }
        })
      }
      const refuse = (messages: number): void => {
        packets.advance()
        delivery.refused += messages
        this.counts.refused++
        next()
      }
      next()
      return Effect.sync(() => {
        stopped = true
        this.transport.reset()
      })
    })
  }

  private failed(delivery: Delivery, problem: SendProblem): Exporter.ExportError {
    if (problem.previous === true) {
      if (delivery.sent > 0) {
        delivery.packets.back()
        delivery.sent--
        this.counts.datagrams--
      } else this.counts.lost++
    }
    return Exporter.unavailable(problem.message)
  }
}
