import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** A page for a scraper. */
export interface Page {
  readonly contentType: string
  readonly body: string
}

/** Everything the store holds as a page that a scraper reads; who serves it need not know who writes it. */
export class Exposition extends Context.Service<Exposition, {
  /** Renders in slices that yield, so that a large page does not stop the program. Cannot fail. */
  readonly page: Effect.Effect<Page>
}>()("@effect-observability/core/Exposition") {}
