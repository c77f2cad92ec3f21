import { Ledger, MetricsRecorder, ObservabilityConfig, type ObservabilityInput, Telemetry, Tracer } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Redacted, type Scope } from "effect"
import * as fc from "fast-check"
import { Pushgateway } from "../src/index.ts"
import { segments } from "../src/internal/pushTarget.ts"
import { Gateway } from "./support/Gateway.ts"
import { parseText } from "./support/parseText.ts"

const gateway = Effect.acquireRelease(Effect.promise(() => Gateway.start()), (gateway) => Effect.promise(() => gateway.close().catch(() => {})))

type Options = Partial<Pushgateway.PushgatewayOptions>

/** Runs a program with pushes at flushes and at the end only. */
const pushing = <A, E>(
  url: string,
  program: Effect.Effect<A, E, MetricsRecorder | Telemetry | Tracer | Scope.Scope>,
  options: Options = {},
  config: ObservabilityInput = {}
): Effect.Effect<A, E> =>
  Effect.scoped(Effect.provide(program, Pushgateway.layerOnClose({ url, job: "job", ...options }).pipe(
    Layer.provide(ObservabilityConfig.layer(config)),
    Layer.orDie,
    Layer.fresh
  )))

const count = (n: number) => Effect.flatMap(MetricsRecorder, (metrics) => metrics.incrementCounter("jobs_total", n))
const flush = Effect.flatMap(Telemetry, (telemetry) => telemetry.flush)
const report = Effect.map(Telemetry, (telemetry) => {
  const report = telemetry.reports().find(({ kind }) => kind === "pushgateway")!
  const { ledger } = report.signals[0]!
  assert.isUndefined(Ledger.imbalance(ledger))
  return { ...report, ledger }
})
const jobs = (body: string) => parseText(body).samples.find(({ name }) => name === "jobs_total")?.value

