import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ErrorReporter from "effect/ErrorReporter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as EffectTracer from "effect/Tracer"
import { ConfigurationError, ObservabilityConfig, type ObservabilitySettings } from "../config/ObservabilityConfig.ts"
import { make as makeStore } from "../metrics/MetricStore.ts"
import * as Recorder from "../metrics/MetricsRecorder.ts"
import * as StandardMetrics from "../metrics/StandardMetrics.ts"
import { rulesOf } from "../propagation/outgoing.ts"
import { compile } from "../redaction/internal/Scrubber.ts"
import { IdGenerator } from "../tracing/IdGenerator.ts"
import { Values } from "../tracing/internal/values.ts"
import * as Spans from "../tracing/ObservabilityTracer.ts"
import { easing } from "../load/internal/easing.ts"
import { isSampler, type Sampler } from "../tracing/sampling/Sampler.ts"
import { Tracer } from "../tracing/Tracer.ts"
import * as Tracing from "../tracing/Tracer.ts"
import { Diagnostics, diagnose } from "./Diagnostics.ts"
import { Health } from "./Health.ts"
import { Books } from "./internal/Books.ts"
import { EffectMetrics } from "./internal/EffectMetrics.ts"
import { Events } from "./internal/Events.ts"
import { HealthChecks } from "./internal/HealthChecks.ts"
import { Heirs } from "./internal/Heirs.ts"
import { housekeeping } from "./internal/housekeeping.ts"
import { Listeners } from "./internal/Listeners.ts"
import * as Pipes from "./internal/pipes.ts"
import { type ConfigurationState, type ReloadReport, transition } from "./Reload.ts"
import { Succession } from "./internal/Succession.ts"
import { Queues } from "./internal/Queues.ts"
import { SelfMetrics } from "./internal/SelfMetrics.ts"
import { type ComponentReport, CompositionError, type Listener, type LoadBooks, Telemetry } from "./Telemetry.ts"

/** Most metrics of a process, whatever names arrive. */
const maxMetrics = 10_000

/**
 * The hub: one constant Layer, so that every backend built on it shares it. It gives the recorder and the tracer and installs
 * Effect's `Tracer.Tracer`; who listens is decided by the backend Layers merged beside each other.
 */
