import type { Requests } from "@effect-observability/core"
import type * as Effect from "effect/Effect"

/** What every server may be told, whichever requests it gets. */
export interface CommonOptions {
  /**
   * Whether the caller's trace is continued, sampling decision and baggage included (the default). At a public edge say `false`:
   * every request then begins a trace of its own that links to the caller's, and the caller's baggage is left out.
   */
  readonly trustIncoming?: boolean
  /**
   * One structured line for each request, after its response: `Error` for 5xx, `Warn` for 4xx, `Info` for the rest. By default it takes the
   * place of the line that Effect's own server writes, where that one is on; `true` writes it in any case, `false` never.
   */
  readonly accessLog?: boolean
  /** The part of the program these requests go to: `module` on their spans and log lines. */
  readonly module?: string
}

/**
 * Who asks, as far as a request itself tells (a verified session, a token already checked): asked after the request id is known and before
 * the trace begins. It names, it does not guard: whatever it fails with, the request goes on and nobody is named. What is known only later
 * is told by `Requests.identify`.
 */
export type Authenticate<Request> = (
  request: Request
) => Requests.Identity | undefined | Effect.Effect<Requests.Identity | undefined, unknown>
