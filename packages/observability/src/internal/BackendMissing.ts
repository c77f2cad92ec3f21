import * as Schema from "effect/Schema"

/** A backend is configured but cannot be loaded; the message says what to install. */
export class BackendMissing extends Schema.TaggedError<BackendMissing>()("BackendMissing", {
  backend: Schema.String,
  message: Schema.String
}) {}
