import type { Exporter } from "@effect-observability/core"
import type * as Effect from "effect/Effect"
import type { Verdict } from "./Reply.ts"

/**
 * One request and its answer. It fails when there was none, and that may be tried again; an interruption breaks the request off. `onWritten` is called when
 * all of the request has left: from then on the receiver may have it.
 */
export type Exchange = (body: Uint8Array, encoding: "gzip" | "identity", onWritten: () => void) => Effect.Effect<Verdict, Exporter.ExportError>
