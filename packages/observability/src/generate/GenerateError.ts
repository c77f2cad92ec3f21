import * as Schema from "effect/Schema"

/** What cannot be generated, naming the definition or rule and the fix. */
export class GenerateError extends Schema.TaggedError<GenerateError>()("GenerateError", {
  message: Schema.String
}) {}
