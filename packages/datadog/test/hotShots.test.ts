import { assert, describe, it } from "@effect/vitest"
import { Telemetry } from "@effect-observability/core"
import { Effect } from "effect"
import { StatsD } from "hot-shots"
import { Datadog, Dogstatsd } from "../src/index.ts"
import type { MetricKind } from "../src/DatadogEncoding.ts"
import { arrive, balanced, books, udp } from "./support/scoped.ts"

// The same calls through Datadog's most used client for Node and through ours, both received on a socket.

const globalTags = { team: "shop", zone: "eu:1" }

/** Both sides of one call. */
interface Call {
  readonly name: string
  readonly theirs: (client: StatsD) => void
  readonly ours: (client: Dogstatsd["Service"]) => Effect.Effect<void> | void
}

const hostile = ["a\nb:1|c", "pipe|d", "hash#e", "colon:f", "comma,g", "at@h", "ünïcødé 请求 🎉", "\r\nx", "{}", "a b", "'; drop table", "\u2028", "__proto__"]

type Method = "increment" | "gauge" | "histogram" | "distribution" | "timing" | "set"
const methods: Readonly<Record<Method, MetricKind>> = { increment: "c", gauge: "g", histogram: "h", distribution: "d", timing: "ms", set: "s" }

const metric = (method: Method, name: string, value: number | string, tags?: Record<string, string>): Call => ({
  name: `${method} ${JSON.stringify(name)} ${value} ${JSON.stringify(tags)}`,
  theirs: (client) => (client[method] as (name: string, value: unknown, tags?: unknown) => void).call(client, name, value, tags),
  ours: (client) => void client.sendUnsafe(methods[method], name, value, tags === undefined ? {} : { tags })
})

const calls: ReadonlyArray<Call> = [
  ...Object.keys(methods).flatMap((method) => [1, 0, -3.5, 1e21, 5e-324, 0.1 + 0.2, 9007199254740991].map((value) => metric(method as Method, `plain.${method}`, value))),
  ...hostile.flatMap((text) => [metric("increment", `n.${text}`, 1), metric("gauge", "tagged", 2, { value: text, [`k${text}`]: "v" })]),
  metric("increment", "three", 1, { a: "1", b: "2", c: "3" }),
  metric("increment", "overrides", 1, { zone: "us", more: "x" }),
  metric("set", "users", "ann"),
  metric("increment", "empty", 1, { a: "" }),
  {
    name: "default increment",
    theirs: (client) => client.increment("once"),
    ours: (client) => client.count("once")
  },
  {
    name: "a time",
    theirs: (client) => client.gauge("timed", 4, { timestamp: 1_700_000_000 } as never),
    ours: (client) => client.gauge("timed", 4, { time: 1_700_000_000 })
  },
  {
    name: "events",
    theirs: (client) => client.event("title", "two\nlines", { alert_type: "error", priority: "low", hostname: "h1", aggregation_key: "k", source_type_name: "node", date_happened: 1_700_000_000 } as never, { a: "b" }),
    ours: (client) =>
      client.event("title", "two\nlines", { alertType: "error", priority: "low", hostname: "h1", aggregationKey: "k", sourceTypeName: "node", time: 1_700_000_000, tags: { a: "b" } })
  },
  { name: "an event of a title", theirs: (client) => client.event("title"), ours: (client) => client.event("title") },
  {
    name: "checks",
    theirs: (client) => client.check("svc", client.CHECKS.CRITICAL, { hostname: "h1", message: "is down", date_happened: 1_700_000_000 } as never, { a: "b,c" }),
    ours: (client) => client.serviceCheck("svc", "critical", { hostname: "h1", message: "is down", time: 1_700_000_000, tags: { a: "b,c" } })
  },
  { name: "a bare check", theirs: (client) => client.check("svc", client.CHECKS.OK), ours: (client) => client.serviceCheck("svc", "ok") }
]

const client = (address: string, options: Datadog.DatadogOptions = {}) =>
  Datadog.layer({ dogstatsd: address, traces: false, containerId: false, service: "", env: "", version: "", tags: globalTags, ...options })

