import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import { AnswerEnd, ClientReader } from "./tcpPostgres.ts"

/** A proxy on 127.0.0.1 in this process that does to connections what networks do. */
export interface TcpProxy {
  readonly port: number
  /** Open now. */
  readonly connections: () => number
  /** Accepted so far. */
  readonly accepted: () => number
  /** Resets every open connection. */
  readonly cut: Effect.Effect<void>
  /** New connections are refused by the kernel, open ones go on. */
  readonly refuse: Effect.Effect<void>
  readonly accept: Effect.Effect<void>
  /** Nothing is forwarded either way, nothing is closed; what arrives meanwhile is delivered after `unhang`. */
  readonly hang: Effect.Effect<void>
  readonly unhang: Effect.Effect<void>
  /** Each chunk arrives this much later, each way. */
  readonly setLatency: (millis: number) => Effect.Effect<void>
  /** What befalls the next statement for PostgreSQL whose SQL matches: once. `hits` counts. */
  readonly onStatement: (matches: RegExp, accident: Accident) => Effect.Effect<void>
  readonly hits: () => number
}

/**
 * - `lost request`: cut before any byte of it reaches the server.
 * - `half a request`: cut in the middle of it.
 * - `lost answer`: the server runs it and answers; the client gets a reset instead.
 * - `late request`: the client gets a reset at once, the server gets the whole request `late` milliseconds after.
 */
export type Accident =
  | { readonly kind: "lost request" | "half a request" | "lost answer" }
  | { readonly kind: "late request"; readonly late: number }

/** Forwards to `port` on 127.0.0.1. */
export const make = (port: number): Effect.Effect<TcpProxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.tap(Effect.sync(() => new Proxy(port)), (proxy) => Effect.promise(() => proxy.listen())),
      (proxy) => Effect.promise(() => proxy.close())
    ),
    (proxy): TcpProxy => ({
      port: proxy.port,
      connections: () => proxy.pairs.size,
      accepted: () => proxy.accepted,
      cut: Effect.sync(() => proxy.pairs.forEach((pair) => pair.cut())),
      refuse: Effect.promise(() => proxy.stopListening()),
      accept: Effect.promise(() => proxy.listen()),
      hang: Effect.sync(() => proxy.setHanging(true)),
      unhang: Effect.sync(() => proxy.setHanging(false)),
      setLatency: (millis) =>
        Effect.sync(() => {
          proxy.latency = millis
        }),
      onStatement: (matches, accident) =>
        Effect.sync(() => {
          proxy.plan = { matches, accident }
        }),
      hits: () => proxy.hits
    })
  )

class Proxy {
  readonly pairs = new Set<Pair>()
  /** Server sides whose clients are gone. */
  readonly orphans = new Set<Net.Socket>()
  readonly target: number
  port = 0
  accepted = 0
  hits = 0
  latency = 0
  hanging = false
  plan: { readonly matches: RegExp; readonly accident: Accident } | undefined
  private server: Net.Server | undefined

  constructor(target: number) {
    this.target = target
  }

  async listen(): Promise<void> {
    if (this.server !== undefined) return
    const server = Net.createServer({ pauseOnConnect: true }, (client) => {
      this.accepted++
      this.pairs.add(new Pair(this, client))
    })
    this.server = server
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject)
      server.listen(this.port, "127.0.0.1", resolve)
    })
    this.port = (server.address() as Net.AddressInfo).port
  }

  /** Open connections keep a closed server from reporting the end, so nobody waits for it. */
  async stopListening(): Promise<void> {
    this.server?.close()
    this.server = undefined
  }

  async close(): Promise<void> {
    await this.stopListening()
    for (const pair of this.pairs) pair.cut()
    for (const orphan of this.orphans) orphan.destroy()
  }

  setHanging(hanging: boolean): void {
    this.hanging = hanging
    for (const pair of this.pairs) pair.settle()
  }
}

/** One connection: the client's socket and ours to the server. */
class Pair {
  private readonly reader = new ClientReader()
  private readonly proxy: Proxy
  private readonly client: Net.Socket
  private readonly server: Net.Socket
  /** The answer of the statement in flight goes nowhere, and its end ends the connection. */
  private swallowing = false
  private readonly answer = new AnswerEnd()
  private over = false
  private readonly waiting: Array<{ readonly due: number; readonly act: () => void }> = []
  private timer: NodeJS.Timeout | undefined

  constructor(proxy: Proxy, client: Net.Socket) {
    this.proxy = proxy
    this.client = client
    this.server = Net.connect({ host: "127.0.0.1", port: proxy.target, noDelay: true })
    client.setNoDelay(true)
    client.on("data", (chunk: Buffer) => this.fromClient(chunk))
    this.server.on("data", (chunk: Buffer) => this.fromServer(chunk))
    for (const socket of [client, this.server]) {
      socket.on("error", () => this.cut())
      // In order behind the bytes that came before it.
      socket.on("end", () => this.later(() => (socket === client ? this.server : client).end()))
      socket.on("close", () => this.later(() => this.cut()))
    }
    this.settle()
  }

  settle(): void {
    for (const socket of [this.client, this.server]) {
      if (this.proxy.hanging) socket.pause()
      else socket.resume()
    }
  }

  cut(): void {
    if (this.over) return
    this.over = true
    this.proxy.pairs.delete(this)
    clearTimeout(this.timer)
    reset(this.client)
    reset(this.server)
  }

  private fromClient(chunk: Buffer): void {
    const asked = this.reader.push(chunk)
    const { plan } = this.proxy
    if (plan === undefined || !asked.some((sql) => plan.matches.test(sql))) return this.later(() => write(this.server, chunk))
    this.proxy.plan = undefined
    this.proxy.hits++
    const { accident } = plan
    switch (accident.kind) {
      case "lost request":
        return this.cut()
      case "half a request":
        this.server.write(chunk.subarray(0, chunk.length >> 1), () => this.cut())
        return
      case "lost answer":
        this.swallowing = true
        return this.later(() => write(this.server, chunk))
      case "late request":
        this.over = true
        this.proxy.pairs.delete(this)
        reset(this.client)
        return this.orphan(chunk, accident.late)
    }
  }

  /** The server's side lives on by itself: it gets the bytes, and the end of the connection after them. */
  private orphan(bytes: Buffer, late: number): void {
    const { orphans } = this.proxy
    orphans.add(this.server)
    const timer = setTimeout(() => this.server.end(bytes), late)
    this.server.once("close", () => {
      orphans.delete(this.server)
      clearTimeout(timer)
    })
  }

  private fromServer(chunk: Buffer): void {
    if (!this.swallowing) return this.later(() => write(this.client, chunk))
    if (this.answer.push(chunk)) this.cut()
  }

  /** Acts after the latency, in the order of the calls. */
  private later(act: () => void): void {
    if (this.over) return
    const { latency } = this.proxy
    if (latency === 0 && this.waiting.length === 0) return act()
    this.waiting.push({ due: performance.now() + latency, act })
    if (this.waiting.length === 1) this.sleep()
  }

  private sleep(): void {
    const next = this.waiting[0]
    if (next === undefined || this.over) return
    this.timer = setTimeout(() => {
      this.waiting.shift()
      next.act()
      this.sleep()
    }, next.due - performance.now())
  }
}

const write = (socket: Net.Socket, chunk: Buffer): void => {
  if (socket.writable) socket.write(chunk)
}

const reset = (socket: Net.Socket): void => {
  if (socket.connecting) socket.destroy()
  else socket.resetAndDestroy()
}
