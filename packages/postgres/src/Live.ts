import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { sqlNames } from "./internal/names.ts"
import * as Session from "./internal/session.ts"
import type { PostgresConfig } from "./PostgresConfig.ts"

/** A batch was stored, by this process or another. */
export interface Change {
  readonly signal: "metrics" | "spans"
  /** The lane it came by, and its number there. */
  readonly lane: number
  readonly number: number
}

/**
 * What comes into the store, as it comes: a live page asks its history again when something changed. One connection for all
 * consumers, open while there is one. By `LISTEN` on the channel that bears the schema's name; behind a transaction pooler
 * (`prepare: false`) by asking once a second. A lost connection is opened again; what came meanwhile is not told.
 */
export class Live extends Context.Service<Live, { readonly changes: Stream.Stream<Change> }>()("@effect-observability/postgres/Live") {}

export const make = (config: PostgresConfig, silence: Duration.Input = longestSilence): Effect.Effect<Live["Service"], never, Scope.Scope> =>
  Effect.map(
    Stream.share(Stream.retry(config.target.prepare ? Stream.timeoutOrElse(listening(config), { duration: silence, orElse: () => Stream.fail("silent" as const) }) : polling(config), again), { capacity: 1_024, strategy: "sliding" }),
    (changes) => ({ changes: Stream.catchCause(changes, () => Stream.empty) })
  )

/** Who writes is heard of within seconds. After so much silence nobody does, or something in between swallows: another connection tells. */
const longestSilence = Duration.minutes(5)

const again = Schedule.spaced("1 second")

const listening = (config: PostgresConfig): Stream.Stream<Change, SqlError> =>
  Stream.unwrap(Effect.gen(function*() {
    const queue = yield* Session.listen(config.target, timeout, sqlNames(config.names).channel)
    return Stream.flatMap(Stream.fromQueue(queue), ({ payload }) => Stream.fromIterable(changeIn(payload)))
  })) as Stream.Stream<Change, SqlError>

/** `metrics 12 345`: signal, lane, number. */
const changeIn = (payload: string): ReadonlyArray<Change> => {
  const [, signal, lane, number] = /^(metrics|spans) (\d+) (\d+)$/.exec(payload) ?? []
  return signal === undefined ? [] : [{ signal: signal as Change["signal"], lane: Number(lane), number: Number(number) }]
}

const timeout = 10_000
const pause = Duration.seconds(1)

const polling = (config: PostgresConfig): Stream.Stream<Change, SqlError> =>
  Stream.unwrap(Effect.gen(function*() {
    const session = Session.guarded(yield* Effect.acquireRelease(Session.open(config.target, timeout), (open) => open.close), timeout)
    let known: ReadonlyMap<number, number> | undefined
    const look = Effect.map(
      session.query(`select id, signal, seq from ${sqlNames(config.names).lane} where seen_at > now() - interval '1 minute'`),
      (rows): ReadonlyArray<Change> => {
        const before = known
        const now = rows.map((row) => ({ signal: row["signal"] as Change["signal"], lane: row["id"] as number, number: Number(row["seq"]) }))
        known = new Map(now.map(({ lane, number }) => [lane, number]))
        return before === undefined ? [] : now.filter(({ lane, number }) => (before.get(lane) ?? 0) < number)
      }
    )
    return Stream.fromEffectRepeat(Effect.andThen(Effect.sleep(pause), look)).pipe(Stream.flatMap((changes) => Stream.fromIterable(changes)))
  }))
