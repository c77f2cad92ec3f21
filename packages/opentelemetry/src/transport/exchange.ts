import type { Exporter } from "@effect-observability/core"
import type * as Effect from "effect/Effect"
import type { Verdict } from "./Reply.ts"

/** One request and its answer. It fails when there was none, and that may be tried again; an interruption breaks the request off. */
export type Exchange = (body: Uint8Array, encoding: "gzip" | "identity") => Effect.Effect<Verdict, Exporter.ExportError>
