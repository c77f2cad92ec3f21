import { Ledger, type Listener, Telemetry } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { assert } from "vitest"
import { Datadog } from "../../src/index.ts"
import { type FakeAgent, startAgent } from "./agent.ts"
import { listenUdp } from "./statsd.ts"

export const scoped = <A extends { readonly close: () => Promise<void> }>(open: () => Promise<A>): Effect.Effect<A, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.promise(open), (opened) => Effect.promise(() => opened.close()))

export const udp = scoped(() => listenUdp())
export const agent: Effect.Effect<FakeAgent & { readonly failures: Array<string> }, never, Scope.Scope> = scoped(() => startAgent())

/** Time for what the kernel has to arrive. */
export const arrive = Effect.promise(() => new Promise<void>((done) => setTimeout(done, 25)))

export const until = (holds: () => boolean, what: string, millis = 10_000): Effect.Effect<void> =>
  Effect.promise(async () => {
    const end = Date.now() + millis
    while (!holds()) {
      if (Date.now() > end) throw new Error(`still not: ${what}`)
      await new Promise((done) => setTimeout(done, 5))
    }
  })

/** The books of one backend's signal; they balance. */
export const books = (telemetry: Telemetry["Service"], name: string, signal: "metrics" | "spans"): Ledger.LedgerSnapshot => {
  const found = telemetry.reports().find((one) => one.name === name)?.signals.find((one) => one.signal === signal)
  assert(found !== undefined, `${name} has a ledger of ${signal}`)
  assert.isUndefined(Ledger.imbalance(found.ledger))
  return found.ledger
}

export const balanced = (telemetry: Telemetry["Service"]): void => {
  for (const { signals } of telemetry.reports()) for (const { ledger } of signals) assert.isUndefined(Ledger.imbalance(ledger))
}

/** A backend whose books can be read after its end. */
export const captured = () => {
  const listeners = new Map<string, Listener>()
  const hub = Layer.effect(Telemetry, Effect.map(Telemetry, (telemetry) =>
    Telemetry.of({
      ...telemetry,
      register: (listener) => {
        listeners.set(listener.name, listener)
        return telemetry.register(listener)
      }
    })))
  return {
    layer: (options: Datadog.DatadogOptions) =>
      Datadog.layerBackend(options).pipe(Layer.provide(hub), Layer.provideMerge(Telemetry.layer)),
    books: (name: string, signal: "metrics" | "spans"): Ledger.LedgerSnapshot => {
      const found = listeners.get(name)?.report().signals.find((one) => one.signal === signal)
      assert(found !== undefined, `${name} has a ledger of ${signal}`)
      assert.isUndefined(Ledger.imbalance(found.ledger))
      return found.ledger
    }
  }
}