describe("the same calls as hot-shots", () => {
  it.live("give the same bytes", () =>
    Effect.gen(function*() {
      const [theirs, ours] = [yield* udp, yield* udp]
      const hot = new StatsD({ host: "127.0.0.1", port: theirs.port, globalTags, maxBufferSize: 0, includeDataDogTags: false, datadog: false } as never)
      yield* Effect.addFinalizer(() => Effect.promise(() => new Promise<void>((done) => hot.close(() => done()))))
      yield* Effect.gen(function*() {
        const service = yield* Dogstatsd
        const telemetry = yield* Telemetry
        for (const { ours: ask } of calls) {
          const asked = ask(service)
          if (asked !== undefined) yield* asked
        }
        yield* telemetry.flush
        const ledger = books(telemetry, "datadog.messages", "metrics")
        assert.strictEqual(ledger.exported, calls.length)
        balanced(telemetry)
      }).pipe(Effect.provide(client(ours.address)))
      for (const { theirs: ask } of calls) ask(hot)
      yield* arrive
      const mine = ours.lines().filter((line) => !line.startsWith("obs_"))
      assert.strictEqual(mine.length, calls.length)
      assert.strictEqual(theirs.datagrams.length, calls.length)
      for (const [i, { name }] of calls.entries()) assert.strictEqual(mine[i], theirs.datagrams[i], name)
      assert.isAbove(ours.datagrams.every((one) => Buffer.byteLength(one) <= 1432) ? 1 : 0, 0)
    }).pipe(Effect.scoped))

  it.live("are better where theirs go wrong: bytes of an event, no number, nothing to say", () =>
    Effect.gen(function*() {
      const receiver = yield* udp
      yield* Effect.gen(function*() {
        const service = yield* Dogstatsd
        const telemetry = yield* Telemetry
        // The agent counts bytes; hot-shots writes the length in UTF-16.
        yield* service.event("ü", "请求")
        // A line feed in a title would begin a message of its own.
        yield* service.event("a\nb:1|c", "x")
        yield* service.serviceCheck("a|b\nc", "warning", { message: "m|n\no:1|c" })
        for (const value of [NaN, Infinity, -Infinity, "7" as never, {} as never, null as never]) yield* service.gauge("wrong", value)
        yield* service.event("", "no title")
        yield* service.serviceCheck("svc", "bad" as never)
        yield* service.count("", 1)
        yield* service.count("wrong", 1, { sampleRate: 0 })
        yield* service.histogram("wrong", 1, { time: 5 })
        const hurt = { get tags(): never {
          throw new Error("no")
        } }
        yield* service.count("hurt", 1, hurt)
        yield* telemetry.flush
        const { exported, rejected } = books(telemetry, "datadog.messages", "metrics")
        assert.strictEqual(exported, 3)
        assert.deepStrictEqual(rejected, { invalid_value: 8, invalid: 3, invalid_name: 1 })
      }).pipe(Effect.provide(client(receiver.address, { tags: {} })))
      yield* arrive
      assert.deepStrictEqual(receiver.lines().filter((line) => !line.startsWith("obs_")), [
        "_e{2,6}:ü|请求", "_e{8,1}:a\\nb:1|c|x", "_sc|a_b_c|1|m:m_n\\no:1_c"
      ])
    }).pipe(Effect.scoped))

  it.live("sampling sends a share and says which", () =>
    Effect.gen(function*() {
      const receiver = yield* udp
      yield* Effect.gen(function*() {
        const service = yield* Dogstatsd
        for (let i = 0; i < 2000; i++) yield* service.count("sampled", 1, { sampleRate: 0.25 })
        yield* (yield* Telemetry).flush
      }).pipe(Effect.provide(client(receiver.address)))
      yield* arrive
      const sampled = receiver.samples().filter(({ name }) => name === "sampled")
      assert.isTrue(sampled.every(({ rate }) => rate === 0.25))
      assert.isTrue(sampled.length > 350 && sampled.length < 650, `${sampled.length}`)
    }).pipe(Effect.scoped))
})
