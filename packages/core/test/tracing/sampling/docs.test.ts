import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { readFileSync } from "node:fs"
import * as Core from "../../../src/index.ts"

// The example of docs/sampling.md is run as it stands there.
describe("docs/sampling.md", () => {
  const page = readFileSync(new URL("../../../../../docs/sampling.md", import.meta.url), "utf8")

  it.effect("its example works", () =>
    Effect.gen(function*() {
      const [, code] = /<!-- sampler -->\n```ts\n([^]*?)```/.exec(page)!
      const body = code!.replace(/^import .*$/m, "const { ObservabilityConfig, Sampler } = core")
      const config = new Function("core", `${body}\nreturn config`)(Core) as Layer.Layer<never>
      const kept = yield* Effect.gen(function*() {
        const failing = Effect.exit(Effect.fail("no").pipe(Core.Tracer.withSpan("checkout")))
        yield* Effect.repeat(Effect.void.pipe(Core.Tracer.withSpan("checkout")), { times: 199 })
        yield* Effect.repeat(failing, { times: 4 })
        return yield* (yield* Core.MemoryBackend).spans
      }).pipe(Effect.provide(Core.Memory.layer().pipe(Layer.provide(config))))
      assert.strictEqual(kept.filter((span) => span.status === "error").length, 5)
      assert.isBelow(kept.length, 60)
    }))

  it("names only samplers and options that exist", () => {
    for (const [, name] of page.matchAll(/Sampler\.([a-zA-Z]+)\(/g)) assert.property(Core.Sampler, name!)
    for (const name of ["always", "never", "ratio", "parentBased", "rateLimited", "adaptive", "rules", "tail", "make"]) {
      assert.include(page, name)
      assert.property(Core.Sampler, name)
    }
  })
})