export const layer: Layer.Layer<Telemetry | Recorder.MetricsRecorder | Tracer | Diagnostics | Health> = Layer.effectContext(
  Effect.gen(function*() {
    const settings = yield* ObservabilityConfig
    const clock = yield* Clock.Clock
    const resource = {
      service: settings.service.name,
      version: settings.service.version,
      instance: settings.service.instance === "" ? yield* newInstance : settings.service.instance,
      env: settings.env,
      cluster: settings.cluster
    }
    let current = settings
    let state: ConfigurationState = { version: 1, since: clock.currentTimeMillisUnsafe(), reloads: 0, failures: 0, problem: undefined, needsRestart: [] }
    const hooks = new Set<(settings: ObservabilitySettings) => void>()
    const onReload = (hook: (settings: ObservabilitySettings) => void) => {
      hooks.add(hook)
      return () => void hooks.delete(hook)
    }
    const monotonicMillis = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    const store = makeStore(
      {
        maxSeriesPerMetric: settings.metrics.maxSeriesPerMetric,
        maxSeries: settings.metrics.maxSeries,
        maxMetrics,
        buckets: settings.metrics.buckets,
        allow: settings.metrics.allow,
        views: settings.metrics.views,
        seriesTimeToLive: settings.metrics.seriesTimeToLive,
        highCardinalityLabels: settings.metrics.highCardinalityLabels,
        defaultLabels: settings.metrics.defaultLabels
      },
      () => clock.currentTimeMillisUnsafe(),
      () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    )
    for (const definition of StandardMetrics.all) store.suggest(definition)
    const effectMetrics = new EffectMetrics(store, yield* Effect.context<never>())
    store.onRead(() => {
      const { enabled, metrics } = current
      if (enabled && metrics.enabled && metrics.effectMetrics) effectMetrics.refresh()
    })

    const listeners = new Listeners((backend, signal) => self.loss(backend, signal, 1, "listener_defect"))
    const ends = new Map<string, () => void>()
    const claims = new Map<string, { readonly owner: string }>()
    let sampler: Sampler | undefined
    const books = new Books()
    const heirs = new Heirs()
    const reports = (): ReadonlyArray<ComponentReport> => listeners.all.map((listener) => books.withFormers(reportOf(listener)))
    const self = new SelfMetrics(store, reports, books, () => {
      // A trace whose first span never ends would otherwise wait until another span does.
      effectTracer.expire()
      return effectTracer.report()
    }, () => listeners.gate?.report(), () => listeners.all.flatMap((listener) => told(listener, listener.upkeep)), () => queues.reports())
    const queues = new Queues(monotonicMillis)
    const budget = new Pipes.ShutdownBudget(monotonicMillis)

    const register: Telemetry["Service"]["register"] = (listener) => Effect.suspend(() => {
      let gone = false
      return Effect.acquireRelease(
        Effect.gen(function*() {
          const seen = yield* ObservabilityConfig
          const handover = yield* Succession
          const known = [settings, current, handover?.settings()]
          if (!known.includes(seen) && !known.some((one) => sameSettings(seen, one))) {
            return yield* new CompositionError({
              message: `backend "${listener.name}" was given other settings than the hub: provide ObservabilityConfig once, outside` +
                " the composition (backends.pipe(Layer.provide(ObservabilityConfig layer)))"
            })
          }
          if (handover === undefined && listeners.has(listener.name)) {
            return yield* new CompositionError({
              message: `two backends are named "${listener.name}": give one of them another \`name\` in its options`
            })
          }
          if (handover === undefined) listeners.add(listener)
          else handover.defer(() => void (gone || listeners.add(listener)))
        }),
        () =>
          Effect.sync(() => {
            gone = true
            // A successor has taken its place, and hears of what is still open.
            if (!listeners.holds(listener)) return
            // The last to listen gets what was held; its own queue drains after this.
            if (listeners.spans.length === 1 && listeners.spans[0] === listener) effectTracer.release()
            if (listener.onError !== undefined) events.sweep(true)
            if (listener.onSpan !== undefined) {
              for (const span of effectTracer.unfinished(clock.currentTimeNanosUnsafe())) listeners.span(listener, span)
            }
            listeners.remove(listener)
          })
      )
    })

    const claim: Telemetry["Service"]["claim"] = (service, owner) =>
      Effect.acquireRelease(
        Effect.flatMap(Succession, (handover) => {
          const held = claims.get(service)?.owner
          const holder = held !== undefined && handover?.leaving.has(held) !== true ? held : handover?.rival(service, owner)
          if (holder !== undefined) {
            return Effect.fail(
              new CompositionError({
                message: `both "${holder}" and "${owner}" provide ${service}: keep one of them, or switch the history of the other off`
              })
            )
          }
          const claim = { owner, open: true }
          const take = () => void (claim.open && claims.set(service, claim))
          if (handover === undefined) take()
          else handover.defer(take)
          return Effect.succeed(claim)
        }),
        (claim) =>
          Effect.sync(() => {
            claim.open = false
            if (claims.get(service) === claim) claims.delete(service)
          })
      ).pipe(Effect.asVoid)

    const flush = Effect.suspend(() =>
      Effect.forEach(
        listeners.all,
        (listener) => Effect.catchCause(listener.flush ?? Effect.void, () => Effect.void),
        { concurrency: "unbounded", discard: true }
      )
    )

    // At the end of a program all backends leave together; one that leaves alone was taken out.
    const goesOn = () => listeners.size > 0
    const telemetry: Telemetry["Service"] = {
      store,
      settings: () => current,
      resource,
      register,
      claim,
      exportFrames: Pipes.exportFrames({ store, ends, settings: () => current, self, budget, queues, books, heirs, goesOn, onReload }),
      exportSpans: Pipes.exportSpans({ settings: () => current, self, budget, queues, books, heirs, goesOn, onReload }),
      exportErrors: Pipes.exportErrors({ settings: () => current, self, budget, queues, books, heirs, goesOn, onReload }),
      exportLogs: Pipes.exportLogs({ settings: () => current, self, budget, queues, books, heirs, goesOn, onReload }),
      exportAlerts: Pipes.exportAlerts({ settings: () => current, self, budget, queues, books, heirs, goesOn, onReload }),
      lineOf: (options) => events.lineOf(options),
      writeLogs: (output) =>
        Effect.acquireRelease(
          Effect.suspend(() => {
            if (events.output !== undefined) {
              return Effect.fail(new CompositionError({ message: "two layers write the log lines: keep one Logs.layer and give it all that is to be written" }))
            }
            events.output = output
            return Effect.void
          }),
          () => Effect.sync(() => void (events.output = undefined))
        ),
      reportUnsafe: (cause, fiber, options = {}) =>
        events.report({ ...options, handled: options.handled ?? true, cause, fiber, time: clock.currentTimeNanosUnsafe() }),
      errorIdUnsafe: (cause, fiber) => events.errorId(cause, fiber),
      recordErrorUnsafe: (error) => events.recordError(error),
      recordLogUnsafe: (line) => events.recordLog(line),
      recordAlertUnsafe: (event) => listeners.alert(event),
      alerts: () => listeners.all.flatMap((listener) => alertsOf(listener)),
      coordinator: () => listeners.all.find((listener) => listener.coordinator !== undefined)?.coordinator,
      listensTo: (signal) => listeners[signal].length > 0,
      setSampler: (wanted) =>
        Effect.suspend(() => {
          const problems = isSampler(wanted) ? wanted.problems : ["expected a Sampler"]
          if (problems.length > 0) {
            return Effect.fail(new ConfigurationError({ problems: problems.map((message) => ({ path: "sampler", message })) }))
          }
          sampler = wanted
          return Effect.void
        }),
      sampling: () => effectTracer.report(),
      preview: (wanted) => transition(current, wanted, sameSettings),
      reload: (wanted, handover) =>
        Effect.sync((): ReloadReport => {
          const { changed, needsRestart, settings } = transition(current, wanted, sameSettings)
          const now = clock.currentTimeMillisUnsafe()
          if (changed.some((path) => path.startsWith("tracing.sampl"))) sampler = undefined
          if (changed.some((path) => path.startsWith("tracing.limits") || path.startsWith("redaction"))) {
            values = new Values(settings.tracing.limits, compile(settings.redaction))
          }
          current = settings
          if (changed.some((path) => path.startsWith("metrics."))) store.configure(settings.metrics)
          if (changed.length > 0) for (const hook of hooks) hook(settings)
          if (handover !== undefined) {
            // Those that leave may drain for a while yet: what is recorded from now on is not theirs, and their places are free.
            for (const name of handover.leaving) ends.get(name)?.()
            for (const [service, { owner }] of claims) if (handover.leaving.has(owner)) claims.delete(service)
            handover.run()
          }
          state = {
            version: state.version + (changed.length > 0 ? 1 : 0),
            since: changed.length > 0 ? now : state.since,
            reloads: state.reloads + 1,
            failures: state.failures,
            problem: undefined,
            needsRestart
          }
          store.increment(StandardMetrics.ConfigReloads, 1, {})
          store.setGauge(StandardMetrics.ConfigReloadSuccess, 1, {})
          return { version: state.version, changed, needsRestart }
        }),
      reloadFailed: (message) =>
        Effect.sync(() => {
          state = { ...state, failures: state.failures + 1, problem: { message: message.slice(0, 2_000), at: clock.currentTimeMillisUnsafe() } }
          store.increment(StandardMetrics.ConfigReloadFailures, 1, {})
          store.setGauge(StandardMetrics.ConfigReloadSuccess, 0, {})
        }),
      configuration: () => state,
      flush,
      reports,
      removed: () => books.removed(reports()),
      capacity: () => listeners.all.flatMap((listener) => told(listener, listener.capacity)),
      upkeep: () => listeners.all.flatMap((listener) => told(listener, listener.upkeep)),
      queues: () => queues.reports(),
      spanQueueFill: () => queues.spanFill(),
      load: () => listeners.gate?.report(),
      giveWay: (gate) =>
        Effect.acquireRelease(
          Effect.suspend((): Effect.Effect<LoadBooks, CompositionError> => {
            if (listeners.gate !== undefined) {
              return Effect.fail(new CompositionError({ message: "two layers give way to load: keep one LoadControl.layer" }))
            }
            listeners.gate = gate
            return Effect.succeed({
              refuse: (signal, count, reason) => queues.refuse(signal, count, reason),
              shed: (signal, which, reason) => queues.shed(signal, which, reason)
            })
          }),
          () => Effect.sync(() => void (listeners.gate = undefined))
        ),
      openSpans: () => effectTracer.openSpans(clock.currentTimeNanosUnsafe()),
      refreshForFrame: () => {
        store.refresh()
        self.refresh()
      },
      refreshSelfMetrics: () => {
        store.pageRead()
        store.refresh()
        self.refresh()
      }
    }

    yield* Effect.forkScoped(housekeeping(store, () => {
      queues.look()
      queues.revive()
      events.sweep()
    }))
    // When the backends have left already there is nobody to tell: they take what is held back first, see `register`.
    yield* Effect.addFinalizer(() => Effect.sync(() => events.sweep(true)))

    const onEnd: Parameters<typeof Spans.make>[0]["onEnd"] = (span) => {
      if (listeners.gate?.span(span) === false) return
      for (const listener of listeners.spans) listeners.span(listener, span)
    }
    let values = new Values(settings.tracing.limits, compile(settings.redaction))
    const effectTracer = Spans.make({
      active: () => listeners.spans.length > 0 && current.enabled && current.tracing.enabled,
      sampler: () => easing(sampler ?? current.tracing.sampler, listeners.gate),
      onEnd,
      measured: () => current.metrics.enabled ? current.tracing.spanMetrics : "off",
      measure: (operation, kind, failed, nanos) =>
        store.observe(StandardMetrics.SpanDuration, "histogram", Math.max(0, nanos) / 1e9, { operation, kind, status: failed ? "error" : "ok" }),
      values: () => values,
      ids: yield* IdGenerator,
      now: monotonicMillis
    })

    // Those given outside of the hub stay; whoever gives others nearer to the program takes their place (docs/logs.md).
    const loggers = yield* Logger.CurrentLoggers
    const reporters = yield* ErrorReporter.CurrentErrorReporters
    const events = new Events({ settings: () => current, values: () => values, listeners, store, clock, loggers })
    const health = new HealthChecks({
      reports,
      parts: () => listeners.all.flatMap(partsOf),
      configuration: () => state,
      clock,
      scrub: (text) => values.text(text, text.length),
      oldestAge: () => Math.max(60_000, 4 * current.flushInterval)
    })
    yield* Effect.addFinalizer(() => health.close)
    const tracer = Tracing.make({ flush, rules: () => rulesOf(current) })
    const recorder = settings.enabled && settings.metrics.enabled ? Recorder.make(store, tracer.withSpan) : Recorder.silent(tracer.withSpan)
    return Context.make(Telemetry, telemetry).pipe(
      Context.add(Recorder.MetricsRecorder, recorder),
      Context.add(Tracer, tracer),
      Context.add(Diagnostics, { report: Effect.sync(() => diagnose(telemetry)) }),
      Context.add(Health, { check: health.report, register: health.register }),
      Context.add(EffectTracer.Tracer, effectTracer),
      Context.add(Logger.CurrentLoggers, new Set([events.logger])),
      Context.add(ErrorReporter.CurrentErrorReporters, new Set([...reporters, events.reporter]))
    )
  })
)

