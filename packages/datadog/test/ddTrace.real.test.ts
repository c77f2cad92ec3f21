import { assert, describe, it } from "@effect/vitest"
import { Baggage, Propagation, Propagator, Telemetry } from "@effect-observability/core"
import { Context, Effect } from "effect"
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { Datadog } from "../src/index.ts"
import { type AgentSpan, type FakeAgent } from "./support/agent.ts"
import { agent } from "./support/scoped.ts"

// Datadog's own tracer sends the same tree to the same receiver, and reads the headers we write.

const outside = process.env["OUTSIDE_MODULES"] ?? ""

interface Said {
  readonly injected: Record<string, string>
  readonly traceId: string
  readonly spanId: string
  readonly extracted: ReadonlyArray<{ readonly traceId: string; readonly spanId: string; readonly priority: number | null; readonly origin: string | null; readonly tags: Record<string, string> } | null>
}

const runDdTrace = (received: FakeAgent, carriers: ReadonlyArray<object>): Effect.Effect<Said> =>
  Effect.promise(() => {
    if (outside === "" || !existsSync(Path.join(outside, "node_modules/dd-trace/package.json"))) {
      throw new Error("dd-trace is missing: npm install dd-trace@6 in a folder, and name that folder in OUTSIDE_MODULES")
    }
    const child = spawn(process.execPath, [fileURLToPath(new URL("./support/ddTraceProgram.cjs", import.meta.url))], {
      stdio: ["ignore", "pipe", "inherit"],
      env: {
        ...process.env, DD_TRACE_AGENT_URL: received.url, DD_SERVICE: "shop", DD_ENV: "prod", DD_VERSION: "7", DD_INSTRUMENTATION_TELEMETRY_ENABLED: "false", DD_REMOTE_CONFIGURATION_ENABLED: "false",
        CARRIERS: JSON.stringify(carriers)
      }
    })
    let out = ""
    child.stdout.on("data", (chunk) => out += String(chunk))
    return new Promise<Said>((done, fail) => child.on("exit", (code) => code === 0 ? done(JSON.parse(out) as Said) : fail(new Error(`dd-trace ended with ${code}`))))
  })

class PaymentFailed extends Error {
  override readonly name = "PaymentFailed"
}

const ours = (received: FakeAgent) =>
  Effect.gen(function*() {
    yield* Effect.gen(function*() {
      const root = yield* Effect.orDie(Effect.currentSpan)
      yield* Effect.gen(function*() {
        const child = yield* Effect.orDie(Effect.currentSpan)
        child.event("halfway", 1_700_000_000_123_000_000n, { step: "two" })
      }).pipe(Effect.withSpan("SELECT orders", { kind: "client", attributes: { "db.system.name": "postgresql" }, links: [{ span: root, attributes: { reason: "retry" } }] }))
      yield* Effect.fail(new PaymentFailed("no funds")).pipe(Effect.withSpan("pay"), Effect.ignore)
    }).pipe(Effect.withSpan("GET /orders/{id}", {
      kind: "server", root: true,
      attributes: { "http.request.method": "GET", "http.response.status_code": 500, "url.full": "https://shop/orders/7", count: 3.5, zero: 0 }
    }))
    yield* (yield* Telemetry).flush
  }).pipe(Effect.provide(Datadog.layer({ dogstatsd: false, traces: received.url, service: "shop", env: "prod", version: "7" })))

/**
 * What only a tracer that patches modules has, what is the machine's, or said once per chunk by us and on every span by them; and that we keep
 * an exception as an event too.
 */
const theirOwn = /^(_dd\.git\..*|_dd\.span_events\.has_exception|runtime-id|_dd\.tags\.process|_dd\.integration|_dd\.sdk\..*|_dd\.agent_psr|service|language|process_id|_dd\.p\.tid|_dd\.entity_id|service\.instance\.id)$/

const comparable = (spans: ReadonlyArray<AgentSpan>) => {
  const byId = new Map(spans.map((span) => [span.span_id, span.resource]))
  const without = (record: Readonly<Record<string, unknown>>) => Object.fromEntries(Object.entries(record).filter(([key, value]) => !theirOwn.test(key) && value !== undefined).toSorted(([a], [b]) => a < b ? -1 : 1))
  return spans.map(({ error, meta, metrics, name, parent_id, resource, service, type }) => ({
    name, resource, service, type, error, parent: byId.get(parent_id),
    metrics: without(metrics),
    meta: without({
      ...meta,
      ...(error === 1 ? { events: undefined } : {}),
      ...(meta["error.stack"] === undefined ? {} : { "error.stack": meta["error.stack"].split("\n", 1)[0] }),
      ...(meta["_dd.span_links"] === undefined
        ? {}
        : { "_dd.span_links": (JSON.parse(meta["_dd.span_links"]) as ReadonlyArray<{ span_id: string; attributes: object }>).map((link) => [byId.get(BigInt(`0x${link.span_id}`)), link.attributes]) })
    })
  })).toSorted((a, b) => a.resource < b.resource ? -1 : 1)
}

