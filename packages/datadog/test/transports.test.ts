import { assert, describe, it } from "@effect/vitest"
import { Health, MetricDefinition, MetricsRecorder, ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { Effect, Layer } from "effect"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { Datadog, Dogstatsd } from "../src/index.ts"
import { balanced, books, captured, scoped, udp, until } from "./support/scoped.ts"
import { listenStream, listenUdp, listenUnixDatagram, parse, type Receiver, socketPath } from "./support/statsd.ts"

const Hits = MetricDefinition.counter("hits_total", { help: "x", labelNames: ["n"] })
const Latency = MetricDefinition.histogram("latency_seconds", { help: "x" })

const settings = ObservabilityConfig.layer({ requestTimeout: "300 millis", shutdownTimeout: "600 millis", tracing: { enabled: false } })
const backend = (dogstatsd: string, options: Datadog.DatadogOptions = {}) =>
  Datadog.layer({ dogstatsd, traces: false, containerId: false, flushInterval: "100 millis", ...options }).pipe(Layer.provide(settings))

const path = Effect.acquireRelease(Effect.sync(socketPath), ({ remove }) => Effect.sync(remove))

const total = (receivers: ReadonlyArray<{ readonly lines: () => ReadonlyArray<string> }>, name: string): number =>
  receivers.flatMap((one) => one.lines()).filter((line) => line.startsWith(`${name}:`)).map(parse)
    .reduce((sum, { rate, values }) => sum + values.reduce((all: number, value) => all + Number(value), 0) * Math.floor(1 / rate), 0)

/** Records while `during` happens, and says how much. */
const recordWhile = (during: Effect.Effect<void>) =>
  Effect.gen(function*() {
    const metrics = yield* MetricsRecorder
    let recorded = 0
    const fiber = yield* Effect.forkChild(Effect.forever(Effect.gen(function*() {
      for (let i = 0; i < 40; i++) yield* metrics.incrementCounter(Hits, 1, { n: String(i) })
      yield* metrics.observeHistogram(Latency, 0.25)
      recorded += 40
      yield* Effect.sleep("10 millis")
    })))
    yield* during
    fiber.interruptUnsafe()
    yield* Effect.sleep("20 millis")
    return recorded
  })

/** An agent that is away at first, then there: everything arrives, once. */
const outage = (address: (at: string | number) => string, at: string | number, open: () => Promise<Receiver>) =>
  Effect.gen(function*() {
    yield* Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const health = yield* Health
      let receiver: Receiver | undefined
      const recorded = yield* recordWhile(Effect.gen(function*() {
        yield* until(() => telemetry.reports()[0]?.status === "degraded", "degraded")
        const report = telemetry.reports().find(({ name }) => name === "datadog")!
        assert.match(report.reason ?? "", /ECONNREFUSED|ENOENT/)
        assert.isTrue((yield* health.check).ready)
        yield* Effect.sleep("600 millis")
        balanced(telemetry)
        receiver = yield* Effect.promise(open)
        yield* until(() => telemetry.reports().every(({ status }) => status === "up"), "up again")
      }))
      yield* telemetry.flush
      yield* until(() => total([receiver!], "hits_total") >= recorded, "all arrived")
      yield* Effect.sleep("150 millis")
      assert.strictEqual(total([receiver!], "hits_total"), recorded)
      assert.strictEqual(total([receiver!], "latency_seconds"), recorded / 40 / 4)
      const { dropped, exported, offered, unconfirmed } = books(telemetry, "datadog", "metrics")
      assert.deepStrictEqual([dropped, unconfirmed], [{}, 0])
      assert.isAbove(exported, 2)
      assert.isAtLeast(offered, exported)
      yield* Effect.promise(() => receiver!.close())
    }).pipe(Effect.provide(backend(address(at))))
  })

