import { type BatchProcessor, Exporter, type SpanData, type Telemetry } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Process from "node:process"
import type { DatadogConfig } from "./DatadogConfig.ts"
import type { AgentTarget } from "./internal/targets.ts"
import { printable } from "./internal/printable.ts"
import { AgentClient, type Answer, type NoAnswer } from "./traces/AgentClient.ts"
import { SpanEncoder } from "./traces/SpanEncoder.ts"

export interface SpansPipe {
  readonly spans: BatchProcessor.BatchProcessor<SpanData>
  /** Shares that the agent asks for, by `service:…,env:…`. */
  readonly rates: () => ReadonlyMap<string, number>
  /** Events and links that did not fit. */
  readonly left: () => number
}

export const tracerVersion = "0.1.0"

/** A request beyond this is split; the agent takes 25 MB. A span of its own may be larger. */
const usualBody = 8 * 1024 * 1024
const largestBody = 20 * 1024 * 1024

const maxBackoff = "5 seconds"
/** For the agent's `/info`. */
const infoTimeout = "2 seconds"
const maxRates = 1_000

interface Prepared {
  readonly number: number
  readonly body: Buffer
  readonly chunks: number
}

/** Ended spans to the agent's own trace API. */
export const start = (config: DatadogConfig, target: AgentTarget, telemetry: Telemetry["Service"]): Effect.Effect<SpansPipe, never, Scope.Scope> =>
  Effect.gen(function*() {
    const client = new AgentClient(target)
    yield* Effect.addFinalizer(() => Effect.sync(() => client.close()))
    const exporter = new TraceExporter(config, client)
    const spans = yield* telemetry.exportSpans({
      name: config.name,
      exporter,
      select: config.spans,
      policy: { maxBackoff, batchSize: config.batchSize, flushInterval: config.spanInterval }
    })
    return { spans, rates: () => exporter.rates, left: () => exporter.left }
  })

class TraceExporter implements Exporter.Exporter<SpanData> {
  rates: ReadonlyMap<string, number> = new Map()
  private readonly client: AgentClient
  private readonly encoder: SpanEncoder
  private readonly headers: Readonly<Record<string, string>>
  private readonly wanted: boolean | "auto"
  private nativeEvents: boolean | undefined
  private prepared: Prepared | undefined
  /** The batch whose request left without an answer. */
  private unanswered = 0

  constructor(config: DatadogConfig, client: AgentClient) {
    this.client = client
    this.wanted = config.nativeSpanEvents
    this.encoder = new SpanEncoder({ service: config.service, env: config.env, version: config.version, tags: config.spanTags, pid: Process.pid })
    this.headers = {
      "Content-Type": "application/msgpack",
      "Datadog-Meta-Lang": "nodejs",
      "Datadog-Meta-Lang-Version": Process.version,
      "Datadog-Meta-Lang-Interpreter": "v8",
      "Datadog-Meta-Tracer-Version": tracerVersion,
      "Datadog-Client-Computed-Top-Level": "yes",
      ...header("Datadog-Container-ID", config.containerId?.startsWith("in-") === true ? undefined : config.containerId),
      ...header("Datadog-Entity-ID", config.entityId ?? (config.containerId === undefined ? undefined : config.containerId.startsWith("in-") ? config.containerId : `ci-${config.containerId}`)),
      ...header("Datadog-External-Env", config.externalData)
    }
  }

  get left(): number {
    return this.encoder.left
  }

