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
  /** The request of each category that left and was not answered. */
  private readonly unanswered = new Set<Category>()

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
      }),
    giveUp: () => this.doubt("error")
  }

  readonly spans: Exporter.Exporter<SpanData> = {
    export: (batch) => Effect.suspend(() => this.deliver("span", [Encoding.spansItem(batch, this.config)])),
    giveUp: () => this.doubt("span")
  }

  readonly transactions: Exporter.Exporter<SpanData> = (() => {
    // An envelope takes one transaction: what a batch has delivered before it failed is not sent again.
    let number = 0
    let delivered = new Set<string>()
    return {
      // Those of the batch that were answered count as unknown too: the books know spans, not transactions.
      giveUp: ({ number: given }) => Effect.suspend(() => given === number && delivered.size > 0 ? Effect.fail(Exporter.unavailable("Sentry has a part of it")) : this.doubt("transaction")),
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
    export: (batch) => Effect.suspend(() => this.deliver("log_item", [Encoding.logsItem(batch, this.config)])),
    giveUp: () => this.doubt("log_item")
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
    )).pipe(Effect.ensuring(Effect.sync(() => this.reports.returned())))
  })

  private lastLook(event: Encoding.SentryEvent): Encoding.SentryEvent | undefined {
    const { beforeSend } = this.config
    try {
      const seen = beforeSend === undefined ? event : beforeSend(event)
      // A promise, or whatever else untyped code gives back, is no event.
      return typeof seen?.event_id === "string" ? Encoding.fitting(seen) : undefined
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
        const sent = this.client.send(Encoding.envelopeOf(all, wall, eventId), () => this.unanswered.add(category)).pipe(
          Effect.mapError(({ message }) => Exporter.unavailable(message)),
          // No answer, or none in time: the last report must not wait for another.
          Effect.onError(() => Effect.sync(() => this.reachable = false))
        )
        const answered = Effect.flatMap(sent, (answer): Outcome => {
          this.reachable = true
          this.unanswered.delete(category)
          const then = Number(clock.monotonicTimeNanosUnsafe()) / 1e6
          const wanted = Exporter.retryAfter(answer.retryAfter, clock.currentTimeMillisUnsafe())
          this.limits.learn({ ...answer, retryAfter: wanted === undefined ? undefined : Duration.toSeconds(wanted) }, then)
          if (answer.status >= 200 && answer.status < 300) {
            if (due !== undefined) {
              this.reports.arrived()
              this.reportedAt = then
            }
            return Effect.succeed(Exporter.complete)
          }
          return Effect.fail(this.refusal(category, answer, wanted, then))
        })
        return due === undefined ? answered : Effect.ensuring(answered, Effect.sync(() => this.reports.returned()))
      }))
  }

  /** Whether Sentry took what it never answered cannot be known. */
  private doubt(category: Category): Effect.Effect<void, Exporter.ExportError> {
    return Effect.suspend(() => this.unanswered.delete(category) ? Effect.fail(Exporter.unavailable("Sentry may have taken it")) : Effect.void)
  }

  private refusal(category: Category, { body, status }: Answer, wanted: Duration.Duration | undefined, now: number): Exporter.ExportError {
    const { label } = this.config.dsn
    // A server that repeats what it was asked with must not have the key shown.
    const said = printable(body.replaceAll(this.config.dsn.publicKey, "***"))
    const words = said === "" ? "" : `: ${said}`
    if (status === 408 || status === 429 || status >= 500) {
      const wait = status === 429 ? this.limits.wait(category, now) : wanted === undefined ? 0 : Duration.toMillis(wanted)
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
