import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import * as PostgresServer from "../../../../test/tools/postgresServer.ts"
import * as EmbeddedServer from "../../src/embedded/EmbeddedServer.ts"

/** A server of its own for one test, on data that is removed with it. */
export const controlledServer: Effect.Effect<
  PostgresServer.PostgresServer<EmbeddedServer.EmbeddedServerError>,
  EmbeddedServer.EmbeddedServerError,
  Scope.Scope
> = Effect.flatMap(
  Effect.acquireRelease(
    Effect.sync(() => Fs.mkdtempSync(Path.join(tmpdir(), "faults-"))),
    (made) => Effect.sync(() => Fs.rmSync(made, { recursive: true, force: true, maxRetries: 5 }))
  ),
  (dir) => controlledServerIn(dir)
)

export const controlledServerIn = (dir: string, settings: Readonly<Record<string, string>> = {}) =>
  PostgresServer.make((port) => EmbeddedServer.start({ dir, durable: false, settings, ...(port === undefined ? {} : { port }) }))

/** The same database by way of another port. */
export const through = (url: Redacted.Redacted<string>, port: number): Redacted.Redacted<string> => {
  const changed = new URL(Redacted.value(url))
  changed.port = String(port)
  return Redacted.make(changed.href)
}

/** Numbers that a seed decides (mulberry32): a failing run can be had again. */
export interface Random {
  /** A whole number from 0 to `limit - 1`. */
  readonly below: (limit: number) => number
  readonly between: (low: number, high: number) => number
}

export const seeded = (seed: number): Random => {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    below: (limit) => Math.floor(next() * limit),
    between: (low, high) => low + Math.floor(next() * (high - low + 1))
  }
}
