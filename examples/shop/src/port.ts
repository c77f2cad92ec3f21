import { Effect } from "effect"
import { createServer } from "node:net"

/** `wanted` when nobody listens there, else a free port from the kernel. */
export const freePort = (wanted: number): Effect.Effect<number> =>
  Effect.catch(listen(wanted), () => Effect.orDie(listen(0)))

const listen = (port: number): Effect.Effect<number, Error> =>
  Effect.callback<number, Error>((resume) => {
    const server = createServer()
    server.once("error", (error) => resume(Effect.fail(error)))
    server.listen(port, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port)))
    })
  })
