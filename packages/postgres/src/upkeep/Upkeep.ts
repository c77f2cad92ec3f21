import type { CapacityReport, UpkeepAction, UpkeepReport, UpkeepSettings } from "@effect-observability/core"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import { describe } from "../internal/errors.ts"
import { sqlNames } from "../internal/names.ts"
import { pass as packMetrics } from "../internal/packing/worker.ts"
import { text } from "../internal/parameters.ts"
import * as Partitions from "../internal/partitions.ts"
import type { Session } from "../internal/session.ts"
import type { Store } from "../internal/Store.ts"
import { type PostgresConfig, spanTables } from "../PostgresConfig.ts"
import * as SpanPacker from "../spans/SpanPacker.ts"
import { configuredDays, daysAt, decide, type Decision, shortened, type State } from "./decide.ts"

/** Holds the step that was decided on, for whoever asks how long something is kept. */
export class Steering {
  step = 0
  private readonly config: PostgresConfig
  /** What is kept when nothing is wrong. */
  readonly configured: PostgresConfig["retention"]

  constructor(config: PostgresConfig) {
    this.config = config
    this.configured = config.retention
  }

  /** The options with a retention that follows the step. */
  get steered(): PostgresConfig {
    const { upkeep } = this.config
    if (upkeep === undefined || upkeep.dryRun) return this.config
    return { ...this.config, retention: () => shortened(this.configured(), upkeep.floor, this.step, spanTables) }
  }
}

export interface Upkeep {
  readonly report: () => UpkeepReport
  /** One round, as the loop makes them every minute. `now` instead of the server's clock, milliseconds. */
  readonly once: (now?: number) => Effect.Effect<void>
}

const interval = Duration.minutes(1)
/** A round that hangs is broken off. */
const limit = Duration.minutes(20)
/** Who has not decided for so long leads no more. */
const lease = 180_000
const remembered = 20
/** A forecast from less recording moves nothing. Milliseconds. */
const enough = 240_000

export interface UpkeepParts {
  readonly store: Store
  readonly steering: Steering
  readonly settings: UpkeepSettings
  readonly capacity: () => CapacityReport | undefined
  /** A uuid of the process. */
  readonly producer: string
}

