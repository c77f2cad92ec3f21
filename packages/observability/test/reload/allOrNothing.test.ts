import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { Diagnostics, MetricDefinition, MetricsRecorder, Observability, type ObservabilityInput, Telemetry } from "effect-observability"
import { loaders } from "../../src/internal/backends.ts"
import { Sink } from "./Sink.ts"

const noEnv = Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord({}))
const Jobs = MetricDefinition.counter("jobs_total", { help: "Jobs", labelNames: [] })

/** Two backends side by side: ClickHouse, which is built first, and Sentry. What becomes of the next Sentry is chosen by its release. */
const pair = () => {
  const first = new Sink("clickhouse")
  const second = new Sink("sentry")
  const started = Deferred.makeUnsafe<void>()
  const sentry = (release: string) => {
    if (release === "fails") return Layer.effectDiscard(Effect.fail(new Error("cannot be built: refused")))
    if (release === "dies") return Layer.effectDiscard(Effect.die(new Error("broken inside")))
    if (release === "fails late") return Layer.merge(second.layer(1), Layer.effectDiscard(Effect.andThen(Effect.sleep(20), Effect.fail(new Error("failed at last")))))
    if (release === "hangs") return Layer.effectDiscard(Effect.andThen(Effect.sync(() => Deferred.doneUnsafe(started, Exit.void)), Effect.uninterruptible(Effect.never)))
    if (release === "slow") return Layer.effectDiscard(Effect.andThen(Effect.sync(() => Deferred.doneUnsafe(started, Exit.void)), Effect.sleep(150))).pipe((wait) => Layer.provide(second.layer(1), wait))
    return second.layer(1)
  }
  const layer = Observability.layerOf({ input: settings("a"), file: undefined }, undefined, {
    ...loaders,
    clickhouse: () => Promise.resolve({ ClickHouse: { layerBackend: () => first.layer(1) } } as never),
    sentry: () => Promise.resolve({ Sentry: { layerBackend: (options: { readonly release: string }) => sentry(options.release) } } as never)
  })
  return { first, second, started, layer }
}

/** Settings that ask for another of both, for another queue policy, sampler and level. */
const settings = (release: string, other: ObservabilityInput = {}): ObservabilityInput => ({
  clickhouse: { enabled: true, connection: `http://127.0.0.1/${release.replaceAll(" ", "_")}` },
  sentry: { enabled: true, dsn: "https://key@127.0.0.1/1", release },
  batchSize: release === "a" ? 10 : 20,
  tracing: { sampleRate: 1, limits: { attributeCount: release === "a" ? 10 : 20 } },
  shutdownTimeout: 5,
  requestTimeout: 0.5,
  ...other
})

/** Spans and counts until it is told to stop; gives how many. */
const load = Effect.gen(function*() {
  const recorder = yield* MetricsRecorder
  const work = { going: true, sent: 0 }
  const fiber = yield* Effect.forkChild(Effect.gen(function*() {
    while (work.going) {
      yield* Effect.void.pipe(Effect.withSpan(`job ${work.sent++}`))
      yield* recorder.incrementCounter(Jobs, 1, {})
      yield* Effect.sleep(1)
    }
  }))
  const stop = Effect.andThen(Effect.sync(() => void (work.going = false)), Effect.as(Fiber.join(fiber), work))
  return { stop }
})

/** That everything is as it was: settings, version, and both backends; the program said why. */
const nothingChanged = (failures: number, reason: RegExp) =>
  Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const { batchSize, sentry, tracing } = telemetry.settings()
    assert.deepStrictEqual([batchSize, sentry.release, tracing.limits.attributeCount], [10, "a", 10])
    const { configuration, imbalances } = yield* (yield* Diagnostics).report
    assert.strictEqual(configuration.version, 1)
    assert.strictEqual(configuration.reloads, 0)
    assert.strictEqual(configuration.failures, failures)
    if (failures > 0) assert.match(configuration.problem!.message, reason)
    assert.deepStrictEqual(imbalances, [])
    assert.deepStrictEqual(telemetry.reports().map(({ name }) => name).sort(), ["clickhouse", "prometheus", "sentry"])
  })

/** Each span once in each of the two, the counter's total in each, and the books of every queue closed. */
const allThere = ({ first, second }: ReturnType<typeof pair>, sent: number) => {
  for (const sink of [first, second]) {
    assert.strictEqual(sink.spans.size, sent)
    assert.deepStrictEqual([...sink.spans].filter(([, times]) => times !== 1), [])
    assert.strictEqual(sink.jobs, sent)
    assert.strictEqual(sink.opened, sink.closed)
    sink.assertBooks()
  }
}

