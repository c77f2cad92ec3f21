import * as Effect from "effect/Effect"
import { Agent, type ClientRequest, type IncomingMessage, request as plainRequest, type RequestOptions } from "node:http"
import { Agent as SecureAgent, request as secureRequest } from "node:https"
import type { AgentTarget } from "../internal/targets.ts"
import { causeOf } from "../transport/Transport.ts"

/** How much of an answer is read; the agent's own are far shorter. */
const maxAnswer = 64 * 1024

export interface Answer {
  readonly status: number
  readonly retryAfter: string | undefined
  /** At most 64 KiB of it. */
  readonly body: string
}

/** Nobody answered. `sent`: the whole request had left, so that it may have been taken all the same. */
export interface NoAnswer {
  readonly message: string
  readonly sent: boolean
}

/**
 * Requests to the agent, over one connection that is kept. Redirects are answers like others. A request that is interrupted is cut off at once;
 * there is no deadline here.
 */
export class AgentClient {
  readonly target: AgentTarget
  private readonly agent: Agent

  constructor(target: AgentTarget) {
    this.target = target
    const options = { keepAlive: true, maxSockets: 1, maxFreeSockets: 1, timeout: 30_000 }
    this.agent = target.protocol === "https:" ? new SecureAgent(options) : new Agent(options)
  }

  request(
    method: "GET" | "PUT",
    path: string,
    headers: Readonly<Record<string, string>>,
    body: Buffer | undefined,
    onSent: () => void = () => {}
  ): Effect.Effect<Answer, NoAnswer> {
    return Effect.callback((resume) => {
      let sent = false
      let over = false
      let made: ClientRequest | undefined
      const settle = (answer: Effect.Effect<Answer, NoAnswer>): void => {
        if (over) return
        over = true
        resume(answer)
      }
      const fail = (error: unknown): void => settle(Effect.fail({ message: `the agent at ${this.target.label} gave no answer: ${causeOf(error)}`, sent }))
      try {
        const { host, path: prefix, port, protocol, socketPath } = this.target
        const options: RequestOptions = {
          method,
          path: `${prefix}${path}`,
          agent: this.agent,
          headers: { ...headers, ...(body === undefined ? {} : { "content-length": body.length }) },
          ...(socketPath === undefined ? { host, port } : { socketPath })
        }
        made = (protocol === "https:" ? secureRequest : plainRequest)(options, (response) => read(response, settle, fail))
        made.on("error", fail)
        made.on("finish", () => {
          sent = true
          onSent()
        })
        made.end(body)
      } catch (error) {
        fail(error)
      }
      return Effect.sync(() => {
        over = true
        made?.destroy()
      })
    })
  }

  close(): void {
    this.agent.destroy()
  }
}

const read = (response: IncomingMessage, settle: (answer: Effect.Effect<Answer, NoAnswer>) => void, fail: (error: unknown) => void): void => {
  const chunks: Array<Buffer> = []
  let length = 0
  const finish = (): void => {
    const retryAfter = response.headers["retry-after"]
    settle(Effect.succeed({ status: response.statusCode ?? 0, retryAfter, body: Buffer.concat(chunks).subarray(0, maxAnswer).toString() }))
  }
  response.on("data", (chunk: Buffer) => {
    chunks.push(chunk)
    length += chunk.length
    if (length < maxAnswer) return
    // More than any answer of an agent: the status says enough, the rest is not read.
    finish()
    response.destroy()
  })
  response.on("end", finish)
  response.on("error", fail)
  response.on("aborted", () => fail(new Error("the connection was cut off")))
}
