import * as Schema from "effect/Schema"

/** A question to the history could not be answered. `message` names the field and the fix when the question was wrong. */
export class HistoryError extends Schema.TaggedError<HistoryError>()("HistoryError", {
  message: Schema.String,
  reason: Schema.Literals(["invalid", "unavailable"])
}) {}
