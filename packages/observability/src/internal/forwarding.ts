import { AlertHistory, ErrorHistory, HistoryError, MetricsHistory, TraceHistory } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

const histories: ReadonlySet<string> = new Set([MetricsHistory.key, TraceHistory.key, ErrorHistory.key, AlertHistory.key])

const gone = new HistoryError({ reason: "unavailable", message: "the backend that answered was switched off (configuration): nobody answers until it is on again" })
const interrupted = new HistoryError({ reason: "unavailable", message: "the backend that answered was closed or exchanged meanwhile: ask again" })
/** A backend may be exchanged again while the next one is asked. */
const attempts = 10

/**
 * A service of a backend behind a name that leads to the one at work. `current` gives that one, `undefined` when its backend was taken out: histories then say so,
 * others stay with the last one. A question that was under way when its backend was exchanged is asked again.
 */
export const forwarding = (key: string, first: object, current: () => object | undefined): object => {
  let last = first
  const now = () => last = current() ?? last
  const valueOf = (service: object, name: string | symbol): unknown => {
    const value: unknown = Reflect.get(service, name, service)
    return typeof value === "function" ? value.bind(service) : value
  }
  return new Proxy(first, {
    get: (_, name) => {
      const value = valueOf(now(), name)
      if (!histories.has(key)) return value
      if (typeof value === "function") return (...input: ReadonlyArray<unknown>) => answer((service) => (valueOf(service, name) as (...input: ReadonlyArray<unknown>) => unknown)(...input))
      return answer((service) => valueOf(service, name))
    },
    has: (_, name) => Reflect.has(now(), name)
  })

  /** Of what is no question, as it is. */
  function answer(of: (service: object) => unknown): unknown {
    const made = of(now())
    if (Stream.isStream(made)) return Stream.suspend(() => current() === undefined ? Stream.fail(gone) : of(now()) as Stream.Stream<unknown, unknown>)
    return Effect.isEffect(made) ? asked((service) => of(service) as Effect.Effect<unknown, unknown>, attempts) : made
  }

  function asked(of: (service: object) => Effect.Effect<unknown, unknown>, again: number): Effect.Effect<unknown, unknown> {
    return Effect.suspend(() => {
      const service = current()
      if (service === undefined) return Effect.fail(gone)
      // A connection that is closed under a question interrupts it: that must not end whoever asks.
      return Effect.catchCause(of(service), (cause) =>
        current() !== service
          ? again > 1 ? asked(of, again - 1) : Effect.fail(interrupted)
          : Cause.hasInterrupts(cause) ? Effect.fail(interrupted) : Effect.failCause(cause))
    })
  }
}
