import { ObservabilityConfig, type ObservabilitySettings, type ReloadReport, Succession, Telemetry } from "@effect-observability/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { type Backend, type BackendLayer, fingerprint } from "./backends.ts"

interface Running {
  readonly made: string
  readonly scope: Scope.Closeable
  readonly context: Context.Context<never>
}

interface Replaced {
  readonly name: string
  readonly former: Running | undefined
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
      return supervisor
    })

  private get telemetry(): Telemetry["Service"] {
    return Context.get(this.context, Telemetry)
  }

  /** What the backends give, each behind a name that leads to the one at work. */
  get given(): Context.Context<never> {
    const entries = [...this.services].map(([key, service]) => [key, forwarding(() => this.services.get(key) ?? service)] as const)
    return Context.makeUnsafe(new Map(entries))
  }

  /** The first ones; what is wrong with one of them fails the Layer. */
  readonly start: Effect.Effect<void, Error> = Effect.suspend(() => this.exchange(this.telemetry.settings(), [])).pipe(
    // Those after it do not get what was recorded before them.
    Effect.andThen(Effect.sync(() => void this.turns++))
  )

  /** Puts settings in force and exchanges the backends that they are about: all of it, or nothing. One at a time. */
  readonly apply = (wanted: ObservabilitySettings): Effect.Effect<ReloadReport, Error> =>
    this.lock.withPermits(1)(Effect.uninterruptible(Effect.gen({ self: this }, function*() {
      const { telemetry } = this
      const before = telemetry.settings()
      const report = yield* telemetry.reload(wanted)
      const replaced: Array<Replaced> = []
      yield* Effect.onError(this.exchange(telemetry.settings(), replaced), () =>
        Effect.andThen(telemetry.reload(before), this.undo(replaced, before)))
      return report
    })))

  private exchange(settings: ObservabilitySettings, replaced: Array<Replaced>): Effect.Effect<void, Error> {
    return Effect.gen({ self: this }, function*() {
      const wanted = settings.enabled ? this.backends.filter((backend) => backend.wanted(settings)) : []
      const fresh: Array<{ readonly name: string; readonly made: string; readonly layer: BackendLayer }> = []
      for (const backend of wanted) {
        const made = fingerprint(backend.made(settings))
        if (this.running.get(backend.name)?.made !== made) fresh.push({ name: backend.name, made, layer: yield* backend.load(settings) })
      }
      const leaving = [...this.running].filter(([name]) => !wanted.some((backend) => backend.name === name))
      for (const { layer, made, name } of fresh) {
        const former = this.running.get(name)
        const built = yield* this.build(layer, settings)
        replaced.push({ name, former })
        this.take(name, { ...built, made })
      }
      for (const [name] of leaving) this.running.delete(name)
      for (const [, one] of leaving) yield* this.drain(one)
      for (const { former } of replaced) if (former !== undefined) yield* this.drain(former)
    })
  }

  private take(name: string, one: Running): void {
    this.running.set(name, one)
    for (const [key, service] of one.context.mapUnsafe) if (typeof service === "object" && service !== null) this.services.set(key, service)
  }

  /** Those that took a place give it back: the former ones are built again, since they have handed over already. */
  private undo(replaced: ReadonlyArray<Replaced>, settings: ObservabilitySettings): Effect.Effect<void> {
    return Effect.forEach(replaced, ({ former, name }) =>
      Effect.gen({ self: this }, function*() {
        const failed = this.running.get(name)!
        this.running.delete(name)
        if (former !== undefined) {
          const backend = this.backends.find((one) => one.name === name)!
          const again = yield* Effect.exit(Effect.flatMap(backend.load(settings), (layer) => this.build(layer, settings)))
          if (Exit.isSuccess(again)) this.take(name, { ...again.value, made: former.made })
          yield* this.drain(former)
        }
        yield* this.drain(failed)
      }), { discard: true })
  }

  private build(layer: BackendLayer, settings: ObservabilitySettings): Effect.Effect<{ readonly scope: Scope.Closeable; readonly context: Context.Context<never> }, Error> {
    return Effect.gen({ self: this }, function*() {
      const scope = yield* Scope.fork(this.home, "sequential")
      const context = yield* Layer.buildWithScope(layer, scope).pipe(
        Effect.provideService(ObservabilityConfig, settings),
        Effect.provideService(Succession, this.turns === 0 ? 0 : this.turns++),
        Effect.provideContext(this.context),
        Effect.onError(() => Scope.close(scope, Exit.void))
      )
      return { scope, context }
    })
  }

  /** Closes what has left: it takes nothing more, and brings what it holds to where it always brought it. */
  private drain({ scope }: Running): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const fiber = yield* Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true })
      this.draining.add(fiber)
      fiber.addObserver(() => void this.draining.delete(fiber))
      const [first] = this.draining
      if (this.draining.size > maxDraining && first !== undefined) yield* Fiber.await(first)
    })
  }
}

/** Every question goes to the service that `current` gives at that moment. */
const forwarding = (current: () => object): object =>
  new Proxy(current(), {
    get: (_, key) => {
      const service = current()
      const value: unknown = Reflect.get(service, key, service)
      return typeof value === "function" ? value.bind(service) : value
    },
    has: (_, key) => Reflect.has(current(), key)
  })
