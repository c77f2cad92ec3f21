import { CompositionError, Handover, ObservabilityConfig, type ObservabilitySettings, quietly, type ReloadReport, Succession, Telemetry } from "@effect-observability/core"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { type Backend, fingerprint } from "./backends.ts"
import { forwarding } from "./forwarding.ts"

interface Running {
  readonly made: string
  readonly scope: Scope.Closeable
  readonly context: Context.Context<never>
}

/** Backends that have left and still drain; of more the next exchange waits for the first. */
const maxDraining = 8

/** Builds the backends that the settings name, and exchanges them when these change. */
export class Supervisor {
  private readonly running = new Map<string, Running>()
  private readonly draining = new Set<Fiber.Fiber<unknown, unknown>>()
  private readonly lock = Semaphore.makeUnsafe(1)
  /** What each backend gave last, by key: those who hold a service go on with its successor. */
  private readonly services = new Map<string, object>()
  private turns = 0
  /** Ends what is being built when the program ends. */
  private readonly ending = Deferred.makeUnsafe<never, CompositionError>()
  private readonly backends: ReadonlyArray<Backend>
  private readonly home: Scope.Scope
  private readonly context: Context.Context<Telemetry>

  private constructor(backends: ReadonlyArray<Backend>, home: Scope.Scope, context: Context.Context<Telemetry>) {
    this.backends = backends
    this.home = home
    this.context = context
  }

