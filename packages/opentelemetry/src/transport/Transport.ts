import { Exporter } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Zlib from "node:zlib"
import type { Exchange } from "./exchange.ts"
import * as Grpc from "./grpc.ts"
import * as Http from "./http.ts"
import type { Verdict } from "./Reply.ts"
import { labelOf, type Target } from "./Target.ts"

export interface Accepted {
  /** Items the receiver did not take, in its own count (spans, data points, log records). */
  readonly rejected: number
  readonly message: string
}

/** Delivers request bodies to one target. */
export interface Transport {
  /** `attempt` is which try of the same body this is, from 1. */
  readonly send: (body: Uint8Array, attempt: number) => Effect.Effect<Accepted, Exporter.ExportError>
  /** For `Exporter.giveUp`: fails when the receiver may have what was sent last, though it never said so. */
  readonly giveUp: Effect.Effect<void, Exporter.ExportError>
}

/** Internal errors of a receiver on one body before it is asked whether it takes anything at all. */
const doubtAfter = 4
/** Refusals in a row after which no batch is halved any more: the receiver takes nothing, and halving would only multiply the requests. */
const maxRefusals = 20

/** Over the target's protocol; what it compresses it keeps for the next try of the same body. */
export const make = (target: Target): Effect.Effect<Transport, never, Scope.Scope> =>
  Effect.map(target.protocol === "grpc" ? Grpc.make(target) : Http.make(target), (exchange) => judging(target, exchange))

/**
 * Turns verdicts into outcomes. An internal error (HTTP 500, gRPC INTERNAL or UNKNOWN) may be an outage or may be caused by what was sent. OTLP
 * says not to retry it; that would lose everything in an outage. So it is tried again, and after some tries an empty request, which every
 * receiver must take, tells which of the two it is: only then the batch is refused.
 */
const judging = (target: Target, exchange: Exchange): Transport => {
  const compressed = new WeakMap<Uint8Array, Uint8Array>()
  const label = labelOf(target)
  const empty = target.protocol === "http/json" ? new TextEncoder().encode("{}") : new Uint8Array(0)
  let refusals = 0
  /** The body that was sent last, whether all of it has left without an answer yet, and whether an answer to it was ever lost. */
  let last: Uint8Array | undefined
  let waiting = false
  let lost = false

  const packed = (body: Uint8Array): Effect.Effect<Uint8Array> => {
    if (target.compression === "none") return Effect.succeed(body)
    const known = compressed.get(body)
    return known !== undefined ? Effect.succeed(known) : Effect.tap(gzip(body), (small) => Effect.sync(() => compressed.set(body, small)))
  }

  const isWell = Effect.map(exchange(empty, "identity", () => {}), ({ _tag }) => _tag === "Accepted").pipe(Effect.orElseSucceed(() => false))

  const ask = (body: Uint8Array): Effect.Effect<Verdict, Exporter.ExportError> =>
    Effect.suspend(() => {
      if (body !== last) lost = false
      else if (waiting) lost = true
      last = body
      waiting = false
      return Effect.flatMap(packed(body), (small) =>
        exchange(small, target.compression === "none" ? "identity" : "gzip", () => {
          if (body === last) waiting = true
        }))
    }).pipe(Effect.tap(() => Effect.sync(() => waiting = false)))

  return {
    giveUp: Effect.suspend(() => waiting || lost ? Effect.fail(Exporter.unavailable(`${label} never answered`)) : Effect.void),
    send: (body, attempt) =>
      ask(body).pipe(
        Effect.flatMap((verdict): Effect.Effect<Accepted, Exporter.ExportError> => {
          switch (verdict._tag) {
            case "Accepted":
              refusals = 0
              return Effect.succeed(verdict)
            case "Later":
              return Effect.fail(Exporter.unavailable(`${label} ${verdict.message}`, verdict.retryAfter))
            case "Ill": {
              const later = Exporter.unavailable(`${label} ${verdict.message}`)
              if (attempt <= doubtAfter) return Effect.fail(later)
              return Effect.flatMap(isWell, (well) => Effect.fail(well ? refuse(verdict.message, verdict.reason, true) : later))
            }
            case "Refused":
              return Effect.fail(refuse(verdict.message, verdict.reason, verdict.divisible))
          }
        })
      )
  }

  function refuse(message: string, reason: string, divisible: boolean): Exporter.ExportError {
    return Exporter.refused(`${label} ${message}`, reason, divisible && ++refusals <= maxRefusals)
  }
}

/** In the thread pool, so that it holds up nobody. */
const gzip = (body: Uint8Array): Effect.Effect<Uint8Array> =>
  Effect.callback((resume) => {
    Zlib.gzip(body, { level: 1 }, (error, small) => resume(error === null ? Effect.succeed(small) : Effect.die(error)))
  })
