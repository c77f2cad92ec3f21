import { Exporter, type MetricFrame } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { MetricRequest, Origin, PointOptions } from "./OtlpEncoding.ts"
import * as OtlpEncoding from "./OtlpEncoding.ts"
import { paced } from "./internal/paced.ts"
import type { Transport } from "./transport/Transport.ts"

export interface MetricsExporterOptions {
  readonly transport: Transport
  readonly format: OtlpEncoding.Format
  readonly origin: Origin
  /** Read for each frame: they may change while running. */
  readonly points: () => PointOptions
  readonly onPartial: (message: string) => void
  /** Told of data points that a receiver did not take though it took the rest of the frame. */
  readonly onPointsRejected: (count: number) => void
}

/** A frame's requests, and how far they were sent. */
interface Progress {
  readonly requests: ReadonlyArray<MetricRequest>
  next: number
  delivered: number
}

/**
 * Sends frames, one at a time; a large frame is several requests, and a retry goes on where it stopped. What a receiver refuses of a frame costs
 * that request only. The ledger counts frames: one counts as dropped when nothing of it was taken.
 */
export const make = (options: MetricsExporterOptions): Exporter.Exporter<MetricFrame> => {
  const encoder = OtlpEncoding.frameEncoder(options.format, options.origin)
  const known = new WeakMap<MetricFrame, Progress>()

  const send = (progress: Progress, attempt: number): Effect.Effect<Exporter.ExportOutcome, Exporter.ExportError> =>
    Effect.gen(function*() {
      let refusal: Exporter.ExportError | undefined
      let said = ""
      while (progress.next < progress.requests.length) {
        const { body, points } = progress.requests[progress.next]!
        const { message, rejected } = yield* options.transport.send(body, attempt).pipe(
          Effect.catch((error) => {
            if (error.reason._tag !== "Refused") return Effect.fail(error)
            refusal = error
            return Effect.succeed({ message: error.message, rejected: points })
          })
        )
        progress.next++
        if (rejected < points) progress.delivered++
        if (rejected > 0) options.onPointsRejected(Math.min(points, rejected))
        if (rejected > 0) said = `${rejected} of ${points} data points were rejected${message === "" ? "" : `: ${message}`}`
        else if (message !== "") said = message
      }
      const lost = progress.requests.length > 0 && progress.delivered === 0
      if (lost && refusal !== undefined) return yield* refusal
      options.onPartial(said)
      return lost ? { rejected: 1, reason: "partial_success" } : Exporter.complete
    })

  return {
    giveUp: () => options.transport.giveUp,
    export: ([frame], attempt) =>
      Effect.gen(function*() {
        let progress = known.get(frame)
        if (progress === undefined) {
          progress = { requests: yield* paced(encoder.encode(frame, options.points())), next: 0, delivered: 0 }
          known.set(frame, progress)
        }
        return yield* send(progress, attempt.attempt)
      })
  }
}
