import { Exporter, type ServiceResource } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import { hash } from "../PostgresEncoding.ts"
import { clean } from "./json.ts"
import * as Errors from "./errors.ts"
import { type Partitioned, type Sql, sqlNames } from "./names.ts"
import { int8, text } from "./parameters.ts"
import * as Partitions from "./partitions.ts"
import * as Session from "./session.ts"
import type { Store } from "./Store.ts"

/**
 * The writing side of one signal of one process. Every batch is one statement that first advances the lane's number and inserts
 * only if it could: a repeat finds its number taken and inserts nothing, and so does an attempt that wakes up after its
 * successor. `seq < n` and not `n - 1`: a batch that was given up must not block the ones after it. Numbers must rise.
 */
export interface Lane {
  readonly send: (attempt: Exporter.Attempt, prepare: (link: Link) => Effect.Effect<Batch, SqlError>) => Effect.Effect<void, Exporter.ExportError>
  /** Takes the number without inserting. Fails when that cannot be made certain, or when the batch was stored after all. */
  readonly giveUp: (attempt: Exporter.Attempt) => Effect.Effect<void, Exporter.ExportError>
}

/** An open connection and the lane on it. */
export interface Link {
  readonly session: Session.Session
  readonly lane: number
  readonly epoch: number
  /** Another number after the lane was made anew: what was known about dictionaries then holds no more. */
  readonly incarnation: number
}

/** `sql` begins with the common table expression `lane` of `fence` and ends with `select id from lane`. */
export interface Batch {
  readonly sql: string
  /** From `$4` on; the first three belong to the fence. */
  readonly parameters: ReadonlyArray<unknown>
  /** The partitions it needs, for when one is missing. */
  readonly partitions: () => ReadonlyMap<Partitioned, ReadonlySet<string>>
}

/** `$1` lane, `$2` number, `$3` epoch. Those who listen on the schema's channel are told when the batch is stored. */
export const fence = (t: Sql): string =>
  `with lane as (update ${t.lane} set seq = $2::int8, seen_at = now() where id = $1::int4 and epoch = $3::int4 and seq < $2::int8
    returning id, pg_notify('${t.channel}', signal || ' ' || id || ' ' || seq))`

