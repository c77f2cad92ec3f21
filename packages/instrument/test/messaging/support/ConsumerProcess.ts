import { type ChildProcess, fork } from "node:child_process"
import * as Path from "node:path"
import type { Told } from "./child.ts"

/** A consumer in a process of its own. */
export class ConsumerProcess {
  /** Handler calls so far. */
  handled = 0
  private readonly child: ChildProcess
  private readonly told: Promise<Told>

  constructor(kind: "amqp" | "nats" | "kafka", port: number) {
    this.child = fork(Path.join(import.meta.dirname, "child.ts"), [kind, String(port)], { execArgv: ["--conditions=source"], stdio: ["ignore", "inherit", "inherit", "ipc"] })
    this.told = new Promise((resolve, reject) => {
      this.child.on("message", (message: { readonly handled?: number; readonly told?: Told }) => {
        if (message.handled !== undefined) this.handled = message.handled
        if (message.told !== undefined) resolve(message.told)
      })
      this.child.once("exit", (code) => reject(new Error(`the consumer ended with ${code} before it told what it saw`)))
    })
    this.told.catch(() => {})
  }

  movedTo(port: number): void {
    this.child.send({ port })
  }

  /** Has it finish; what it saw. */
  async stop(): Promise<Told> {
    this.child.send({ stop: true })
    return this.told
  }

  async dispose(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const ended = new Promise((resolve) => this.child.once("exit", resolve))
    this.child.kill("SIGKILL")
    await ended
  }
}