  readonly export = (batch: ReadonlyArray<SpanData>, attempt: Exporter.Attempt): Effect.Effect<Exporter.ExportOutcome, Exporter.ExportError> =>
    Effect.gen({ self: this }, function*() {
      if (this.wanted !== "auto") this.nativeEvents = this.wanted
      else if (this.nativeEvents === undefined) this.nativeEvents = yield* this.askForEvents()
      const prepared = this.prepared?.number === attempt.number ? this.prepared : yield* this.prepare(batch, attempt.number, this.nativeEvents)
      const onSent = () => {
        this.unanswered = attempt.number
      }
      const headers = { ...this.headers, "X-Datadog-Trace-Count": String(prepared.chunks) }
      const answer = yield* Effect.catch(
        this.client.request("PUT", "/v0.4/traces", headers, prepared.body, onSent),
        (failure) => Effect.fail(this.away(failure))
      )
      this.unanswered = 0
      const { status } = answer
      if (status >= 200 && status < 300) {
        this.prepared = undefined
        this.learn(answer.body)
        return Exporter.complete
      }
      return yield* Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.fail(this.refusal(answer, now)))
    })

  /** An answer that never came may have been lost on its way back: whether the spans count is then not known. */
  readonly giveUp = (attempt: Exporter.Attempt): Effect.Effect<void, Exporter.ExportError> =>
    Effect.suspend(() => {
      if (this.prepared?.number === attempt.number) this.prepared = undefined
      return this.unanswered === attempt.number ? Effect.fail(Exporter.unavailable("the agent may have taken it")) : Effect.void
    })

  private prepare(batch: ReadonlyArray<SpanData>, number: number, nativeEvents: boolean): Effect.Effect<Prepared, Exporter.ExportError> {
    return Effect.gen({ self: this }, function*() {
      const steps = this.encoder.encode(batch, nativeEvents, batch.length === 1 ? largestBody : usualBody)
      for (;;) {
        const step = steps.next()
        if (step.done === true) {
          const made = step.value
          if (made === undefined) {
            return yield* Effect.fail(Exporter.refused(`${batch.length} spans make a request longer than the agent takes`, "too_large"))
          }
          return this.prepared = { number, ...made }
        }
        yield* Effect.yieldNow
      }
    })
  }

  private away({ message }: NoAnswer): Exporter.ExportError {
    // Another agent may answer next time.
    this.nativeEvents = undefined
    return Exporter.unavailable(message)
  }

  /** An agent that says nothing, or does not know of `/info`, gets events as text. */
  private askForEvents(): Effect.Effect<boolean, Exporter.ExportError> {
    const asked = this.client.request("GET", "/info", {}, undefined)
    return Effect.flatMap(Effect.timeoutOption(Effect.mapError(asked, (failure) => this.away(failure)), infoTimeout), (answer) => {
      if (Option.isNone(answer) || answer.value.status !== 200) return Effect.succeed(false)
      const info = parsed(answer.value.body)
      return Effect.succeed(isRecord(info) && info["span_events"] === true)
    })
  }

  private refusal({ body, retryAfter, status }: Answer, now: number): Exporter.ExportError {
    const { label } = this.client.target
    const said = printable(body)
    const words = said === "" ? "" : `: ${said}`
    if (status === 408 || status === 429 || status >= 500) {
      return Exporter.unavailable(`the agent at ${label} answered ${status}${words}`, Exporter.retryAfter(retryAfter, now))
    }
    this.prepared = undefined
    const reason = status >= 300 && status < 400 ? "redirect" : `rejected:${status}`
    return Exporter.refused(`the agent at ${label} refused the spans (${status}${hints.get(status) ?? ""})${words}`, reason, status === 400 || status === 413)
  }

  private learn(body: string): void {
    const answer = parsed(body)
    const rates = isRecord(answer) ? answer["rate_by_service"] : undefined
    if (!isRecord(rates)) return
    const out = new Map<string, number>()
    for (const [key, rate] of Object.entries(rates)) {
      if (out.size < maxRates && key.length <= 500 && typeof rate === "number" && rate >= 0 && rate <= 1) out.set(key, rate)
    }
    this.rates = out
  }
}

const hints: ReadonlyMap<number, string> = new Map([
  [401, ", is this an agent?"],
  [403, ", is this an agent?"],
  [404, ", check the address: it is no agent, or one older than 6.0"],
  ...[301, 302, 303, 307, 308].map((status) => [status, ", a redirect, which is not followed: use the address it leads to"] as const)
])

const header = (name: string, value: string | undefined): Readonly<Record<string, string>> =>
  value === undefined || !/^[\x20-\x7e]+$/.test(value) ? {} : { [name]: value }

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === "object" && value !== null && !Array.isArray(value)
