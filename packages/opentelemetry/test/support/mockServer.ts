import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import * as Path from "node:path"
import { createInterface } from "node:readline"

export interface MockServer {
  readonly http: string
  readonly grpc: string
  /** Decoded requests in the order they came. Ids are base64 when they came as protobuf, hex when they came as JSON. */
  readonly requests: ReadonlyArray<{ readonly kind: "traces" | "metrics" | "logs"; readonly message: any }>
}

/** A receiver not written here: `@elastic/mockotlpserver`, with the gRPC server of `@grpc/grpc-js` in it. */
export const mockServer: Effect.Effect<MockServer, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.promise(() => new Promise<{ readonly child: ReturnType<typeof spawn>; readonly self: MockServer }>((resolve, reject) => {
      const child = spawn(process.execPath, [Path.join(import.meta.dirname, "mockServer.mjs")], { stdio: ["ignore", "pipe", "inherit", "ipc"] })
      const requests: Array<MockServer["requests"][number]> = []
      child.on("error", reject)
      child.on("exit", (code) => reject(new Error(`the receiver ended with code ${code} before it was ready`)))
      createInterface({ input: child.stdout! }).on("line", (line) => {
        const said = JSON.parse(line)
        if (said.kind === "ready") resolve({ child, self: { ...said.message, requests } })
        else requests.push(said)
      })
    })),
    ({ child }) => Effect.sync(() => void child.kill())
  ),
  ({ self }) => self
)
