/** Why a datagram did not go. */
export interface SendProblem {
  /** `"datagram"`: this one is refused for good (too long); `"sink"`: nobody takes any now. */
  readonly of: "datagram" | "sink"
  readonly message: string
  /** Whether the one before was refused too: the system told it late. */
  readonly previous?: boolean
}

/** How messages get out. Calls never block; one datagram is on its way at a time. */
export interface Transport {
  /** For people. */
  readonly label: string
  /** The kernel's limit for one datagram, bytes. */
  readonly hardLimit: number
  /** Hands a datagram over; `done` is called once, later, unless `reset` comes first. */
  readonly send: (bytes: Buffer, done: (problem: SendProblem | undefined) => void) => void
  /** What the system has said since the last datagram that it took. */
  readonly problem: () => SendProblem | undefined
  /** Gives up what is on its way: it will not go any more. The next datagram begins anew. */
  readonly reset: () => void
}

/** The code, or the words, of an error of the system. */
export const causeOf = (error: unknown): string => {
  const code = typeof error === "object" && error !== null && "code" in error && typeof error.code === "string" ? error.code : undefined
  return code ?? (error instanceof Error ? error.message.split("\n")[0]!.slice(0, 200) : "unknown error")
}
