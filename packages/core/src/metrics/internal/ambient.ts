import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { RequestContext } from "../../context/RequestContext.ts"

type Labels = Readonly<Record<string, string>>

const none: Labels = {}

/** The labels of the region; asked for only when a call leaves out a label that its metric declares. */
const RegionLabels: Context.Reference<Labels> = Context.Reference<Labels>("@effect-observability/core/RegionLabels", { defaultValue: () => none })

export const ambientLabels = (): Labels | undefined => Fiber.getCurrent()?.getRef(RegionLabels)

/** The part of the program that works (`Requests.inModule`): what a label `module` is when no call and no region says. */
export const ambientModule = (): string | undefined => Fiber.getCurrent()?.getRef(RequestContext).module

export const withLabels = (labels: Labels) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => Effect.provideService(self, RegionLabels, { ...fiber.getRef(RegionLabels), ...harmless(labels) }))

/** Own, readable labels as text: a record from untyped code must not end the program. */
const harmless = (labels: Labels): Labels => {
  const out: Record<string, string> = Object.create(null)
  try {
    for (const name of Object.keys(labels)) {
      const value: unknown = labels[name]
      if (value !== undefined && value !== null) out[name] = String(value)
    }
  } catch {
    // What was read so far stands.
  }
  return out
}
