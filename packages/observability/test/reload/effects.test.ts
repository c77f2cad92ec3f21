import { assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, Console, Duration, Effect, Layer, Redacted } from "effect"
import { Exporter, MetricsRecorder, Observability, ObservabilityConfig, type ObservabilityInput, Telemetry } from "effect-observability"
import { loaders } from "../../src/internal/backends.ts"
import { effects, handed, type Heard, layerLogger, needsRestart } from "./effects.ts"

// Every setting of the schema: those that a reload can change have an effect that is looked at before and after it, while the program records.

const noEnv = Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord({}))

/** Of the backends that stand in for real ones: what each was last handed, and how often it was built. */
class Packages {
  readonly built: Array<readonly [group: string, options: Readonly<Record<string, unknown>>]> = []
  readonly heard: Heard = { spans: [], logs: [], written: [], batches: [], hung: false }

  /** The newest of a backend. */
  last(group: string): Readonly<Record<string, unknown>> | undefined {
    return this.built.findLast(([name]) => name === group)?.[1]
  }

  private readonly layer = (group: string) => (options: object) =>
    Layer.effectDiscard(Effect.gen({ self: this }, function*() {
      const telemetry = yield* Telemetry
      const { heard } = this
      // PostgreSQL is handed nothing: it reads the settings.
      this.built.push([group, group === "postgres" ? telemetry.settings().postgres as never : options as never])
      const spans = yield* telemetry.exportSpans({
        name: group,
        exporter: {
          export: (batch) =>
            Effect.gen(function*() {
              while (heard.hung) yield* Effect.sleep(5)
              heard.batches.push(batch.length)
              return Exporter.complete
            })
        }
      })
      yield* telemetry.register({
        name: group,
        kind: group,
        ...(group !== "sentry" ? {} : {
          onSpan: (span) => {
            heard.spans.push(span)
            if (span.name.startsWith("probe")) spans.offerUnsafe(span)
          },
          onLog: ({ message }) => void heard.logs.push(message),
          flush: spans.flush
        }),
        report: () => ({ name: group, kind: group, status: "up", reason: undefined, signals: [] })
      })
    }))

  readonly from: typeof loaders = {
    ...loaders,
    postgres: () => Promise.resolve({ Postgres: { layerBackend: this.layer("postgres") } } as never),
    opentelemetry: () => Promise.resolve({ OpenTelemetry: { layerBackend: this.layer("opentelemetry") } } as never),
    sentry: () => Promise.resolve({ Sentry: { layerBackend: this.layer("sentry") } } as never),
    datadog: () => Promise.resolve({ Datadog: { layerBackend: this.layer("datadog") } } as never),
    clickhouse: () => Promise.resolve({ ClickHouse: { layerBackend: this.layer("clickhouse") } } as never)
  }
}

const sentry = { enabled: true, dsn: "https://key@127.0.0.1/1" }
/** What is on beside the setting that is looked at. */
const base: ObservabilityInput = { sentry, tracing: { sampleRate: 1 }, shutdownTimeout: 5, requestTimeout: 5 }

const shown = (value: unknown): unknown =>
  Redacted.isRedacted(value)
    ? Redacted.value(value)
    : Duration.isDuration(value)
    ? `${Duration.toMillis(value)} ms`
    : typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).map(([key, one]) => [key, shown(one)]))
    : value

const nested = (path: string, value: unknown): ObservabilityInput =>
  path.split(".").reduceRight<unknown>((inside, key) => ({ [key]: inside }), value) as ObservabilityInput

/** Spans, counts and log lines without pause, until the scope closes. */
const load = Effect.gen(function*() {
  const recorder = yield* MetricsRecorder
  yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
    yield* Effect.logDebug("load").pipe(Effect.withSpan("load"))
    yield* recorder.incrementCounter("load_total", 1, {})
    yield* Effect.sleep(1)
  })))
})

const composition = (packages: Packages) =>
  Observability.layerOf({ input: base, file: undefined }, undefined, packages.from).pipe(Layer.provide(layerLogger(packages.heard)))

