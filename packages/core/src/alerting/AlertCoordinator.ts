import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Alert } from "./Alert.ts"
import type { Silence } from "./Silence.ts"

/** What one process tells the others about its alerts. */
export interface AlertNews {
  readonly firing: ReadonlyArray<Alert>
  readonly silences: ReadonlyArray<Silence>
}

/** Why nothing could be exchanged; the next round tries again. */
export class AlertCoordinationError extends Schema.TaggedError<AlertCoordinationError>()("AlertCoordinationError", {
  message: Schema.String
}) {}

/**
 * Where processes of one service meet, so that an alert that fires in several of them is told once. One leads: it hears of the alerts of
 * all and tells people. When they cannot meet each one tells for itself: twice is better than never.
 */
export interface AlertCoordinator {
  /** Says what fires here and hears what fires elsewhere, and what the leader has announced. */
  readonly exchange: (news: AlertNews) => Effect.Effect<
    { readonly leads: boolean; readonly others: ReadonlyArray<AlertNews>; readonly announced: ReadonlyArray<Alert> },
    AlertCoordinationError
  >
  /** Leaves for the next leader what was announced. Does nothing when this process does not lead any more. */
  readonly announce: (alerts: ReadonlyArray<Alert>) => Effect.Effect<void, AlertCoordinationError>
}