describe("a push", () => {
  it.live("brings the page to the job's group, unobserved", () =>
    Effect.gen(function*() {
      const server = yield* gateway
      const spans: Array<string> = []
      const ledger = yield* pushing(
        `${server.url}/prefix/`,
        Effect.gen(function*() {
          const { register } = yield* Telemetry
          yield* register({ name: "spans", kind: "test", onSpan: ({ name }) => spans.push(name), report: () => ({ name: "spans", kind: "test", status: "up", reason: undefined, signals: [] }) })
          yield* count(2)
          yield* Effect.withSpan(flush, "flush")
          yield* count(3)
          return (yield* report).ledger
        }),
        { job: "nightly import", groupingKey: { instance: "a", path: "/x", empty: "" }, username: "me", password: Redacted.make("p:ß") }
      )
      assert.strictEqual(ledger.exported, 1)
      assert.deepStrictEqual(spans, ["flush"])
      assert.deepStrictEqual(server.methods, ["PUT", "PUT"])
      const [first, last] = server.received
      assert.strictEqual(first!.url, `/prefix/metrics/job@base64/${Buffer.from("nightly import").toString("base64url")}/instance/a/path@base64/L3g/empty@base64/=`)
      assert.strictEqual(first!.headers["authorization"], `Basic ${Buffer.from("me:p:ß").toString("base64")}`)
      assert.strictEqual(first!.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
      for (const header of ["traceparent", "b3", "baggage"]) assert.isUndefined(first!.headers[header])
      assert.deepStrictEqual([jobs(first!.body), jobs(last!.body)], [2, 5])
    }).pipe(Effect.scoped))

  it.live("adds to the group where that is wanted, with a token, and leaves with the scope", () =>
    Effect.gen(function*() {
      const server = yield* gateway
      yield* pushing(server.url, Effect.andThen(count(1), flush), { method: "pushAdd", token: Redacted.make("s3cret"), deleteOnClose: true })
      assert.deepStrictEqual(server.methods, ["POST", "POST", "DELETE"])
      assert.deepStrictEqual(new Set(server.received.map(({ url }) => url)), new Set(["/metrics/job/job"]))
      assert.deepStrictEqual(new Set(server.received.map(({ headers }) => headers["authorization"])), new Set(["Bearer s3cret"]))
      assert.strictEqual(server.received[2]!.body, "")
    }).pipe(Effect.scoped))

  it.live("happens at every interval", () =>
    Effect.gen(function*() {
      const server = yield* gateway
      yield* Effect.scoped(Effect.provide(
        Effect.gen(function*() {
          yield* count(1)
          while (server.received.length < 3) yield* Effect.sleep("20 millis")
        }),
        Pushgateway.layer({ url: server.url, job: "job", interval: "50 millis" }).pipe(Layer.fresh)
      ))
      assert.isAtLeast(server.received.length, 3)
    }).pipe(Effect.scoped))

  it.live("does nothing where observability is switched off", () =>
    Effect.gen(function*() {
      const server = yield* gateway
      yield* pushing(server.url, Effect.andThen(count(1), flush), { deleteOnClose: true }, { enabled: false })
      assert.deepStrictEqual(server.received, [])
    }).pipe(Effect.scoped))
})

describe("a Pushgateway that does not take it", () => {
  it.live("says no: counted by its status, explained, and the next push brings everything", () =>
    Effect.gen(function*() {
      const server = yield* gateway
      yield* pushing(
        server.url,
        Effect.gen(function*() {
          server.answer(400, "pushed metrics are invalid or inconsistent\u0000\u001b[2J with existing metrics: jobs_total\nsecond line")
          yield* count(2)
          yield* flush
          const refused = yield* report
          assert.deepStrictEqual(refused.ledger.dropped, { "rejected:400": 1 })
          assert.strictEqual(refused.status, "degraded")
          assert.match(refused.reason!, /refused the push \(400, the metrics do not fit.*\): pushed metrics are invalid or inconsistent {2}\[2J with existing metrics: jobs_total$/)
          yield* count(3)
          yield* flush
          const taken = yield* report
          assert.deepStrictEqual([taken.status, taken.reason, taken.ledger.exported], ["up", undefined, 1])
          assert.strictEqual(jobs(server.received[1]!.body), 5)
          const { store } = yield* Telemetry
          const dropped = store.family("obs_dropped_metrics_total")!
          assert.deepStrictEqual(dropped.series.map((series) => [...series.labelValues, dropped.value(series)]), [["pushgateway", "metrics", "rejected:400", 1]])
        })
      )
    }).pipe(Effect.scoped))

  for (const status of [401, 403, 404, 413, 415]) {
    it.live(`answers ${status}: not tried again`, () =>
      Effect.gen(function*() {
        const server = yield* gateway
        const { ledger } = yield* pushing(server.url, Effect.suspend(() => {
          server.answer(status)
          return Effect.andThen(Effect.andThen(count(1), flush), report)
        }))
        assert.deepStrictEqual(ledger.dropped, { [`rejected:${status}`]: 1 })
      }).pipe(Effect.scoped))
  }

  it.live("is busy: tried again until it takes it", () =>
    Effect.gen(function*() {
      const server = yield* gateway
      server.answer(503)
      server.answer(429, "", { "retry-after": "0" })
      server.answer(408, "", { "retry-after": "-1, Thu, 01 Jan 1970" })
      server.answers.push((request) => request.socket.destroy())
      const { ledger } = yield* pushing(server.url, Effect.andThen(Effect.andThen(count(1), flush), report), {}, { requestTimeout: 5 })
      assert.deepStrictEqual([ledger.exported, ledger.dropped], [1, {}])
      assert.isAtLeast(server.received.length, 5)
    }).pipe(Effect.scoped), 60_000)

  it.live("is not followed elsewhere", () =>
    Effect.gen(function*() {
      const server = yield* gateway
      const other = yield* gateway
      server.answer(307, "", { location: `${other.url}/metrics/job/job` })
      const { ledger, reason } = yield* pushing(server.url, Effect.andThen(Effect.andThen(count(1), flush), report), { token: Redacted.make("s3cret") })
      assert.deepStrictEqual(ledger.dropped, { redirect: 1 })
      assert.match(reason!, /redirect, which is not followed/)
      assert.deepStrictEqual(other.received, [])
    }).pipe(Effect.scoped))

  it.live("answers without end: little of it is read", () =>
    Effect.gen(function*() {
      const server = yield* gateway
      let written = 0
      let closed = false
      server.answers.push((_, response) => {
        response.writeHead(400)
        const chunk = "x".repeat(64 * 1024)
        const more = () => {
          while (!response.destroyed && response.write(chunk)) written += chunk.length
        }
        response.on("drain", more)
        response.on("close", () => closed = true)
        more()
      })
      const { ledger, reason } = yield* pushing(server.url, Effect.andThen(Effect.andThen(count(1), flush), report))
      assert.deepStrictEqual(ledger.dropped, { "rejected:400": 1 })
      assert.isBelow(reason!.length, 600)
      while (!closed) yield* Effect.sleep("10 millis")
      assert.isBelow(written, 64 * 1024 * 1024)
    }).pipe(Effect.scoped))

  it.live("is not there, or never answers: the program ends all the same, and the loss is counted", () =>
    Effect.gen(function*() {
      const server = yield* gateway
      const hung = yield* gateway
      for (let i = 0; i < 10; i++) hung.answers.push(() => {})
      const urls = [server.url, hung.url]
      yield* Effect.promise(() => server.close())
      for (const url of urls) {
        const program = Effect.gen(function*() {
          yield* count(1)
          const telemetry = yield* Telemetry
          yield* Effect.timeoutOption(flush, "1500 millis")
          const { reason, status } = yield* report
          return { telemetry, reason, status }
        })
        const { reason, status, telemetry } = yield* pushing(url, program, { deleteOnClose: true }, { requestTimeout: 1, shutdownTimeout: 1 })
        assert.deepStrictEqual([status, /ECONNREFUSED|no answer within/.test(reason!)], ["degraded", true], reason)
        const dropped = telemetry.store.family("obs_dropped_metrics_total")!
        assert.deepStrictEqual(dropped.series.map(({ labelValues }) => labelValues[2]), ["shutdown"])
      }
    }).pipe(Effect.scoped), 60_000)
})

describe("the options", () => {
  const problems = (options: Options) =>
    Effect.map(Effect.exit(Effect.scoped(Layer.build(Pushgateway.layer({ url: "http://127.0.0.1:1", job: "job", ...options }).pipe(Layer.fresh)))), (exit) => {
      assert.isTrue(Exit.isFailure(exit))
      return String(exit)
    })

  const wrong: ReadonlyArray<readonly [Options, RegExp]> = [
    [{ url: "pushgateway:9091" }, /url has the scheme pushgateway: use http/],
    [{ url: "" }, /url is no URL/],
    [{ url: "file:///etc/passwd" }, /url has the scheme file:/],
    [{ url: "http://x/?a=s3cret" }, /url has a query/],
    [{ url: "http://me:s3cret@x", token: Redacted.make("s3cret2") }, /token and url both carry credentials/],
    [{ url: "http://%ff:s3cret@x" }, /url has credentials that are not percent-encoded/],
    [{ job: "" }, /job is empty/],
    [{ groupingKey: { job: "x" } }, /groupingKey has "job": give it as job/],
    [{ groupingKey: { "a/b": "x" } }, /groupingKey has "a\/b": a label name/],
    [{ groupingKey: { "x@base64": "x" } }, /groupingKey has "x@base64"/],
    [{ groupingKey: { __name__: "x" } }, /groupingKey has "__name__"/],
    [{ password: Redacted.make("s3cret") }, /password is given without username/],
    [{ username: "a:b", password: Redacted.make("s3cret") }, /username has a colon/],
    [{ token: Redacted.make("s3cret\r\nx: y") }, /token is empty or has characters/],
    [{ token: Redacted.make("") }, /token is empty/],
    [{ interval: 0 }, /interval is less than 10 milliseconds/],
    [{ interval: Number.NaN }, /interval is less than/],
    [{ job: undefined as unknown as string }, /job is empty/]
  ]
  for (const [options, message] of wrong) {
    it.effect(String(message), () =>
      Effect.map(problems(options), (text) => {
        assert.match(text, message)
        assert.notInclude(text, "s3cret")
      }))
  }

  it.effect("are all looked at before the program is told", () =>
    Effect.map(problems({ url: "x", job: "", groupingKey: { "": "" } }), (text) => {
      for (const field of ["url", "job", "groupingKey"]) assert.include(text, `Pushgateway: ${field}`)
    }))

  it.live("credentials in the url travel in a header and are shown nowhere", () =>
    Effect.gen(function*() {
      const server = yield* gateway
      server.answer(401, "no")
      const found = yield* pushing(server.url.replace("//", "//me:s3%2Fcret@"), Effect.andThen(Effect.andThen(count(1), flush), report))
      assert.strictEqual(server.received[0]!.headers["authorization"], `Basic ${Buffer.from("me:s3/cret").toString("base64")}`)
      assert.strictEqual(server.received[0]!.url, "/metrics/job/job")
      assert.notMatch(JSON.stringify(found), /s3/)
    }).pipe(Effect.scoped))
})

describe("a group's path", () => {
  it("has two segments per label, whatever the value, and gives it back", () => {
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("", ".", "..", "../../admin", "a/b", "x@base64", "@base64", "%2e%2e", "?x", "#x", "a\\b", "\r\nx", "请求", "\ud800"))
    fc.assert(fc.property(text, (value) => {
      const path = new URL(`http://x/metrics/${segments("job", value)}/end/1`).pathname
      const [, metrics, label, encoded, end, one, ...rest] = path.split("/")
      assert.deepStrictEqual([metrics, end, one, rest], ["metrics", "end", "1", []])
      const read = label === "job@base64" ? Buffer.from(encoded!, "base64url").toString() : decodeURIComponent(encoded!)
      assert.include(["job", "job@base64"], label)
      assert.strictEqual(read, value.toWellFormed())
    }), { numRuns: 500 })
  })
})