const balanced = Effect.map(Telemetry, (telemetry) => assert.deepStrictEqual(telemetry.queues().filter((queue) => !queue.balanced), []))

/** Has tests of its own, with its parts. */
const elsewhere = /^(alerting|errors|upkeep)\./

describe("settings", () => {
  it("each has an effect here, or needs a restart", () => {
    const leaves = (path: string, shape: { readonly properties?: Readonly<Record<string, any>> }): ReadonlyArray<string> => {
      const below = Object.entries(shape.properties ?? {}).filter(([key]) => !key.includes("_") && !key.startsWith("$"))
      return below.length === 0 ? [path] : below.flatMap(([key, one]) => leaves(path === "" ? key : `${path}.${key}`, one))
    }
    const known = [...Object.keys(effects), ...Object.keys(handed), ...Object.keys(needsRestart), ...Object.keys(switches)]
    assert.deepStrictEqual(leaves("", ObservabilityConfig.jsonSchema).filter((path) => !elsewhere.test(path) && !known.includes(path)), [])
  })

  it.live("what the hub does", () =>
    Effect.gen(function*() {
      const packages = new Packages()
      yield* Effect.gen(function*() {
        yield* load
        const wrong: Array<unknown> = []
        let n = 0
        for (const [path, { one, other, see, seen }] of Object.entries(effects)) {
          // There and back again: what a setting did must go with it.
          for (const [settings, expected] of [[one, seen[0]], [other, seen[1]], [one, seen[0]]] as const) {
            yield* Observability.reload(ObservabilityConfig.merge(base, settings))
            const found = yield* Effect.catchCause(see(packages.heard, ++n), (cause) => Effect.succeed(String(Cause.squash(cause))))
            if (JSON.stringify(found) !== JSON.stringify(expected)) wrong.push({ path, settings: JSON.stringify(settings), expected, found })
          }
          assert.deepStrictEqual((yield* Telemetry).configuration().needsRestart, [])
        }
        assert.deepStrictEqual(wrong, [])
        yield* balanced
      }).pipe(Effect.scoped, Effect.provide(composition(packages)), noEnv)
    }), 40_000)

  it.live("what a backend is made of", () =>
    Effect.gen(function*() {
      const packages = new Packages()
      yield* Effect.gen(function*() {
        yield* load
        const wrong: Array<unknown> = []
        for (const [path, { as, one, other }] of Object.entries(handed)) {
          const [group] = path.split(".") as [string]
          const [key, first, second] = as ?? [path.split(".").at(-1)!, one, other]
          const on: Readonly<Record<string, ObservabilityInput>> = {
            postgres: { postgres: { enabled: true, capacity: 5_000_000_000, common: { connection: "postgres://a:b@127.0.0.1/db" } } },
            opentelemetry: { opentelemetry: { enabled: true, endpoint: "http://127.0.0.1:1" } },
            datadog: { datadog: { enabled: true } },
            clickhouse: { clickhouse: { enabled: true, connection: "http://127.0.0.1:1" } }
          }
          for (const [value, expected] of [[one, first], [other, second], [one, first]] as const) {
            const before = packages.built.length
            const report = yield* Observability.reload(ObservabilityConfig.merge(base, on[group] ?? {}, nested(path, value)))
            assert.deepStrictEqual(report.needsRestart, [])
            const found = shown(key.split(".").reduce<any>((inside, name) => inside?.[name], packages.last(group)))
            const exchanged = packages.built.slice(before).filter(([name]) => name === group).length
            if (JSON.stringify(found) !== JSON.stringify(expected) || exchanged > 1) wrong.push({ path, expected, found, exchanged })
          }
        }
        assert.deepStrictEqual(wrong, [])
        yield* balanced
      }).pipe(Effect.scoped, Effect.provide(composition(packages)), noEnv)
    }), 40_000)

  it.live("which backends there are", () =>
    Effect.gen(function*() {
      const packages = new Packages()
      yield* Effect.gen(function*() {
        yield* load
        const telemetry = yield* Telemetry
        for (const [path, { name, off, on }] of Object.entries(switches)) {
          for (const [settings, expected] of [[on, true], [off, false], [on, true]] as const) {
            yield* Observability.reload(ObservabilityConfig.merge({ ...base, sentry: {} }, settings))
            assert.strictEqual(telemetry.reports().some((report) => report.name === name), expected, `${path} ${JSON.stringify(settings)}`)
          }
        }
        yield* balanced
      }).pipe(Effect.scoped, Effect.provide(composition(packages)), noEnv)
    }), 40_000)

  it.live("the terminal's colors and share", () =>
    Effect.gen(function*() {
      const printed: Array<string> = []
      const console = { ...globalThis.console, log: (text: string) => void printed.push(text) } as unknown as Console.Console
      yield* Effect.gen(function*() {
        const see = (settings: ObservabilityInput["console"]) =>
          Effect.gen(function*() {
            yield* Observability.reload({ console: { enabled: true, ...settings } })
            printed.length = 0
            yield* Effect.void.pipe(Effect.withSpan("shown"))
            yield* Observability.flush
            return printed.map((text) => text.includes("\u001b["))
          })
        assert.deepStrictEqual([yield* see({ colors: false }), yield* see({ colors: true }), yield* see({ sampleRatio: 0 }), yield* see({ colors: false })], [[false], [true], [], [false]])
      }).pipe(Effect.provide(Observability.layerConfig({ console: { enabled: true } })), Effect.provideService(Console.Console, console), noEnv)
    }))

  it.live("those that need a restart are named, and change nothing", () =>
    Effect.gen(function*() {
      const packages = new Packages()
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        const before = telemetry.settings()
        for (const [path, [settings, name]] of Object.entries(needsRestart)) {
          const { changed, needsRestart } = yield* Observability.reload(ObservabilityConfig.merge(base, settings))
          assert.deepStrictEqual([path, changed, needsRestart], [path, [], [name]])
          assert.strictEqual(telemetry.settings(), before)
          assert.deepStrictEqual(telemetry.configuration().needsRestart, [name])
        }
        assert.strictEqual(packages.built.length, 1)
      }).pipe(Effect.provide(composition(packages)), noEnv)
    }))
})

