import { Exporter } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { Encoded, ItemEncoder } from "../OtlpEncoding.ts"
import type { Transport } from "../transport/Transport.ts"
import { paced } from "./paced.ts"

/** What exporters of single things are made of. */
export interface ItemOptions {
  readonly transport: Transport
  readonly maxRequestBytes: number
  /** Told what a receiver said beside its answer; an empty text when it took everything. */
  readonly onPartial: (message: string) => void
}

/** Sends batches, each as one request. What is too large for one is halved by the queue before it is sent. */
export const itemExporter = <A>(what: string, encoder: ItemEncoder<A>, { maxRequestBytes, onPartial, transport }: ItemOptions): Exporter.Exporter<A> => {
  /** A retry sends the same bytes. */
  let last: { readonly number: number; readonly encoded: Encoded } | undefined
  return {
    giveUp: () => transport.giveUp,
    export: (batch, attempt) =>
      Effect.gen(function*() {
        const encoded = last?.number === attempt.number ? last.encoded : yield* paced(encoder.encode(batch))
        last = { number: attempt.number, encoded }
        const { body, unreadable } = encoded
        if (body.length > maxRequestBytes && batch.length > 1) {
          return yield* Exporter.refused(`${batch.length} ${what} are ${body.length} bytes, more than a request may have: halved`, "too_large")
        }
        const { message, rejected } = unreadable === batch.length ? { message: "", rejected: 0 } : yield* transport.send(body, attempt.attempt)
        if (rejected > 0) onPartial(`${rejected} of ${batch.length} ${what} were rejected${message === "" ? "" : `: ${message}`}`)
        else onPartial(message)
        return rejected > 0
          ? { rejected: Math.min(batch.length, rejected + unreadable), reason: "partial_success" }
          : { rejected: unreadable, reason: "serialise" }
      })
  }
}
