import { type Alert, AlertCoordinationError, type AlertCoordinator, type AlertNews, type ServiceResource } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { sqlNames } from "./names.ts"
import { text } from "./parameters.ts"
import * as Session from "./session.ts"
import type { Store } from "./Store.ts"

/** A member that was not heard of for this long is gone; a leader loses its lock. Milliseconds. */
const goneAfter = 60_000
/** Most alerts of one member. */
const maxAlerts = 5_000

/**
 * Processes of one service, environment and cluster meet in a table; who holds an advisory lock leads. The lock belongs to a connection of
 * its own: when the process or the connection ends, PostgreSQL frees it and the next to ask has it. A leader that stopped with its connection open (paused,
 * or cut off from the network) is not waited for: the others end its connection once it has said nothing for `goneAfter`.
 */
export const make = (
  store: Store,
  options: { readonly producer: string; readonly resource: Pick<ServiceResource, "service" | "env" | "cluster">; readonly goneAfter?: number }
): Effect.Effect<AlertCoordinator, never, Scope.Scope> =>
  Effect.gen(function*() {
    const t = sqlNames(store.config.names)
    const { producer, resource: { cluster, env, service } } = options
    const team = text(JSON.stringify([service, env, cluster]))
    const lock = text(`effect-observability alerts ${store.config.names.schema} ${JSON.stringify([service, env, cluster])}`)
    const me = text(producer)
    const gone = `${Math.round(options.goneAfter ?? goneAfter)} milliseconds`
    let link: { readonly session: Session.Session; leads: boolean } | undefined

    const drop = Effect.suspend(() => {
      const old = link
      link = undefined
      return old === undefined ? Effect.void : old.session.close
    })
    yield* Effect.addFinalizer(() => drop)

    /** Whatever leaves the connection in doubt ends it, and the lock with it. */
    const onLink = <A, E>(use: (open: NonNullable<typeof link>) => Effect.Effect<A, E>, again: boolean): Effect.Effect<A, AlertCoordinationError> => {
      const once = Effect.gen(function*() {
        yield* store.gate
        link ??= { session: yield* Session.open(store.config.target, store.timeout), leads: false }
        return yield* use(link)
      }).pipe(Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : drop))
      // A connection that was ended meanwhile is no reason to be alone, and to tell people what another one tells.
      return Effect.suspend(() => again && link !== undefined ? Effect.catch(once, () => once) : once).pipe(
        Effect.mapError((error) => new AlertCoordinationError({ message: error instanceof Error && "_tag" in error && error._tag === "ExportError" ? error.message : "the database does not answer" }))
      )
    }

    return {
      exchange: ({ firing, silences }) =>
        onLink((open) =>
          Effect.gen(function*() {
            const { session } = open
            if (!open.leads) {
              const [row] = yield* session.query("select pg_try_advisory_lock(hashtextextended($1::text, 0)) as leads", [lock])
              open.leads = row?.["leads"] === true
              if (!open.leads) yield* session.query(endSilent(gone), [lock])
            }
            yield* session.query(
              `with old as (delete from ${t.alert_member} where team = $1::text and seen_at < now() - interval '${gone}' and producer <> $2::uuid)
              insert into ${t.alert_member} (team, producer, seen_at, news) values ($1::text, $2::uuid, now(), $3::text)
                on conflict (team, producer) do update set seen_at = excluded.seen_at, news = excluded.news`,
              [team, me, text(JSON.stringify({ firing: firing.slice(0, maxAlerts), silences }))]
            )
            const others = yield* session.query(
              `select news from ${t.alert_member} where team = $1::text and producer <> $2::uuid and seen_at >= now() - interval '${gone}'`,
              [team, me]
            )
            const [last] = yield* session.query(`select announced from ${t.alert_leader} where team = $1::text`, [team])
            return { leads: open.leads, others: others.map((row) => newsOf(row["news"])), announced: last === undefined ? [] : listOf<Alert>(parse(last["announced"])) }
          }), true),
      announce: (alerts) =>
        Effect.suspend(() =>
          link?.leads !== true ? Effect.void : onLink(({ session }) =>
            Effect.asVoid(session.query(
              `insert into ${t.alert_leader} (team, producer, announced, at) values ($1::text, $2::uuid, $3::text, now())
                on conflict (team) do update set producer = excluded.producer, announced = excluded.announced, at = excluded.at`,
              [team, me, text(JSON.stringify(alerts.slice(0, maxAlerts)))]
            )), false)
        )
    }
  })

/** Ends the connection that holds the lock `$1` when it has done nothing for so long. A role may end connections of its own. */
const endSilent = (gone: string): string =>
  `select pg_terminate_backend(a.pid) from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.database = (select oid from pg_database where datname = current_database())
      and l.classid::int8 = (hashtextextended($1::text, 0) >> 32) & 4294967295 and l.objid::int8 = hashtextextended($1::text, 0) & 4294967295
      and a.usename = current_user and a.state = 'idle' and a.state_change < now() - interval '${gone}'`

const parse = (value: unknown): unknown => {
  try {
    return JSON.parse(String(value))
  } catch {
    return undefined
  }
}

const listOf = <A>(value: unknown): ReadonlyArray<A> => Array.isArray(value) ? value as ReadonlyArray<A> : []

const newsOf = (value: unknown): AlertNews => {
  const news = parse(value) as Partial<AlertNews> | undefined
  return { firing: listOf(news?.firing), silences: listOf(news?.silences) }
}
