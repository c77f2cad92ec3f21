import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { request } from "node:http"
import { balanced, base, call, memory, postgres, program, record } from "./support/program.ts"

const own = { "x-observability": "1", "content-type": "application/json" }

for (const [name, backends] of [["memory", memory], ["PostgreSQL", postgres]] as const) {
  describe(`hostile questions over ${name}`, () => {
    it.live("get an answer or a plain refusal, never a crash", () =>
      Effect.gen(function*() {
        yield* record
        const texts = ["%00", "%ED%A0%80", "%FF", "';drop table spans;--", "__proto__", "%25_%5C", "$(id)", "<script>", "\u202Eabc"].map((text) => text.startsWith("%") ? text : encodeURIComponent(text))
        for (const text of texts) {
          for (const path of [
            `traces?text=${text}`, `traces?service=${text}&operation=${text}`, `traces?attribute=${text}=${text}`, `operations?service=${text}`, `latency?operation=${text}`,
            `errors?text=${text}`, `errors?service=${text}`, `range?metric=${text}`, `range?metric=orders_total&by=${text}`, `range?metric=orders_total&label=${text}=${text}`,
            `traces?cursor=${text}`, `span?id=${"a".repeat(32)}&span=${text}`, `differs?status=ERROR&service=${text}`
          ]) {
            const { body, status } = yield* call(`/observability/api/${path}`)
            assert.include([200, 400, 404], status, `${path}: ${JSON.stringify(body).slice(0, 200)}`)
            if (status !== 200) assert.isAbove(body.error.length, 5)
          }
        }
        yield* balanced
      }).pipe(Effect.provide(program(backends))))
  })
}

describe("a silence", () => {
  it.live("of a body without end, of no object, or of a strange id is refused", () =>
    Effect.gen(function*() {
      const url = yield* base
      const status = yield* Effect.promise(() =>
        new Promise<number>((resolve) => {
          // Chunked: no length is told beforehand. The server may hang up while this is still talking.
          const outgoing = request(`${url}/observability/api/silences`, { method: "POST", headers: own }, (answer) => resolve(answer.statusCode!))
          outgoing.on("error", () => resolve(0))
          outgoing.write("\"")
          for (let i = 0; i < 200; i++) outgoing.write("x".repeat(10_000))
          outgoing.end("\"")
        })
      )
      assert.include([0, 413], status)
      for (const body of [null, [], "text", 5, { matchers: null }, { matchers: { a: "b" }, endsAt: "soon" }, { matchers: { a: "b" }, endsAt: Infinity }]) {
        assert.strictEqual((yield* call("/observability/api/silences", { method: "POST", headers: own, body })).status, 400, JSON.stringify(body))
      }
      for (const id of ["nothing", "%E0%A4%A", "__proto__"]) assert.include([400, 404], (yield* call(`/observability/api/silences/${id}`, { method: "DELETE", headers: own })).status, id)
      yield* balanced
    }).pipe(Effect.provide(program(memory))))
})