  static readonly make = (backends: ReadonlyArray<Backend>): Effect.Effect<Supervisor, never, Telemetry | Scope.Scope> =>
    Effect.gen(function*() {
      // Together they have one shutdown timeout, as Layers side by side have.
      const home = yield* Scope.fork(yield* Effect.scope, "parallel")
      const supervisor = new Supervisor(backends, home, yield* Effect.context<Telemetry>())
      yield* Scope.addFinalizer(home, Effect.suspend(() => Effect.forEach(supervisor.draining, Fiber.await, { concurrency: "unbounded", discard: true })))
      // Runs before the backends close: nothing takes their places any more.
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => Deferred.doneUnsafe(supervisor.ending, Exit.fail(new CompositionError({ message: "the program ends: its settings stay as they are" }))))
      )
      return supervisor
    })

  private get telemetry(): Telemetry["Service"] {
    return Context.get(this.context, Telemetry)
  }

  /** What the backends give, each behind a name that leads to the one at work. */
  get given(): Context.Context<never> {
    const entries = [...this.services].map(([key, service]) => [key, forwarding(key, service, () => this.services.get(key))] as const)
    return Context.makeUnsafe(new Map(entries))
  }

  /** The first ones; what is wrong with one of them fails the Layer. */
  readonly start: Effect.Effect<void, Error> = Effect.gen({ self: this }, function*() {
    const settings = this.telemetry.settings()
    for (const backend of this.wanted(settings)) {
      const scope = yield* Scope.fork(this.home, "sequential")
      this.take(backend.name, yield* this.build(backend, settings, undefined, scope))
    }
  })

  /**
   * Puts settings in force and exchanges the backends that they are about: all of it, or nothing. One at a time. The successors are built first; when one of
   * them fails, hangs for longer than `requestTimeout` or is interrupted, those that were built are closed, and nobody has heard of any of them.
   */
  readonly apply = (wanted: ObservabilitySettings): Effect.Effect<ReloadReport, Error> =>
    this.lock.withPermits(1)(Effect.uninterruptibleMask((restore) => Effect.gen({ self: this }, function*() {
      const { telemetry } = this
      const { settings } = telemetry.preview(wanted)
      const backends = this.wanted(settings)
      const fresh = backends.filter((backend) => this.running.get(backend.name)?.made !== fingerprint(backend.made(settings)))
      const handover = new Handover({
        turn: ++this.turns,
        leaving: new Set([...this.running.keys()].filter((name) => fresh.some((one) => one.name === name) || !backends.some((one) => one.name === name))),
        planned: settings,
        current: telemetry.settings
      })
      const built = new Map<string, Running>()
      const prepare = Effect.andThen(
        fresh.length > 0 ? this.roomToDrain : Effect.void,
        Effect.forEach(fresh, (backend) => Effect.map(this.successor(backend, settings, handover), (one) => void built.set(backend.name, one)), { discard: true })
      )
      yield* Effect.onError(restore(prepare), () => Effect.sync(() => built.forEach(({ scope }) => this.drain(scope))))
      handover.defer(() => {
        const formers = [...handover.leaving].map((name) => this.running.get(name)!)
        for (const name of handover.leaving) this.leave(name)
        for (const [name, one] of built) this.take(name, one)
        // Those without a successor stop listening in this step too.
        for (const { scope } of formers) this.drain(scope)
      })
      return yield* telemetry.reload(wanted, handover)
    })))

  private wanted(settings: ObservabilitySettings): ReadonlyArray<Backend> {
    return settings.enabled ? this.backends.filter((backend) => backend.wanted(settings)) : []
  }

  private take(name: string, one: Running): void {
    this.running.set(name, one)
    for (const [key, service] of one.context.mapUnsafe) if (typeof service === "object" && service !== null) this.services.set(key, service)
  }

  private leave(name: string): void {
    for (const [key, service] of this.running.get(name)?.context.mapUnsafe ?? []) if (this.services.get(key) === service) this.services.delete(key)
    this.running.delete(name)
  }

  private build(backend: Backend, settings: ObservabilitySettings, handover: Handover | undefined, scope: Scope.Closeable): Effect.Effect<Running, Error> {
    const telemetry = handover === undefined ? this.telemetry : { ...this.telemetry, settings: handover.settings }
    return Effect.flatMap(backend.load(settings), (layer) => Layer.buildWithScope(layer, scope)).pipe(
      Effect.provideService(ObservabilityConfig, settings),
      Effect.provideService(Succession, handover),
      Effect.provideContext(Context.add(this.context, Telemetry, telemetry)),
      // What it says may hold anything, a secret too.
      Effect.catchDefect((defect) => Effect.fail(new CompositionError({ message: `${backend.name} broke while it was built (${defect instanceof Error ? defect.name : typeof defect})` }))),
      Effect.map((context) => ({ made: fingerprint(backend.made(settings)), scope, context }))
    )
  }

  /** Builds by itself: who waits for it may leave, also when it cannot be interrupted. */
  private successor(backend: Backend, settings: ObservabilitySettings, handover: Handover): Effect.Effect<Running, Error> {
    return Effect.gen({ self: this }, function*() {
      const scope = yield* Scope.fork(this.home, "sequential")
      const answer = Deferred.makeUnsafe<Running, Error>()
      const fiber = yield* Effect.forkDetach(Effect.onExit(this.build(backend, settings, handover, scope), (exit) => Effect.sync(() => Deferred.doneUnsafe(answer, exit))))
      return yield* Effect.raceFirst(Deferred.await(answer), Deferred.await(this.ending)).pipe(
        Effect.timeoutOrElse({
          duration: settings.requestTimeout,
          orElse: () => Effect.fail(new CompositionError({ message: `the new ${backend.name} was not ready within ${settings.requestTimeout} ms (requestTimeout)` }))
        }),
        Effect.onError(() =>
          Effect.sync(() => {
            fiber.interruptUnsafe()
            this.drain(scope)
          })
        )
      )
    })
  }

  /** Waits while too many drain, but no longer than a drain may last. */
  private get roomToDrain(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const [first] = this.draining
      if (this.draining.size < maxDraining || first === undefined) return Effect.void
      return Effect.asVoid(Effect.timeoutOption(Fiber.await(first), this.telemetry.settings().shutdownTimeout))
    })
  }

  /** Closes what has left: it takes nothing more, and brings what it holds to where it always brought it. */
  private drain(scope: Scope.Closeable): void {
    const fiber = Effect.runForkWith(this.context)(quietly(Scope.close(scope, Exit.void)))
    this.draining.add(fiber)
    fiber.addObserver(() => void this.draining.delete(fiber))
  }
}
