import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { ConfigurationError } from "../../config/ObservabilityConfig.ts"
import { imbalance } from "../../pipe/Ledger.ts"
import { type ComponentHealth, type GroupHealth, type HealthAnswer, type HealthCheckOptions, type HealthPart, type HealthReport, worst } from "../Health.ts"
import { quietly } from "../quietly.ts"
import type { ConfigurationState } from "../Reload.ts"
import { type ComponentReport, CompositionError } from "../Telemetry.ts"

interface Hub {
  readonly reports: () => ReadonlyArray<ComponentReport>
  /** What backends say of what they stand on. */
  readonly parts: () => ReadonlyArray<HealthPart>
  readonly configuration: () => ConfigurationState
  readonly clock: Clock.Clock
  /** Takes secrets out of a text. */
  readonly scrub: (text: string) => string
  /** A queue whose oldest item has waited longer is not keeping up, whatever its backend says. Milliseconds. */
  readonly oldestAge: () => number
}

/** The checks of a program, and what the hub knows of itself. */
export class HealthChecks {
  private readonly hub: Hub
  private readonly checks = new Map<string, Check>()

  constructor(hub: Hub) {
    this.hub = hub
  }

  readonly register = <E, R>(
    options: HealthCheckOptions,
    check: Effect.Effect<HealthAnswer | void, E, R>
  ): Effect.Effect<void, CompositionError | ConfigurationError, Scope.Scope | R> =>
    Effect.contextWith((context: Context.Context<R>): Effect.Effect<void, CompositionError | ConfigurationError, Scope.Scope> => {
      const { problems, ...rest } = decode(options)
      if (problems.length > 0) return Effect.fail(new ConfigurationError({ problems }))
      const made = new Check(this.hub, rest, quietly(Effect.provideContext(check, context)))
      return Effect.acquireRelease(
        Effect.suspend(() => {
          if (this.checks.has(made.name) || this.hub.reports().some(({ name }) => name === made.name)) {
            return Effect.fail(new CompositionError({ message: `two parts are named "${made.name}" in the health report: give one of them another \`name\`` }))
          }
          this.checks.set(made.name, made)
          return Effect.void
        }),
        () => Effect.sync(() => {
          this.checks.delete(made.name)
          made.leave()
        })
      )
    })

  /** The hub closes: what still runs is interrupted and not waited for, and nothing is started any more. */
  readonly close: Effect.Effect<void> = Effect.sync(() => {
    for (const check of this.checks.values()) check.leave()
  })

  readonly report: Effect.Effect<HealthReport> = Effect.suspend(() => {
    const checks = [...this.checks.values()]
    return Effect.map(Effect.forEach(checks, (check) => check.current, { concurrency: "unbounded" }), (found) => {
      const components = [...this.own(), ...found]
      const blocks = new Set(checks.filter((check) => check.for === "report").map(({ name }) => name))
      const ready = (parts: ReadonlyArray<ComponentHealth>) => parts.every(({ name, status }) => status !== "down" || blocks.has(name))
      const groups: Record<string, GroupHealth> = {}
      for (const [group, parts] of Map.groupBy(components, ({ group }) => group)) groups[group] = { status: worst(parts), ready: ready(parts) }
      return {
        status: worst(components),
        live: checks.every((check, i) => check.for !== "liveness" || found[i]!.status !== "down"),
        ready: ready(components),
        groups,
        components
      }
    })
  })

  /** The backends, and one for the books of all of them. */
  private own(): ReadonlyArray<ComponentHealth> {
    const { clock, oldestAge, reports } = this.hub
    const checkedAt = clock.currentTimeMillisUnsafe()
    const limit = oldestAge()
    const all = reports()
    const backends = all.map(({ name, reason, signals, status }): ComponentHealth => {
      const oldest = signals.reduce((most, signal) => Math.max(most, signal.oldestAgeMillis), 0)
      const late = status === "up" && oldest > limit
      return {
        name,
        group: "backends",
        status: late ? "degraded" : status,
        reason: late ? `its oldest item has waited ${Math.round(oldest / 1000)} s, longer than ${Math.round(limit / 1000)} s` : reason,
        queuedItems: signals.reduce((sum, signal) => sum + signal.queuedItems, 0),
        oldestAgeMillis: oldest,
        lastError: signals.map((signal) => signal.lastError).filter((error) => error !== undefined).toSorted((a, b) => b.at - a.at)[0],
        checkedAt
      }
    })
    const own: Array<ComponentHealth> = [...backends]
    for (const part of this.hub.parts()) own.push({ ...nothing, ...part, checkedAt })
    const wrong = imbalances(all)
    if (wrong.length > 0) own.push({ ...nothing, name: "ledger", group: "toolkit", status: "degraded", reason: wrong.join("; "), checkedAt })
    const { problem } = this.hub.configuration()
    if (problem !== undefined) {
      const reason = `the newest configuration is not in force: ${this.hub.scrub(problem.message.split("\n")[0]!)}`
      own.push({ ...nothing, name: "configuration", group: "config", status: "degraded", reason, lastError: { message: reason, at: problem.at }, checkedAt })
    }
    return own
  }
}

/** Books that do not balance, a line each. */
export const imbalances = (components: ReadonlyArray<ComponentReport>): ReadonlyArray<string> =>
  components.flatMap((component) =>
    component.signals.flatMap((signal) => {
      const wrong = imbalance(signal.ledger)
      return wrong === undefined ? [] : [`${component.name} ${signal.signal}: ${wrong}`]
    })
  )

const nothing = { queuedItems: 0, oldestAgeMillis: 0, lastError: undefined }

type Settings = Omit<ReturnType<typeof decode>, "problems">