/** Settings that a backend comes and goes with. */
const switches: Readonly<Record<string, { readonly name: string; readonly on: ObservabilityInput; readonly off: ObservabilityInput }>> = {
  "prometheus.enabled": { name: "prometheus", on: {}, off: { prometheus: { enabled: false } } },
  "postgres.enabled": { name: "postgres", on: { postgres: { enabled: true } }, off: { postgres: { enabled: false } } },
  "clickhouse.enabled": { name: "clickhouse", on: { clickhouse: { enabled: true, connection: "http://127.0.0.1:1" } }, off: { clickhouse: { enabled: false } } },
  "opentelemetry.enabled": { name: "opentelemetry", on: { opentelemetry: { enabled: true, endpoint: "http://127.0.0.1:1" } }, off: { opentelemetry: { enabled: false } } },
  "tracing.otelEndpoint": { name: "opentelemetry", on: { tracing: { otelEndpoint: "http://127.0.0.1:1" } }, off: {} },
  "sentry.enabled": { name: "sentry", on: { sentry: { ...sentry, enabled: true } }, off: { sentry: { ...sentry, enabled: false } } },
  "tracing.sentryDsn": { name: "sentry", on: { tracing: { sentryDsn: "https://key@127.0.0.1/1" } }, off: {} },
  "datadog.enabled": { name: "datadog", on: { datadog: { enabled: true } }, off: { datadog: { enabled: false } } },
  "console.enabled": { name: "console", on: { console: { enabled: true } }, off: { console: { enabled: false } } },
  // See below.
  "console.colors": { name: "console", on: { console: { enabled: true, colors: true } }, off: {} },
  "console.sampleRatio": { name: "console", on: { console: { enabled: true, sampleRatio: 0 } }, off: {} }
}