/** The words of the program without anybody listening: recording costs next to nothing and keeps nothing. */
export const layerNoop: Layer.Layer<Recorder.MetricsRecorder | Tracer> = Layer.succeedContext(
  Context.make(Recorder.MetricsRecorder, Recorder.noop).pipe(Context.add(Tracer, Tracing.make({ flush: Effect.void })))
)

const newInstance: Effect.Effect<string> = Effect.map(
  Effect.all([Random.nextIntBetween(0, 0x100000000), Random.nextIntBetween(0, 0x100000000)]),
  (words) => words.map((word) => word.toString(16).padStart(8, "0")).join("")
)

const alertsOf = (listener: Listener) => {
  try {
    return listener.alerts?.() ?? []
  } catch {
    return []
  }
}

const told = <A extends object>(listener: Listener, say: (() => A | undefined) | undefined): ReadonlyArray<A & { readonly backend: string }> => {
  try {
    const said = say?.()
    return said === undefined ? [] : [{ backend: listener.name, ...said }]
  } catch {
    return []
  }
}

const partsOf = (listener: Listener) => {
  try {
    return listener.parts?.() ?? []
  } catch {
    return []
  }
}

const reportOf = (listener: Listener): ComponentReport => {
  try {
    return listener.report()
  } catch {
    return { name: listener.name, kind: listener.kind, status: "down", reason: "its report threw", signals: [] }
  }
}

const sameSettings = (one: unknown, other: unknown): boolean => {
  if (Object.is(one, other)) return true
  if (Redacted.isRedacted(one) && Redacted.isRedacted(other)) return Redacted.value(one) === Redacted.value(other)
  // Functions inside cannot be compared; the description has every setting.
  if (isSampler(one) && isSampler(other)) return one.description === other.description
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false
  const keys = Object.keys(one)
  return keys.length === Object.keys(other).length &&
    keys.every((key) => sameSettings((one as Record<string, unknown>)[key], (other as Record<string, unknown>)[key]))
}