/** One check of the program. */
class Check {
  readonly name: string
  readonly for: Settings["for"]
  private readonly hub: Hub
  private readonly settings: Settings
  private readonly effect: Effect.Effect<HealthAnswer | void, unknown>
  private left = false
  private last: { readonly health: ComponentHealth; readonly at: number } | undefined
  private lastError: ComponentHealth["lastError"]
  /** Probes that come while it runs wait for the same answer. */
  private running: { readonly answer: Deferred.Deferred<Exit.Exit<HealthAnswer | void, unknown>>; readonly since: number; late: boolean } | undefined

  constructor(hub: Hub, settings: Settings, effect: Effect.Effect<HealthAnswer | void, unknown>) {
    this.hub = hub
    this.settings = settings
    this.effect = effect
    this.name = settings.name
    this.for = settings.for
  }

  private now(): number {
    return Number(this.hub.clock.monotonicTimeNanosUnsafe()) / 1e6
  }

  /** Whoever registered it, or the hub, has gone: nobody wants its answer any more. */
  leave(): void {
    this.left = true
    this.stop?.()
  }

  readonly current: Effect.Effect<ComponentHealth> = Effect.suspend(() => {
    const { last, settings } = this
    if (this.left) return Effect.succeed(this.note(Exit.succeed({ status: "down", reason: "its owner has closed" })))
    if (last !== undefined && this.now() - last.at < settings.cacheFor) return Effect.succeed(last.health)
    const start = this.running === undefined ? this.start : Effect.succeed(this.running)
    return Effect.flatMap(start, (running) => {
      // Detached, and asked only as long as it may take: `Effect.timeout` would wait for what it cannot interrupt.
      const left = Math.max(0, running.since + settings.timeout - this.now())
      return Effect.map(Effect.timeoutOption(Deferred.await(running.answer), left), (answer) => {
        if (Option.isNone(answer)) {
          running.late = true
          this.stop?.()
        }
        // Who waits a moment longer would see the interruption instead.
        return this.note(running.late ? undefined : Option.getOrUndefined(answer))
      })
    })
  })

  private readonly start = Effect.suspend(() => {
    const running = { answer: Deferred.makeUnsafe<Exit.Exit<HealthAnswer | void, unknown>>(), since: this.now(), late: false }
    this.running = running
    const run = Effect.onExit(Effect.suspend(() => this.effect), (exit) =>
      Effect.sync(() => {
        this.running = undefined
        this.stop = undefined
        Deferred.doneUnsafe(running.answer, Exit.succeed(exit))
      }))
    return Effect.map(Effect.forkDetach(run), (fiber) => {
      // Not awaited: one that cannot be interrupted must not keep its owner from closing.
      if (this.running === running) this.stop = () => fiber.interruptUnsafe()
      return running
    })
  })

  /** Ends what is running at its deadline; one that cannot be interrupted keeps its place until it ends. */
  private stop: (() => void) | undefined

  private note(exit: Exit.Exit<HealthAnswer | void, unknown> | undefined): ComponentHealth {
    const { group, name, timeout } = this.settings
    const at = this.hub.clock.currentTimeMillisUnsafe()
    let answer: HealthAnswer
    if (exit === undefined) answer = { status: "down", reason: `no answer within ${timeout} ms` }
    else if (Exit.isSuccess(exit)) answer = exit.value ?? { status: "up" }
    else answer = { status: "down", reason: textOf(exit.cause) }
    const reason = answer.reason === undefined ? undefined : this.hub.scrub(String(answer.reason).split("\n")[0]!.slice(0, 500))
    if (answer.status !== "up" && reason !== undefined) this.lastError = { message: reason, at }
    const health = { ...nothing, name, group, status: answer.status, reason, lastError: this.lastError, checkedAt: at }
    this.last = { health, at: this.now() }
    return health
  }
}

const textOf = (cause: Cause.Cause<unknown>): string => {
  try {
    const error = Cause.squash(cause)
    const said = error instanceof Error ? error.message || error.name : typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : String(error)
    return said === "" ? "failed" : said
  } catch {
    return "failed"
  }
}

/** What the hub fills itself. */
const ownGroups: ReadonlySet<string> = new Set(["backends", "toolkit", "config", "storage"])

const decode = (options: HealthCheckOptions) => {
  const problems: Array<{ readonly path: string; readonly message: string }> = []
  const name = String(options.name ?? "")
  if (name.trim() === "" || name.length > 100) problems.push({ path: "health.name", message: "expected a name of 1 to 100 characters" })
  const group = options.group ?? "app"
  if (!/^[A-Za-z0-9][\w.-]{0,63}$/.test(group)) problems.push({ path: `health.${name}.group`, message: "expected letters, digits, - _ and ., at most 64" })
  if (ownGroups.has(group)) problems.push({ path: `health.${name}.group`, message: `"${group}" is the toolkit's own: choose another` })
  const kind = options.for ?? "readiness"
  if (!["readiness", "liveness", "report"].includes(kind)) problems.push({ path: `health.${name}.for`, message: "expected readiness, liveness or report" })
  const millis = (field: "timeout" | "cacheFor", fallback: number, least: number, most: number): number => {
    const given = options[field]
    const duration = given === undefined ? Option.some(Duration.millis(fallback)) : Duration.fromInput(given)
    const value = Option.isNone(duration) ? NaN : Duration.toMillis(duration.value)
    if (!(value >= least && value <= most)) {
      problems.push({ path: `health.${name}.${field}`, message: `expected ${least} ms to ${most} ms` })
      return fallback
    }
    return value
  }
  const timeout = millis("timeout", 2_000, 1, 60_000)
  const cacheFor = millis("cacheFor", 5_000, 0, 3_600_000)
  return { problems, name, group, for: kind, timeout, cacheFor }
}