describe.concurrent("an agent that is away", () => {
  it.live("over UDP: what the system says is heard, and all of it arrives when it is back", () =>
    Effect.gen(function*() {
      const { close, port } = yield* Effect.promise(() => listenUdp())
      yield* Effect.promise(close)
      yield* outage((at) => `udp://127.0.0.1:${at}`, port, () => listenUdp(port))
    }).pipe(Effect.scoped))

  it.live("over a Unix datagram socket", () =>
    Effect.gen(function*() {
      const at = yield* path
      yield* outage((socket) => `unix://${socket}`, at.path, async () => listenUnixDatagram(at.path))
    }).pipe(Effect.scoped))

  it.live("over a Unix stream socket", () =>
    Effect.gen(function*() {
      const at = yield* path
      yield* outage((socket) => `unixstream://${socket}`, at.path, () => listenStream("length", at.path))
    }).pipe(Effect.scoped))

  it.live("restarted under load on a Unix datagram socket: nothing lost, nothing twice", () =>
    Effect.gen(function*() {
      const at = yield* path
      const receivers: Array<Receiver> = [listenUnixDatagram(at.path)]
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        const recorded = yield* recordWhile(Effect.gen(function*() {
          for (let i = 0; i < 3; i++) {
            yield* Effect.sleep("250 millis")
            // What its socket holds when an agent dies is lost with it: it ends between two flushes.
            yield* telemetry.flush
            yield* Effect.sleep("20 millis")
            yield* Effect.promise(() => receivers.at(-1)!.close())
            yield* Effect.sleep("250 millis")
            receivers.push(listenUnixDatagram(at.path))
          }
        }))
        yield* until(() => telemetry.reports().every(({ status }) => status === "up"), "up")
        yield* telemetry.flush
        yield* Effect.sleep("50 millis")
        assert.strictEqual(total(receivers, "hits_total"), recorded)
        assert.deepStrictEqual(books(telemetry, "datadog", "metrics").dropped, {})
      }).pipe(Effect.provide(backend(`unix://${at.path}`)))
      yield* Effect.promise(() => receivers.at(-1)!.close())
    }).pipe(Effect.scoped))

  it.live("stopped with a full socket: attempts end, nothing is sent twice, all arrives when it goes on", () =>
    Effect.gen(function*() {
      const at = yield* path
      const lines: Array<string> = []
      const child = yield* Effect.acquireRelease(
        Effect.sync(() => spawn(process.execPath, [fileURLToPath(new URL("./support/hungReceiver.ts", import.meta.url)), at.path], { stdio: ["ignore", "pipe", "inherit"] })),
        (one) => Effect.sync(() => void one.kill("SIGKILL"))
      )
      createInterface({ input: child.stdout! }).on("line", (line) => void lines.push(...(JSON.parse(line) as string).split("\n")))
      yield* until(() => lines.includes("up"), "receiver is up")
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        const recorded = yield* recordWhile(Effect.gen(function*() {
          yield* Effect.sleep("150 millis")
          process.kill(child.pid!, "SIGSTOP")
          yield* until(() => telemetry.reports()[0]?.status === "degraded", "degraded: the socket is full")
          yield* Effect.sleep("900 millis")
          balanced(telemetry)
          process.kill(child.pid!, "SIGCONT")
          yield* until(() => telemetry.reports().every(({ status }) => status === "up"), "up again")
        }))
        yield* telemetry.flush
        const received = { lines: () => lines }
        yield* until(() => total([received], "hits_total") >= recorded, "all arrived")
        yield* Effect.sleep("100 millis")
        assert.strictEqual(total([received], "hits_total"), recorded)
        assert.deepStrictEqual(books(telemetry, "datadog", "metrics").dropped, {})
      }).pipe(Effect.provide(backend(`unix://${at.path}`, { maxDatagramSize: 256 })))
    }).pipe(Effect.scoped), 30_000)

  it.live("for good: the program ends within its shutdown timeout, and the books say what was left", () =>
    Effect.gen(function*() {
      const at = yield* path
      const listener = captured()
      let began = 0
      yield* Effect.gen(function*() {
        yield* recordWhile(Effect.sleep("300 millis"))
        yield* (yield* Dogstatsd).count("late")
        began = Date.now()
      }).pipe(Effect.provide(listener.layer({ dogstatsd: `unixstream://${at.path}`, traces: false, flushInterval: "100 millis" }).pipe(Layer.provide(settings))))
      assert.isBelow(Date.now() - began, 600 + 250)
      const frames = listener.books("datadog", "metrics")
      assert.deepStrictEqual([frames.exported, frames.queued, frames.inFlight, frames.unconfirmed], [0, 0, 0, 0])
      assert.strictEqual(frames.dropped["shutdown"], frames.offered)
      assert.deepStrictEqual(listener.books("datadog.messages", "metrics").dropped, { shutdown: 1 })
    }).pipe(Effect.scoped))

  it.live("a name that nobody has: degraded, and no error of the program", () =>
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      yield* recordWhile(until(() => telemetry.reports()[0]?.status === "degraded", "degraded"))
      assert.match(telemetry.reports()[0]!.reason ?? "", /name of the host was not found/)
      balanced(telemetry)
    }).pipe(Effect.provide(backend("udp://agent.invalid:8125")), Effect.scoped))
})

describe("datagrams", () => {
  it.live("over TCP and over a Unix stream are told apart by their framing", () =>
    Effect.gen(function*() {
      const at = yield* path
      const receivers = [yield* scoped(() => listenStream("line")), yield* scoped(() => listenStream("length", at.path))]
      for (const receiver of receivers) {
        yield* Effect.gen(function*() {
          const telemetry = yield* Telemetry
          yield* recordWhile(Effect.sleep("300 millis"))
          yield* telemetry.flush
          balanced(telemetry)
        }).pipe(Effect.provide(backend(receiver.address, { maxDatagramSize: 300 })))
        yield* until(() => receiver.lines().length > 40, "lines")
        assert.isTrue(receiver.samples().every(({ name }) => /^[a-z_.]+$/.test(name)))
        if (receiver !== receivers[0]) assert.isTrue(receiver.datagrams.every((one) => Buffer.byteLength(one) <= 300))
      }
    }).pipe(Effect.scoped))

  it.live("too long for any: refused, counted, and the rest goes on", () =>
    Effect.gen(function*() {
      const receiver = yield* udp
      yield* Effect.gen(function*() {
        const service = yield* Dogstatsd
        const telemetry = yield* Telemetry
        const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`key${i}`, "x".repeat(190)]))
        yield* service.count("before")
        yield* service.count("long", 1, { tags: many })
        yield* service.count("after")
        yield* telemetry.flush
        const ledger = books(telemetry, "datadog.messages", "metrics")
        assert.deepStrictEqual([ledger.exported, ledger.dropped], [2, { too_long: 1 }])
        assert.deepStrictEqual(telemetry.reports().find(({ name }) => name === "datadog.messages")?.repaired, { datagrams_too_long: 1 })
      }).pipe(Effect.provide(backend(receiver.address)))
      yield* Effect.sleep("30 millis")
      assert.deepStrictEqual(receiver.samples().map(({ name }) => name).filter((name) => !name.startsWith("obs_")), ["before", "after"])
    }).pipe(Effect.scoped))
})
