import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Layer, Redacted } from "effect"
import { dsnOf } from "../src/internal/dsn.ts"
import { Sentry } from "../src/index.ts"

const said = (layer: Layer.Layer<any, Sentry.SentryConfigError | any>) =>
  Effect.map(Effect.exit(Effect.scoped(Layer.build(layer))), (exit) => Exit.isFailure(exit) ? String(exit.cause) : "")

describe("the DSN", () => {
  it("says where envelopes go", () => {
    for (const [text, url, label] of [
      ["https://abc@o1.ingest.sentry.io/42", "https://o1.ingest.sentry.io/api/42/envelope/", "o1.ingest.sentry.io/42"],
      ["http://abc@127.0.0.1:9000/base/path/7", "http://127.0.0.1:9000/base/path/api/7/envelope/", "127.0.0.1:9000/7"],
      ["https://abc:old-secret@sentry.example/1", "https://sentry.example/api/1/envelope/", "sentry.example/1"]
    ] as const) {
      const dsn = dsnOf(text)
      assert.isObject(dsn, text)
      if (typeof dsn === "object") assert.deepStrictEqual([dsn.url.href, dsn.label, Redacted.value(dsn.key)], [url, label, "abc"])
    }
  })

  it("is refused without being repeated", () => {
    for (const text of [
      "", "sentry.io/1", "ftp://abc@host/1", "https://host/1", "https://abc@host", "https://abc@host/", "https://abc@host/1?x=1", "https://abc@host/1#x", "https://a%0d%0ab@host/1",
      "https://abc@host/../../1 2", "file:///etc/passwd", "javascript:alert(1)"
    ]) {
      const problem = dsnOf(text)
      assert.isString(problem, text)
      if (text !== "") assert.notInclude(String(problem), text)
    }
  })
})

describe("options", () => {
  it.live("that cannot be used are named, all at once and without the secret", () =>
    Effect.gen(function*() {
      const text = yield* said(Sentry.layer({
        dsn: Redacted.make("https://topsecret@host"), name: "", traces: "some" as never, maxBreadcrumbs: 101, flushInterval: "0 millis", tags: { "bad key": "x", ok: "a\nb" },
        environment: "a\u0000b", release: "x".repeat(300), beforeSend: 1 as never
      }))
      for (const field of ["dsn", "name", "traces", "maxBreadcrumbs", "flushInterval", "tags has the key", "tags.ok", "environment", "release", "beforeSend"]) assert.include(text, field)
      assert.notInclude(text, "topsecret")
      assert.match(yield* said(Sentry.layer()), /dsn is needed/)
    }))

  it.live("may come from the environment", () =>
    Effect.gen(function*() {
      const env = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ SENTRY_DSN: "https://abc@127.0.0.1:1/1", SENTRY_ENVIRONMENT: "staging", SENTRY_RELEASE: "r2" }))
      assert.strictEqual(yield* said(Sentry.layerConfig({ traces: false }).pipe(Layer.provide(env))), "")
      const wrong = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ SENTRY_DSN: "nonsense" }))
      assert.include(yield* said(Sentry.layerConfig().pipe(Layer.provide(wrong))), "dsn")
    }))
})
