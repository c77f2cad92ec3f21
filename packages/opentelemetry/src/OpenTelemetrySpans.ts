import { Exporter, type SpanData } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { Encoded, Origin } from "./OtlpEncoding.ts"
import * as OtlpEncoding from "./OtlpEncoding.ts"
import { paced } from "./internal/paced.ts"
import type { Transport } from "./transport/Transport.ts"

export interface SpansOptions {
  readonly transport: Transport
  readonly format: OtlpEncoding.Format
  readonly origin: Origin
  readonly maxRequestBytes: number
  /** Told what a receiver said beside its answer; an empty text when it took everything. */
  readonly onPartial: (message: string) => void
}

/** Sends batches of spans, each as one request. What is too large for one is halved by the queue before it is sent. */
export const make = ({ format, maxRequestBytes, onPartial, origin, transport }: SpansOptions): Exporter.Exporter<SpanData> => {
  const encoder = OtlpEncoding.spanEncoder(format, origin)
  /** A retry sends the same bytes. */
  let last: { readonly number: number; readonly encoded: Encoded } | undefined
  return {
    export: (batch, attempt) =>
      Effect.gen(function*() {
        const encoded = last?.number === attempt.number ? last.encoded : yield* paced(encoder.encode(batch))
        last = { number: attempt.number, encoded }
        const { body, unreadable } = encoded
        if (body.length > maxRequestBytes && batch.length > 1) {
          return yield* Exporter.refused(`${batch.length} spans are ${body.length} bytes, more than a request may have: halved`, "too_large")
        }
        const { message, rejected } = unreadable === batch.length ? { message: "", rejected: 0 } : yield* transport.send(body, attempt.attempt)
        if (rejected > 0) onPartial(`${rejected} of ${batch.length} spans were rejected${message === "" ? "" : `: ${message}`}`)
        else onPartial(message)
        return rejected > 0
          ? { rejected: Math.min(batch.length, rejected + unreadable), reason: "partial_success" }
          : { rejected: unreadable, reason: "serialise" }
      })
  }
}