describe("a reload is all or nothing", () => {
  for (const [release, reason] of [["fails", /cannot be built: refused/], ["dies", /sentry broke while it was built \(Error\)/], ["fails late", /failed at last/], ["hangs", /the new sentry was not ready within 500 ms/]] as const) {
    it.live(`a second successor that ${release}`, () =>
      Effect.gen(function*() {
        const both = pair()
        let sent = 0
        yield* Effect.gen(function*() {
          const { stop } = yield* load
          const exit = yield* Effect.exit(Observability.reload(settings(release)))
          assert.isTrue(Exit.isFailure(exit))
          assert.match(String(exit), reason)
          yield* nothingChanged(1, reason)
          // The next one comes into force.
          yield* Effect.sleep(20)
          const report = yield* Observability.reload(settings("b"))
          assert.strictEqual(report.version, 2)
          assert.strictEqual((yield* (yield* Diagnostics).report).configuration.problem, undefined)
          yield* Effect.sleep(20)
          sent = (yield* stop).sent
        }).pipe(Effect.provide(both.layer), noEnv)
        allThere(both, sent)
      }), 20_000)
  }

  it.live("interrupted while a successor is built: it goes on, and is in force as a whole", () =>
    Effect.gen(function*() {
      const both = pair()
      let sent = 0
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        const { stop } = yield* load
        const fiber = yield* Effect.forkChild(Observability.reload(settings("slow")))
        yield* Deferred.await(both.started)
        yield* nothingChanged(0, /./)
        yield* Fiber.interrupt(fiber)
        for (let i = 0; i < 200 && telemetry.settings().batchSize !== 20; i++) yield* Effect.sleep(10)
        assert.deepStrictEqual([telemetry.settings().batchSize, telemetry.settings().sentry.release], [20, "slow"])
        sent = (yield* stop).sent
      }).pipe(Effect.provide(both.layer), noEnv)
      allThere(both, sent)
    }), 20_000)

  it.live("reloads during a reload come one after the other, those without input share one", () =>
    Effect.gen(function*() {
      const both = pair()
      let sent = 0
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        const { stop } = yield* load
        const slow = yield* Effect.forkChild(Observability.reload(settings("slow")))
        yield* Deferred.await(both.started)
        const others = yield* Effect.forEach(["b", "fails", "c"], (release) => Effect.forkChild(Effect.exit(Observability.reload(settings(release))), { startImmediately: true }))
        const storm = yield* Effect.forEach(Array.from({ length: 50 }), () => Effect.forkChild(Observability.reload(), { startImmediately: true }))
        assert.strictEqual((yield* Fiber.join(slow)).version, 2)
        const [b, failed, c] = yield* Effect.forEach(others, Fiber.join)
        assert.deepStrictEqual([Exit.isSuccess(b!) && b.value.version, Exit.isFailure(failed!), Exit.isSuccess(c!) && c.value.version], [3, true, 4])
        const same = yield* Effect.forEach(storm, Fiber.join)
        assert.strictEqual(new Set(same).size, 1)
        assert.strictEqual(telemetry.settings().sentry.release, "c")
        assert.strictEqual(telemetry.configuration().reloads, 4)
        sent = (yield* stop).sent
      }).pipe(Effect.provide(both.layer), noEnv)
      allThere(both, sent)
    }), 20_000)

  for (const release of ["slow", "hangs"]) {
    it.live(`the program ends while a successor is built (${release})`, () =>
      Effect.gen(function*() {
        const both = pair()
        const scope = yield* Scope.make()
        const context = yield* Layer.buildWithScope(both.layer, scope)
        const inside = <A, E>(self: Effect.Effect<A, E, Layer.Success<typeof both.layer>>) => Effect.provideContext(self, context)
        const { stop } = yield* inside(load)
        const fiber = yield* Effect.forkChild(Effect.exit(inside(Observability.reload(settings(release, { requestTimeout: 30 })))))
        yield* Deferred.await(both.started)
        const { sent } = yield* stop
        const began = Date.now()
        yield* Scope.close(scope, Exit.void)
        assert.isBelow(Date.now() - began, 3_000)
        const exit = yield* Fiber.join(fiber)
        assert.match(String(exit), /the program ends/)
        assert.strictEqual(Context.get(context, Telemetry).settings().sentry.release, "a")
        // Afterwards too.
        const late = yield* Effect.exit(inside(Observability.reload(settings("b"))))
        assert.match(String(late), /the program ends/)
        allThere(both, sent)
      }).pipe(noEnv), 20_000)
  }

  it.live("a history goes from one backend to another in one reload", () =>
    Effect.gen(function*() {
      const claiming = (name: string) => Layer.effectDiscard(Effect.flatMap(Telemetry, (telemetry) => telemetry.claim("MetricsHistory", name)))
      const layer = Observability.layerOf({ input: { clickhouse: { enabled: true, connection: "http://127.0.0.1/x" } }, file: undefined }, undefined, {
        ...loaders,
        postgres: () => Promise.resolve({ Postgres: { layerBackend: () => claiming("postgres") } } as never),
        clickhouse: () => Promise.resolve({ ClickHouse: { layerBackend: ({ history }: { readonly history: boolean }) => history ? claiming("clickhouse") : Layer.empty } } as never)
      })
      yield* Effect.gen(function*() {
        const there = { clickhouse: { enabled: true, connection: "http://127.0.0.1/x" } }
        const postgres = { enabled: true, common: { connection: "postgres://127.0.0.1/x" } }
        for (let i = 0; i < 3; i++) {
          yield* Observability.reload({ ...there, postgres })
          const exit = yield* Effect.exit(Observability.reload({ clickhouse: { ...there.clickhouse, history: true }, postgres }))
          assert.match(String(exit), /"postgres".*MetricsHistory|MetricsHistory.*"postgres"|both/)
          yield* Observability.reload(there)
        }
        assert.strictEqual((yield* Telemetry).configuration().version, 7)
      }).pipe(Effect.provide(layer), noEnv)
    }))
})
