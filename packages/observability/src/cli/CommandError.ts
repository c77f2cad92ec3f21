import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"

/** What a command cannot do, in words for its user. */
export class CommandError extends Schema.TaggedError<CommandError>()("CommandError", {
  message: Schema.String
}) {
  /** The command has told it itself. */
  override readonly [Runtime.errorReported] = false
  override readonly [Runtime.errorExitCode] = 2
}

/** What `--check` found: the command did what it was asked for. */
export class OutOfDate extends Schema.TaggedError<OutOfDate>()("OutOfDate", {
  message: Schema.String
}) {
  override readonly [Runtime.errorReported] = false
}

/** The first line of what was thrown. */
export const first = (error: unknown): string => {
  const said = (error instanceof Error ? error.message : String(error)).split("\n")[0]!
  return said !== "" ? said : error instanceof Error ? error.name : "it threw"
}
