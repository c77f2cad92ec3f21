import * as Effect from "effect/Effect"
import { DatadogConfigError } from "../DatadogConfig.ts"
import type { StatsdTarget } from "../internal/targets.ts"
import { stream } from "./stream.ts"
import type { Transport } from "./Transport.ts"
import { udp } from "./udp.ts"
import { unixDatagram } from "./unixDatagram.ts"

/** The transport of an address, not yet connected: it connects with the first datagram. `now` is monotonic milliseconds. */
export const open = (target: StatsdTarget, now: () => number): Effect.Effect<Transport, DatadogConfigError> => {
  if (!("path" in target)) return Effect.succeed(target.kind === "udp" ? udp(target, now) : stream(target, "line"))
  if (target.kind === "unixstream") return Effect.succeed(stream(target, "length"))
  return Effect.map(
    Effect.tryPromise({
      try: () => import("node-unix-socket"),
      catch: () =>
        new DatadogConfigError({
          problems: [{
            field: "dogstatsd",
            message: "is a Unix datagram socket, for which the package node-unix-socket is needed: npm install node-unix-socket, or use unixstream: or udp:"
          }]
        })
    }),
    (sockets) => unixDatagram(target, sockets)
  )
}
