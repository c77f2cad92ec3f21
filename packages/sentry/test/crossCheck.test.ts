import { Diagnostics, Telemetry } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { Sentry } from "../src/index.ts"
import { receiver } from "./support/scoped.ts"

// What `@sentry/node` itself sends for the same error and the same spans, received by the same receiver: the shape of ours is measured against it.

const theirs = `
import * as Sentry from "@sentry/node"
Sentry.init({ dsn: process.argv[2], tracesSampleRate: 1, enableLogs: true, release: "r1", environment: "prod", defaultIntegrations: false, integrations: [Sentry.linkedErrorsIntegration()], traceLifecycle: process.argv[3] })
class PaymentFailed extends Error { name = "PaymentFailed" }
Sentry.startSpan({ name: "POST /orders", op: "http.server", attributes: { text: "a", whole: 1, part: 1.5, flag: true, list: ["x", "y"] } }, () =>
  Sentry.startSpan({ name: "charge" }, () => {
    Sentry.addBreadcrumb({ message: "charging", level: "info", category: "log" })
    Sentry.captureException(new PaymentFailed("declined", { cause: new TypeError("socket hang up") }))
    Sentry.logger.info("hello", { k: 1 })
  }))
await Sentry.flush(5000)
`

/** Runs the SDK in a process of its own: it patches what it can reach. */
const runTheirs = (dsn: string, lifecycle: "stream" | "static") =>
  Effect.promise(() =>
    new Promise<void>((resolve, reject) => {
      const child = spawn(process.execPath, ["--input-type=module", "-", dsn, lifecycle], { cwd: import.meta.dirname, stdio: ["pipe", "ignore", "pipe"] })
      let text = ""
      child.stderr.on("data", (bytes) => text += bytes)
      child.on("close", (code) => code === 0 ? resolve() : reject(new Error(text)))
      child.stdin.end(theirs)
    })
  )

const ours = (options: Sentry.SentryOptions) =>
  Effect.gen(function*() {
    const work = Effect.gen(function*() {
      yield* Effect.logInfo("charging")
      const failed = Object.assign(new Error("declined", { cause: new TypeError("socket hang up") }), { name: "PaymentFailed" })
      yield* Effect.exit(Effect.withErrorReporting(Effect.fail(failed)))
    }).pipe(Effect.withSpan("charge"))
    yield* work.pipe(Effect.withSpan("POST /orders", { kind: "server", root: true, attributes: { text: "a", whole: 1, part: 1.5, flag: true, list: ["x", "y"] } }))
    yield* (yield* Telemetry).flush
    assert.deepStrictEqual((yield* (yield* Diagnostics).report).imbalances, [])
  }).pipe(Effect.provide(Sentry.layer({ release: "r1", environment: "prod", ...options })))

/** Where a value stands and what it is; of lists, what their first element is. */
const shape = (value: unknown, path = ""): ReadonlyArray<string> =>
  Array.isArray(value)
    ? value.length === 0 ? [`${path}[]`] : shape(value[0], `${path}[]`)
    : typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([key, one]) => shape(one, `${path}.${key}`))
    : [`${path} ${typeof value}`]

/** What theirs has and ours need not: what its own integrations say, and what only its sampling knows. */
const missing = (theirs: unknown, ours: unknown, besides: RegExp): ReadonlyArray<string> => {
  const have = new Set(shape(ours))
  return shape(theirs).filter((one) => !have.has(one) && !besides.test(one))
}

describe("beside @sentry/node", () => {
  it.live("errors, spans by themselves and logs have everything that its own have", () =>
    Effect.gen(function*() {
      const [theirSentry, ourSentry] = [yield* receiver, yield* receiver]
      yield* Effect.all([runTheirs(theirSentry.dsn, "stream"), ours({ dsn: ourSentry.dsn, logs: true })], { concurrency: 2 })
      const [theirEvent, ourEvent] = [theirSentry.items("event")[0], ourSentry.items("event")[0]]
      assert.deepStrictEqual(missing(theirEvent, ourEvent, /^\.(sdk\.integrations|contexts\.(trace\.parent_span_id|runtime\.version)|exception\.values\[\]\.(stacktrace\.frames\[\]\.module|mechanism\.))/), [])
      for (const read of [
        (event: any) => event.exception.values.map(({ type, value }: any) => [type, value]), (event: any) => event.platform, (event: any) => event.release,
        (event: any) => event.environment, (event: any) => event.exception.values.map(({ mechanism }: any) => [mechanism.exception_id, mechanism.parent_id, mechanism.source])
      ]) assert.deepStrictEqual(read(ourEvent), read(theirEvent))

      const spansOf = (sentry: typeof ourSentry) => sentry.items("span").flatMap(({ items }) => items)
      const [theirSpans, ourSpans] = [spansOf(theirSentry), spansOf(ourSentry)]
      for (const name of ["POST /orders", "charge"]) {
        const [their, our] = [theirSpans, ourSpans].map((spans) => spans.find((span: any) => span.name === name))
        assert.deepStrictEqual(missing(their, our, /\.attributes\.(sentry\.(segment\.|sdk\.integrations|sample_rate))/), [], name)
        for (const key of ["text", "whole", "part", "flag", "list"]) assert.deepStrictEqual(our.attributes[key], their.attributes[key], key)
        assert.strictEqual(our.is_segment, their.is_segment)
        assert.strictEqual(our.status, their.status)
      }
      const [root, child] = ["POST /orders", "charge"].map((name) => ourSpans.find((span: any) => span.name === name))
      assert.strictEqual(child.parent_span_id, root.span_id)
      assert.strictEqual(root.attributes["sentry.op"].value, "http.server")

      const logOf = (sentry: typeof ourSentry) => sentry.items("log").flatMap(({ items }) => items)[0]
      assert.deepStrictEqual(missing(logOf(theirSentry), logOf(ourSentry), /\.attributes\.(k|sentry\.timestamp)/), [])
      for (const type of ["event", "span", "log"]) {
        const headers = (sentry: typeof ourSentry) => sentry.received.flatMap(({ items }) => items).filter(({ header }) => header["type"] === type).map(({ header }) => header["content_type"])
        assert.deepStrictEqual(headers(ourSentry)[0], headers(theirSentry)[0])
      }
    }).pipe(Effect.scoped), 30_000)

  it.live("transactions have everything that its own have", () =>
    Effect.gen(function*() {
      const [theirSentry, ourSentry] = [yield* receiver, yield* receiver]
      yield* Effect.all([runTheirs(theirSentry.dsn, "static"), ours({ dsn: ourSentry.dsn, traces: "transactions" })], { concurrency: 2 })
      const [their, our] = [theirSentry.items("transaction")[0], ourSentry.items("transaction")[0]]
      assert.deepStrictEqual(missing(their, our, /^\.(sdk\.integrations|contexts\.runtime\.version|.*data\.sentry\.(source|op|origin|segment|sample_rate)|breadcrumbs|measurements)/), [])
      assert.deepStrictEqual([our.transaction, our.spans.length, our.contexts.trace.op, our.contexts.trace.status], [their.transaction, their.spans.length, their.contexts.trace.op, "ok"])
      assert.strictEqual(our.spans[0].parent_span_id, our.contexts.trace.span_id)
    }).pipe(Effect.scoped), 30_000)
})
