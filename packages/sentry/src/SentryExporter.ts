import { type ErrorData, Exporter, type LogData, type SpanData } from "@effect-observability/core"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { ClientReports } from "./internal/ClientReports.ts"
import { type Answer, EnvelopeClient } from "./internal/EnvelopeClient.ts"
import { printable } from "./internal/printable.ts"
import { type Category, RateLimits } from "./internal/RateLimits.ts"
import type { SentryConfig } from "./SentryConfig.ts"
import * as Encoding from "./SentryEncoding.ts"

type Outcome = Effect.Effect<Exporter.ExportOutcome, Exporter.ExportError>

/** A report goes with the next envelope when the last one is this old. Milliseconds. */
const reportInterval = 30_000

/** One connection to Sentry for all that goes there: what it limits, and what it is told about losses. */
export class SentrySink {
  readonly reports = new ClientReports()
  private readonly config: SentryConfig
  private readonly client: EnvelopeClient
  private readonly limits = new RateLimits()
  private reportedAt = -Infinity
  private reachable = true

  constructor(config: SentryConfig) {
    this.config = config
    this.client = new EnvelopeClient(config.dsn)
  }

  close(): void {
    this.client.close()
  }

  /** Each error is an envelope: Sentry takes one event in each. */
  readonly errors: Exporter.Exporter<ErrorData> = {
    export: ([error]) =>
      Effect.suspend((): Outcome => {
        const event = this.lastLook(Encoding.eventOf(error, this.config))
        if (event === undefined) return Effect.succeed({ rejected: 1, reason: "before_send" })
        return this.deliver("error", [Encoding.eventItem(event)], event.event_id)
      })
  }

  readonly spans: Exporter.Exporter<SpanData> = {
    export: (batch) => this.deliver("span", [Encoding.spansItem(batch, this.config)])
  }

  readonly transactions: Exporter.Exporter<SpanData> = (() => {
    // An envelope takes one transaction: what a batch has delivered before it failed is not sent again.
    let number = 0
    let delivered = new Set<string>()
    return {
      export: (batch, attempt) =>
        Effect.gen({ self: this }, function*() {
          if (number !== attempt.number) {
            number = attempt.number
            delivered = new Set()
          }
          for (const transaction of Encoding.transactionsOf(batch, this.config)) {
            if (delivered.has(transaction.event_id)) continue
            yield* this.deliver("transaction", [Encoding.transactionItem(transaction)], transaction.event_id)
            delivered.add(transaction.event_id)
          }
          return Exporter.complete
        })
    }
  })()

  readonly logs: Exporter.Exporter<LogData> = {
    export: (batch) => this.deliver("log_item", [Encoding.logsItem(batch, this.config)])
  }

  /** Tells what was lost and not told yet; nothing when Sentry could not be reached last time. */
  readonly report: Effect.Effect<void> = Effect.suspend(() => {
    const discarded = this.reachable ? this.reports.take() : undefined
    return discarded === undefined ? Effect.void : Effect.ignore(Effect.flatMap(
      Clock.currentTimeMillis,
      (now) => Effect.tap(this.client.send(Encoding.envelopeOf([Encoding.reportItem(discarded, now)], now)), ({ status }) =>
        Effect.sync(() => {
          if (status >= 200 && status < 300) this.reports.arrived()
        }))
    ))
  })

  private lastLook(event: Encoding.SentryEvent): Encoding.SentryEvent | undefined {
    const { beforeSend } = this.config
    if (beforeSend === undefined) return event
    try {
      return beforeSend(event) ?? undefined
    } catch {
      return undefined
    }
  }

  private deliver(category: Category, items: ReadonlyArray<Encoding.Item>, eventId?: string): Outcome {
    return Effect.flatMap(Clock.Clock, (clock) =>
      Effect.suspend(() => {
        const now = Number(clock.monotonicTimeNanosUnsafe()) / 1e6
        const wait = this.limits.wait(category, now)
        if (wait > 0) return Effect.fail(Exporter.unavailable(`Sentry at ${this.config.dsn.label} asked for no ${category} for ${Math.ceil(wait / 1_000)} s`, Duration.millis(wait)))
        const wall = clock.currentTimeMillisUnsafe()
        const due = now - this.reportedAt >= reportInterval ? this.reports.take() : undefined
        const all = due === undefined ? items : [...items, Encoding.reportItem(due, wall)]
        const sent = Effect.mapError(this.client.send(Encoding.envelopeOf(all, wall, eventId)), ({ message }) => {
          this.reachable = false
          return Exporter.unavailable(message)
        })
        return Effect.flatMap(sent, (answer): Outcome => {
          this.reachable = true
          const then = Number(clock.monotonicTimeNanosUnsafe()) / 1e6
          this.limits.learn(answer, then)
          if (answer.status >= 200 && answer.status < 300) {
            if (due !== undefined) {
              this.reports.arrived()
              this.reportedAt = then
            }
            return Effect.succeed(Exporter.complete)
          }
          return Effect.fail(this.refusal(category, answer, then))
        })
      }))
  }

  private refusal(category: Category, { body, retryAfter, status }: Answer, now: number): Exporter.ExportError {
    const { label } = this.config.dsn
    const said = printable(body)
    const words = said === "" ? "" : `: ${said}`
    if (status === 408 || status === 429 || status >= 500) {
      const wait = status === 429 ? this.limits.wait(category, now) : (retryAfter ?? 0) * 1_000
      return Exporter.unavailable(`Sentry at ${label} answered ${status}${words}`, wait > 0 ? Duration.millis(wait) : undefined)
    }
    const hint = status === 401 || status === 403
      ? ", check the key of the DSN"
      : status === 404
      ? ", check the host and project of the DSN"
      : status >= 300 && status < 400
      ? ", a redirect, which is not followed: use the address it leads to"
      : ""
    return Exporter.refused(
      `Sentry at ${label} refused it (${status}${hint})${words}`,
      status >= 300 && status < 400 ? "redirect" : `rejected:${status}`,
      status === 400 || status === 413
    )
  }
}
