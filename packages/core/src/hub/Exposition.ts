import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"

/** A page for a scraper. */
export interface Page {
  readonly contentType: string
  readonly body: string
}

/** Everything the store holds as a page that a scraper reads; who serves it need not know who writes it. */
export class Exposition extends Context.Service<Exposition, {
  /** The whole page as text 0.0.4. Rendered in turns of a few milliseconds, so that a large one does not stop the program. Cannot fail. */
  readonly page: Effect.Effect<Page>
  /**
   * The page as the value of a scraper's `Accept` header asks (text 0.0.4 without one), UTF-8, in chunks: each is made when the reader
   * pulls it, within a few milliseconds, and the event loop runs between two of them. Run the body once. Cannot fail.
   */
  readonly render: (accept?: string) => Effect.Effect<{ readonly contentType: string; readonly body: Stream.Stream<Uint8Array> }>
}>()("@effect-observability/core/Exposition") {}
