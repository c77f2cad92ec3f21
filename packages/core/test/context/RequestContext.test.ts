import { Memory, MemoryBackend, RequestContext, Requests, type SpanData, Tracer } from "../../src/index.ts"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"

const seen = Effect.map(RequestContext, ({ module, requestId, tenantId, userId }) => [requestId, userId, tenantId, module])

describe("the context of a request", () => {
  it.effect("is empty outside of requests, and cannot be filled there", () =>
    Effect.gen(function*() {
      yield* Requests.identify({ userId: "ada" })
      assert.deepStrictEqual(yield* seen, [undefined, undefined, undefined, undefined])
      assert.deepStrictEqual(yield* seen.pipe(Requests.inModule("billing")), [undefined, undefined, undefined, "billing"])
    }))

  it.effect("learns later who asks, in all its parts, and is gone afterwards", () =>
    Effect.gen(function*() {
      yield* Effect.gen(function*() {
        yield* Requests.identify({ userId: "ada" }).pipe(Requests.inModule("auth"))
        yield* Effect.forkChild(Requests.identify({ tenantId: "acme" }), { startImmediately: true })
        assert.deepStrictEqual(yield* seen.pipe(Requests.inModule("billing")), ["r-1", "ada", "acme", "billing"])
        assert.deepStrictEqual(yield* seen, ["r-1", "ada", "acme", undefined])
      }).pipe(Requests.within({ requestId: "r-1" }))
      assert.deepStrictEqual(yield* seen, [undefined, undefined, undefined, undefined])
    }))

  it.effect("is made anew for each run of the same effect", () =>
    Effect.gen(function*() {
      const once = Effect.gen(function*() {
        const before = yield* seen
        yield* Requests.identify({ userId: "ada" })
        return before
      }).pipe(Requests.within({ requestId: "r-1" }))
      yield* once
      assert.deepStrictEqual(yield* once, ["r-1", undefined, undefined, undefined])
    }))

  it("takes nothing that a log or a terminal would obey", () => {
    const { requestId, tenantId, userId } = Requests.make({ requestId: "a\r\nb", userId: "\u001b[2Jeve\r\n[ERROR]", tenantId: "x".repeat(1_000) })
    assert.isUndefined(requestId)
    assert.strictEqual(userId, "[2Jeve[ERROR]")
    assert.strictEqual(tenantId, "x".repeat(256))
    assert.isUndefined(Requests.make({ userId: 7 as never }).userId)
  })
})

describe("spans of a request", () => {
  it.effect("say on whose behalf they were, also when that became known only later", () => {
    const named = (spans: ReadonlyArray<SpanData>) =>
      spans.map(({ attributes, name }) => [name, ...["request_id", "user_id", "tenant_id", "module"].map((key) => attributes.get(key))])
    return Effect.gen(function*() {
      yield* Effect.void.pipe(
        Tracer.withSpan("before"),
        Effect.andThen(Requests.identify({ userId: "ada", tenantId: "acme" })),
        Effect.andThen(Effect.void.pipe(Effect.withSpan("inside"), Requests.inModule("billing"))),
        Effect.andThen(Effect.void.pipe(Effect.withSpan("own", { attributes: { user_id: "theirs" } }))),
        Tracer.withSpan("around"),
        Requests.within({ requestId: "r-1" })
      )
      yield* Effect.void.pipe(Tracer.withSpan("after"))
      assert.deepStrictEqual(named(yield* (yield* MemoryBackend).spans), [
        ["before", "r-1", undefined, undefined, undefined],
        ["inside", "r-1", "ada", "acme", "billing"],
        ["own", "r-1", "theirs", "acme", undefined],
        ["around", "r-1", "ada", "acme", undefined],
        ["after", undefined, undefined, undefined, undefined]
      ])
    }).pipe(Effect.provide(Memory.layer()))
  })

  it.effect("keep no secret that came as a name", () =>
    Effect.gen(function*() {
      const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
      yield* Effect.void.pipe(Tracer.withSpan("work"), Requests.within({ requestId: token, userId: token }))
      const [span] = yield* (yield* MemoryBackend).spans
      assert.strictEqual(span!.attributes.get("request_id"), "REDACTED")
      assert.strictEqual(span!.attributes.get("user_id"), "REDACTED")
    }).pipe(Effect.provide(Memory.layer())))
})
