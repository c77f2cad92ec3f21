import * as Schema from "effect/Schema"

/** Why there is no server; the message says what to do about it and never holds the password. */
export class EmbeddedServerError extends Schema.TaggedError<EmbeddedServerError>()("EmbeddedServerError", {
  reason: Schema.Literals(["NotInstalled", "DirectoryUnusable", "DirectoryInUse", "PortTaken", "StartFailed"]),
  message: Schema.String
}) {}

export const because = (reason: EmbeddedServerError["reason"], message: string): EmbeddedServerError =>
  new EmbeddedServerError({ reason, message })

/** Runs something of Node that throws; `message` gets the text of what was thrown. */
export const messageOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)
