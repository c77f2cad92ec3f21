import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"

export const startServer = (): Effect.Effect<{ readonly url: Redacted.Redacted<string> }, never, Scope.Scope> =>
  Effect.sync(() => ({ url: Redacted.make(process.env["DATABASE_URL"]!) }))