describe("dd-trace 6", () => {
  it.live("sends the same for the same spans", () =>
    Effect.gen(function*() {
      const [theirs, mine] = [yield* agent, yield* agent]
      yield* runDdTrace(theirs, [])
      yield* ours(mine)
      assert.deepStrictEqual([theirs.failures, mine.failures], [[], []])
      assert.strictEqual(theirs.spans().length, 3)
      assert.deepStrictEqual(comparable(mine.spans()), comparable(theirs.spans()))
      const headers = (received: FakeAgent) => {
        const { "content-type": type, "datadog-meta-lang": lang, "x-datadog-trace-count": count } = received.requests[0]!.headers
        return [received.requests[0]!.method, received.requests[0]!.url, type, lang, count]
      }
      assert.deepStrictEqual(headers(mine), headers(theirs))
      // One trace is one chunk, its id in two halves.
      const [first] = mine.requests[0]!.chunks[0]!
      assert.match(first!.meta["_dd.p.tid"]!, /^[0-9a-f]{16}$/)
    }).pipe(Effect.scoped), 60_000)

  it.live("reads the headers we write, and we read its own", () =>
    Effect.gen(function*() {
      const received = yield* agent
      const traceId = "0af7651916cd43dd8448eb211c80319c"
      const spanId = "b7ad6b7169203331"
      const written = [
        { traceId, spanId, sampled: true, traceState: "" }, { traceId: `${"0".repeat(16)}8448eb211c80319c`, spanId, sampled: false, traceState: "" },
        { traceId, spanId, sampled: true, traceState: "dd=s:2;o:rum;t.dm:-4;t.usr.id:YQ~~" }, { traceId, spanId, sampled: false, traceState: "dd=s:-1" }
      ].map((span) => {
        const carrier: Record<string, string> = {}
        Propagator.datadog.inject(carrier, { span, baggage: Baggage.empty })
        return carrier
      })
      const foreign: ReadonlyArray<Record<string, string>> = [
        { "x-datadog-trace-id": "123", "x-datadog-parent-id": "456" }, { "x-datadog-trace-id": "123", "x-datadog-parent-id": "456", "x-datadog-sampling-priority": "1", "x-datadog-tags": "bad" },
        { "x-datadog-trace-id": "123", "x-datadog-parent-id": "456", "x-datadog-tags": "_dd.p.tid=nothex,_dd.p.dm=-1" }, { "x-datadog-trace-id": "0", "x-datadog-parent-id": "456" }, { "x-datadog-trace-id": "123" },
        { "x-datadog-trace-id": "18446744073709551615", "x-datadog-parent-id": "18446744073709551615", "x-datadog-sampling-priority": "-1" }
      ]
      const carriers = [...written, ...foreign]
      const said = yield* runDdTrace(received, carriers)
      const mine = carriers.map((carrier) => {
        const { span } = Propagator.datadog.extract(carrier)
        if (span === undefined) return null
        return { traceId: span.traceId, spanId: span.spanId, sampled: span.sampled }
      })
      assert.deepStrictEqual(mine, said.extracted.map((one) => one === null ? null : { traceId: one.traceId, spanId: one.spanId, sampled: one.priority === null || one.priority > 0 }))
      assert.deepStrictEqual(said.extracted.slice(0, 4).map((one) => [one?.priority, one?.origin, one?.tags]), [[1, null, {}], [0, null, {}], [2, "rum", { "_dd.p.dm": "-4", "_dd.p.usr.id": "YQ==" }], [-1, null, {}]])
      for (const propagator of [Propagator.datadog, Propagator.w3c]) {
        const { span } = propagator.extract(said.injected)
        assert.deepStrictEqual([span?.traceId, span?.spanId, span?.sampled], [said.traceId, said.spanId, true])
      }
      // What it says beyond ids comes back from us as it was.
      const { span } = Propagator.datadog.extract(said.injected)
      const again: Record<string, string> = {}
      const state = Context.get(span!.annotations, Propagation.TraceState)
      Propagator.datadog.inject(again, { span: { traceId: span!.traceId, spanId: span!.spanId, sampled: true, traceState: state }, baggage: Baggage.empty })
      assert.strictEqual(again["x-datadog-tags"], said.injected["x-datadog-tags"])
      assert.strictEqual(again["x-datadog-sampling-priority"], "1")
    }).pipe(Effect.scoped), 60_000)
})
