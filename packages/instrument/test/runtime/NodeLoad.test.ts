import { NodeLoad } from "@effect-observability/instrument/node"
import { Telemetry } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

const flood = (mode: "on" | "off", seconds: number) =>
  Effect.promise(() =>
    new Promise<{ readonly code: number | null; readonly signal: string | null; readonly out: string; readonly problems: string }>((resolve) => {
      const child = spawn(process.execPath, ["--conditions=source", "--max-old-space-size=120", fileURLToPath(new URL("./support/floodProgram.ts", import.meta.url)), mode, String(seconds)])
      let out = ""
      let problems = ""
      child.stdout.on("data", (bytes) => out += bytes)
      child.stderr.on("data", (bytes) => problems += bytes)
      child.on("close", (code, signal) => resolve({ code, signal, out, problems }))
    })
  )

describe("load control in a process with a small heap", () => {
  it.live("gives way before V8 gives up, keeps the errors, and its books balance; without it the same program dies", () =>
    Effect.gen(function*() {
      const [on, off] = yield* Effect.all([flood("on", 8), flood("off", 45)], { concurrency: 2 })
      assert.notStrictEqual(off.code, 0, "without load control the heap must be too small")
      assert.include(off.problems, "heap out of memory")
      assert.strictEqual(on.code, 0, on.problems.slice(0, 2_000))
      const found = JSON.parse(on.out.trim().split("\n").at(-1)!)
      assert.deepStrictEqual(found.imbalances, ["", ""])
      assert.isAtLeast(found.highest, 1)
      assert.isAbove(found.load.shed.debug_spans, 0)
      assert.strictEqual(found.ledgers.errors.rejected.load_shed ?? 0, found.load.shed.errors ?? 0)
    }), 60_000)

  it.effect("limits that cannot be used are named", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(NodeLoad.layer({ heapSoftLimit: 1, rssSoftLimit: NaN }).pipe(Layer.provideMerge(Telemetry.layer)))))
      const text = Exit.isFailure(exit) ? String(exit.cause) : ""
      for (const path of ["load.heapSoftLimit", "load.rssSoftLimit"]) assert.include(text, path)
    }))
})