export const make = ({ capacity, producer, settings, steering, store }: UpkeepParts): Upkeep => {
  const { names, searchable } = store.config
  const t = sqlNames(names)
  const actions: Array<UpkeepAction> = []
  const counts: Partial<Record<UpkeepAction["action"], number>> = {}
  let leads = false
  let decision: Decision = { step: 0, since: 0, calmSince: undefined, reason: undefined }
  let problem: string | undefined

  const note = (at: number, action: UpkeepAction["action"], detail: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      actions.push({ at, action, dryRun: settings.dryRun, detail })
      if (actions.length > remembered) actions.shift()
      counts[action] = (counts[action] ?? 0) + 1
      return Effect.logWarning(`upkeep of ${store.config.name}${settings.dryRun ? " (dry run, nothing was done)" : ""}: ${action}: ${detail}`)
    })

  /** Decides if this process is to, under a lock; else takes over what another decided. */
  const agree = (session: Session, given: number | undefined): Effect.Effect<{ readonly now: number; readonly before: number }, SqlError> =>
    Partitions.transaction(
      session,
      Effect.gen(function*() {
        const [state] = yield* session.query(
          `select pg_try_advisory_xact_lock(hashtextextended($1, 2)) as mine, (extract(epoch from clock_timestamp()) * 1000)::int8 as now,
            case when has_database_privilege(current_database(), 'CONNECT') or pg_has_role('pg_read_all_stats', 'USAGE') then pg_database_size(current_database())
              else (select sum(pg_total_relation_size(c.oid)) from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $2 and c.relkind = 'r') end::int8 as used`,
          [text(`effect-observability upkeep ${names.schema}`), text(names.schema)]
        )
        const now = given ?? Number(state!["now"])
        const [row] = yield* session.query(
          `select producer::text as producer, (extract(epoch from at) * 1000)::int8 as at, step, (extract(epoch from since) * 1000)::int8 as since,
            (extract(epoch from calm_since) * 1000)::int8 as calm, reason from ${t.upkeep} where dry = ${settings.dryRun}`
        )
        const kept: State = row === undefined
          ? { step: 0, since: now, calmSince: undefined }
          : { step: Number(row["step"]), since: Number(row["since"]), calmSince: row["calm"] === null ? undefined : Number(row["calm"]) }
        const age = row === undefined ? Infinity : Math.abs(now - Number(row["at"]))
        leads = state!["mine"] === true && (row === undefined || row["producer"] === producer || age > lease)
        if (!leads) {
          decision = { ...kept, reason: (row?.["reason"] as string | null | undefined) ?? undefined }
          return { now, before: kept.step }
        }
        const report = capacity()
        decision = decide(kept, { now, usedBytes: Number(state!["used"]), perDay: (report?.observedMillis ?? 0) < enough ? 0 : report!.bytesPerDay.total, keptDays: report?.keptDays ?? 0 }, settings, configuredDays(steering.configured()))
        yield* session.query(
          `insert into ${t.upkeep} (dry, producer, at, step, since, calm_since, reason) values (${settings.dryRun}, $1::uuid, to_timestamp($2::text::float8 / 1000), $3::text::int2,
              to_timestamp($4::text::float8 / 1000), to_timestamp($5::text::float8 / 1000), $6::text)
            on conflict (dry) do update set producer = excluded.producer, at = excluded.at, step = excluded.step, since = excluded.since,
              calm_since = excluded.calm_since, reason = excluded.reason`,
          [text(producer), text(String(now)), text(String(decision.step)), text(String(decision.since)), text(decision.calmSince === undefined ? null : String(decision.calmSince)), text(decision.reason ?? null)]
        )
        return { now, before: kept.step }
      })
    )

  const act = (session: Session, now: number, before: number): Effect.Effect<void, SqlError> =>
    Effect.gen(function*() {
      const { reason = "the disk is not about to be full any more", step } = decision
      const days = daysAt(configuredDays(steering.configured()), settings.floor, step)
      const kept = `raw ${days.raw}, spans ${days.spans}, minutes ${days.minute}, hours ${days.hour}, days ${days.day} days`
      if (step > before) yield* step === 1 ? note(now, "pack_early", reason) : note(now, "shorten_retention", `${reason}; kept now: ${kept}`)
      if (step < before) yield* step === 0 ? note(now, "stop_packing_early", reason) : note(now, "restore_retention", `kept now: ${kept}`)
      if (settings.dryRun || step === 0) return
      // What is finished, at once, whoever has packing switched off; then the days that gave their rows away.
      yield* packMetrics(session, names)
      yield* SpanPacker.pass(session, { names, searchable, eager: true, minAge: 120 })
      yield* Partitions.dropEmptied(session, names, ["trace_part"])
      if (step > 1) yield* Partitions.dropExpired(session, names, shortened(steering.configured(), settings.floor, step, spanTables))
    })

  const once = (given?: number): Effect.Effect<void> =>
    store.withSession((session) =>
      Effect.flatMap(agree(session, given), ({ before, now }) => {
        steering.step = decision.step
        return leads ? act(session, now, before) : Effect.void
      })
    ).pipe(
      Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.die(new Error("a round of upkeep took longer than twenty minutes")) }),
      Effect.map(() => {
        problem = undefined
      }),
      // An interruption of something in it too: when this fiber is interrupted, no handler runs.
      Effect.catchCause((cause) => Effect.sync(() => {
        leads = false
        problem = problemOf(cause)
      }))
    )

  return {
    once,
    report: () => ({
      dryRun: settings.dryRun,
      step: decision.step,
      since: decision.step === 0 && actions.length === 0 ? undefined : decision.since,
      reason: problem === undefined ? decision.reason : `${decision.reason === undefined ? "" : `${decision.reason}; `}the last round failed: ${problem}`,
      leads,
      retention: daysAt(configuredDays(steering.configured()), settings.floor, settings.dryRun ? 0 : decision.step),
      actions: [...actions],
      counts: { ...counts }
    })
  }
}

/** Looks every minute, as long as the scope is open. */
export const start = (parts: UpkeepParts, pause: Duration.Input = interval): Effect.Effect<Upkeep, never, Scope.Scope> =>
  Effect.gen(function*() {
    const upkeep = make(parts)
    yield* Effect.suspend(() => parts.store.state().ready ? upkeep.once() : Effect.void).pipe(Effect.delay(pause), Effect.forever, Effect.forkScoped)
    return upkeep
  })

const problemOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return typeof error === "object" && error !== null && "_tag" in error && error._tag === "SqlError" ? describe(error as SqlError) : String(error)
}