export const make = (
  store: Store,
  options: {
    readonly signal: "metrics" | "spans" | "errors" | "alerts"
    /** A uuid, new for every start of the process. */
    readonly producer: string
    readonly epoch: number
    readonly resource: ServiceResource
  }
): Effect.Effect<Lane, never, Scope.Scope> =>
  Effect.gen(function*() {
    const t = sqlNames(store.config.names)
    const { epoch, producer, resource, signal } = options
    let idle: Link | undefined
    let busy: Session.Session | undefined
    /** Counts attempts: one that outlived its deadline must not hand its connection back. */
    let turn = 0
    /** The highest number ever put on the wire. */
    let sent = 0
    let incarnation = 0

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        turn++
        const open = [idle?.session, busy].filter((session) => session !== undefined)
        idle = busy = undefined
        return Effect.forEach(open, (session) => session.close, { discard: true })
      })
    )

    /** Finds the lane, or makes it. */
    const join = (session: Session.Session): Effect.Effect<Link, SqlError | Exporter.ExportError> =>
      Effect.gen(function*() {
        const fields = [resource.service, resource.version, resource.instance, resource.env].map((field) => clean(field, 255))
        const cluster = clean(resource.cluster, 255)
        // Without a cluster the identity is what it was before there were any.
        const key = [text(hash(["resource", ...fields, ...(cluster === "" ? [] : [cluster])])), ...[...fields, cluster].map((field) => text(field))]
        yield* session.query(
          `insert into ${t.resource} (hash, service, version, instance, env, cluster)
            select $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text
            where not exists (select 1 from ${t.resource} where hash = $1::uuid) on conflict (hash) do nothing`,
          key
        )
        const made = yield* session.query(
          `insert into ${t.lane} (producer, signal, epoch, resource)
            select $1::uuid, $2::text, $3::int4, id from ${t.resource} where hash = $4::uuid on conflict (producer, signal) do nothing
            returning id`,
          [text(producer), text(signal), epoch, key[0]]
        )
        if (made.length > 0) incarnation++
        const row = (yield* session.query(
          `select id, epoch, seq from ${t.lane} where producer = $1::uuid and signal = $2::text`,
          [text(producer), text(signal)]
        ))[0]
        if (row === undefined) return yield* Exporter.unavailable("the lane was removed while it was made")
        // Somebody else writes under our name, or a newer start of ours does.
        if (row["epoch"] !== epoch || Number(row["seq"]) > sent) return yield* fenced
        return { session, lane: row["id"] as number, epoch, incarnation }
      })

    /** Runs `use` on the lane's connection, alone. Whatever leaves the outcome unknown also ends the connection. */
    const withLink = <A>(use: (link: Link) => Effect.Effect<A, SqlError | Exporter.ExportError>): Effect.Effect<A, Exporter.ExportError> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          const mine = ++turn
          // The attempt before was abandoned and still runs: nobody waits for its answer any more.
          const abandoned = busy
          busy = undefined
          if (abandoned !== undefined) yield* abandoned.close
          yield* store.gate
          const waiting = idle
          idle = undefined
          const session = waiting?.session ?? (yield* restore(Session.open(store.config.target, store.timeout)))
          if (turn !== mine) {
            yield* session.close
            return yield* Exporter.unavailable("a later attempt took over")
          }
          busy = session
          let link = waiting
          const exit = yield* Effect.exit(restore(Effect.gen(function*() {
            link ??= yield* join(session)
            return yield* use(link)
          })))
          if (busy === session) busy = undefined
          if (turn === mine && link !== undefined && isClean(exit)) idle = link
          else yield* session.close
          return yield* exit
        })
      ).pipe(
        Effect.timeoutOrElse({
          duration: store.timeout,
          orElse: () => Effect.fail(Exporter.unavailable(`no answer within ${store.timeout} ms`))
        }),
        Effect.catch((error) => {
          if (error._tag === "ExportError") return Effect.fail(error)
          if (Errors.isMissingSchema(error)) store.recheck()
          return Effect.fail(Errors.toExportError(error))
        })
      )

    /** What it means that the lane did not move. */
    const explain = (link: Link, attempt: Exporter.Attempt): Effect.Effect<"stored", SqlError | Exporter.ExportError> =>
      Effect.flatMap(link.session.query(`select epoch, seq from ${t.lane} where id = $1::int4`, [link.lane]), (rows) => {
        const row = rows[0]
        if (row === undefined) return Effect.fail(laneGone)
        if (row["epoch"] !== link.epoch) return Effect.fail(fenced)
        return Number(row["seq"]) >= attempt.number ? Effect.succeed("stored") : Effect.fail(Exporter.unavailable("the lane did not move"))
      })

    return {
      send: (attempt, prepare) =>
        withLink((link) =>
          Effect.gen(function*() {
            const batch = yield* prepare(link)
            const parameters = [link.lane, int8(attempt.number), link.epoch, ...batch.parameters]
            const insert = Effect.suspend(() => {
              sent = Math.max(sent, attempt.number)
              return link.session.query(batch.sql, parameters)
            })
            const rows = yield* Effect.catchIf(insert, Errors.isMissingPartition, () =>
              Effect.andThen(Partitions.ensure(link.session, store.config.names, batch.partitions()), insert))
            if (rows.length === 0) yield* explain(link, attempt)
          })
        ),
      giveUp: (attempt) =>
        Effect.suspend(() =>
          // Nothing of it ever left the process.
          attempt.number > sent ? Effect.void : withLink((link) =>
            Effect.gen(function*() {
              const rows = yield* link.session.query(
                `${fence(t)} select id from lane`,
                [link.lane, int8(attempt.number), link.epoch]
              )
              if (rows.length > 0) return
              yield* explain(link, attempt)
              return yield* Exporter.unavailable(`batch ${attempt.number} had been stored before it was given up`)
            })
          ).pipe(Effect.catchIf((error) => error === laneGone || error === fenced, () => Effect.void))
        )
    }
  })

const fenced = Exporter.refused("another producer took over this lane", "fenced", false)

const laneGone = Exporter.unavailable("the lane expired; joining again")

/** The server's answer is known and it goes on. An answer that says the lane itself is wrong means joining again. */
const isClean = (exit: Exit.Exit<unknown, SqlError | Exporter.ExportError>): boolean => {
  if (Exit.isSuccess(exit)) return true
  const reasons = exit.cause.reasons
  return reasons.length > 0 && reasons.every((reason) =>
    reason._tag === "Fail" && reason.error._tag === "SqlError" && Errors.keepsConnection(reason.error)
  )
}
