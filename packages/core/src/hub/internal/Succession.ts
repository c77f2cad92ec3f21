import * as Context from "effect/Context"

/**
 * Set while a backend is built that takes the place of a running one of the same name: a number above 0, higher than any before. Its registration
 * replaces the former one's in one step; the former one then drains to where it always sent.
 */
export const Succession: Context.Reference<number> = Context.Reference("@effect-observability/core/Succession", { defaultValue: () => 0 })
