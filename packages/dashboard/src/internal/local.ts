import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import { refusal } from "./answers.ts"

/** An IPv4 address may come in IPv6's clothes. */
const isLoopback = (address: string): boolean => /^(::1|(::ffff:)?127\.\d+\.\d+\.\d+)$/i.test(address.split("%")[0]!)

const names = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i

/**
 * This machine, asked for by its own name: a page of another origin whose name was pointed here (DNS rebinding) sends that name. What
 * came through a proxy is not this machine's.
 */
export const thisMachine = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<HttpServerResponse.HttpServerResponse | undefined> =>
  Effect.sync(() => {
    const peer = Option.getOrUndefined(request.peerAddress)
    const local = peer !== undefined && isLoopback(peer) && !("x-forwarded-for" in request.headers) && !("forwarded" in request.headers)
    return local && names.test(request.headers["host"] ?? "")
      ? undefined
      : refusal(403, "This page answers its own machine only, at localhost: give Dashboard.layer a guard to let others in.")
  })
