import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, FileSystem, Layer, type PlatformError, Redacted, Stream } from "effect"
import { MetricsRecorder, Observability, Telemetry } from "effect-observability"
import { reloadOnSignal } from "effect-observability/node"
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, renameSync, rmSync, symlinkSync, truncateSync, unlinkSync, utimesSync, writeFileSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

// What editors, deployments and mounted maps do to a watched file, and storms of reloads.

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "obs-watch-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)
const env = (variables: Record<string, string>) => Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(variables))

const until = (done: () => boolean, millis = 10_000) =>
  Effect.gen(function*() {
    const end = performance.now() + millis
    while (!done() && performance.now() < end) yield* Effect.sleep(5)
    return done()
  })

interface Watched {
  readonly dir: string
  readonly path: string
  readonly telemetry: Telemetry["Service"]
  /** Waits until this batch size is in force. */
  readonly inForce: (batchSize: number) => Effect.Effect<void>
}

const services = NodeServices.layer

/** A program whose file says `batch_size: 10`, watched by events alone: the next look without one is far away. */
const watched = (
  what: (watched: Watched) => Effect.Effect<void, unknown>,
  { arrange, interval = "1 minute", settle = "30 millis", fs = services }: {
    readonly arrange?: (dir: string) => string
    readonly interval?: "1 minute" | "40 millis"
    readonly settle?: "30 millis" | "300 millis"
    readonly fs?: Layer.Layer<FileSystem.FileSystem>
  } = {}
) =>
  Effect.gen(function*() {
    const dir = yield* folder
    const path = arrange?.(dir) ?? join(dir, "o.yaml")
    if (arrange === undefined) writeFileSync(path, "batch_size: 10\n")
    yield* Effect.gen(function*() {
      const telemetry = yield* Telemetry
      // Until somebody listens for events.
      yield* Effect.sleep(150)
      yield* what({
        dir,
        path,
        telemetry,
        inForce: (batchSize) =>
          Effect.gen(function*() {
            yield* until(() => telemetry.settings().batchSize === batchSize)
            assert.strictEqual(telemetry.settings().batchSize, batchSize, telemetry.configuration().problem?.message)
            assert.strictEqual(telemetry.configuration().problem, undefined)
          })
      })
    }).pipe(Effect.provide(Observability.layerFile(path, { watch: { interval, settle } }).pipe(Layer.provide(fs))), env({}))
  })

describe("a watched file", () => {
  it.live("is written in place, replaced by renaming, and both ways round", () =>
    watched(({ inForce, path }) =>
      Effect.gen(function*() {
        writeFileSync(path, "batch_size: 11\n")
        yield* inForce(11)
        writeFileSync(`${path}.tmp`, "batch_size: 12\n")
        renameSync(`${path}.tmp`, path)
        yield* inForce(12)
        // An editor that keeps the former one beside it.
        renameSync(path, `${path}~`)
        writeFileSync(path, "batch_size: 13\n")
        yield* inForce(13)
        writeFileSync(path, "batch_size: 14\n")
        yield* inForce(14)
      })))

  it.live("is deleted and made anew; in between the former settings stay", () =>
    watched(({ inForce, path, telemetry }) =>
      Effect.gen(function*() {
        unlinkSync(path)
        yield* until(() => telemetry.configuration().failures === 1)
        assert.match(telemetry.configuration().problem!.message, /there is no such file/)
        assert.strictEqual(telemetry.settings().batchSize, 10)
        writeFileSync(path, "batch_size: 11\n")
        yield* inForce(11)
      })))

  it.live("in a folder that is deleted and made anew", () =>
    watched(({ dir, inForce, path }) =>
      Effect.gen(function*() {
        rmSync(dir, { recursive: true })
        yield* Effect.sleep(100)
        mkdirSync(dir)
        writeFileSync(path, "batch_size: 11\n")
        yield* inForce(11)
      }), { interval: "40 millis" }))

  it.live("is a link into a mounted map that is exchanged as a whole (..data)", () =>
    watched(({ dir, inForce }) =>
      Effect.gen(function*() {
        // As the kubelet writes a ConfigMap: a new folder, a new link beside, and one rename.
        for (const size of [11, 12, 13]) {
          mkdirSync(join(dir, `..2026_${size}`))
          writeFileSync(join(dir, `..2026_${size}`, "o.yaml"), `batch_size: ${size}\n`)
          symlinkSync(`..2026_${size}`, join(dir, "..data_tmp"))
          renameSync(join(dir, "..data_tmp"), join(dir, "..data"))
          rmSync(join(dir, `..2026_${size - 1}`), { recursive: true })
          yield* inForce(size)
        }
      }), {
      arrange: (dir) => {
        mkdirSync(join(dir, "..2026_10"))
        writeFileSync(join(dir, "..2026_10", "o.yaml"), "batch_size: 10\n")
        symlinkSync("..2026_10", join(dir, "..data"))
        symlinkSync("..data/o.yaml", join(dir, "o.yaml"))
        return join(dir, "o.yaml")
      }
    }))

  it.live("is half written for 200 ms: it is read when it is whole", () =>
    watched(({ inForce, path, telemetry }) =>
      Effect.gen(function*() {
        truncateSync(path)
        const file = openSync(path, "w")
        // The first half is a configuration by itself.
        writeSync(file, "batch_size: 11\n")
        yield* Effect.sleep(200)
        assert.strictEqual(telemetry.settings().batchSize, 10)
        writeSync(file, "request_timeout: 7\nflush_interval: 9\n")
        closeSync(file)
        yield* inForce(11)
        assert.deepStrictEqual([telemetry.settings().requestTimeout, telemetry.settings().flushInterval], [7_000, 9_000])
        assert.deepStrictEqual([telemetry.configuration().failures, telemetry.configuration().reloads], [0, 1])
      }), { settle: "300 millis" }))

  it.live("bears a time in the past, and the size and time of the one before", () =>
    watched(({ inForce, path, telemetry }) =>
      Effect.gen(function*() {
        const past = new Date("2001-01-01T00:00:00Z")
        for (const size of [11, 12, 13]) {
          writeFileSync(path, `batch_size: ${size}\n`)
          utimesSync(path, past, past)
          yield* inForce(size)
        }
        // Touched, and written as it was: nothing to do.
        utimesSync(path, new Date(), new Date())
        writeFileSync(path, "batch_size: 13\n")
        yield* Effect.sleep(200)
        assert.strictEqual(telemetry.configuration().reloads, 3)
      })))

  it.live("on a disk without events: the interval serves", () => {
    const silent = Layer.effect(
      FileSystem.FileSystem,
      Effect.map(FileSystem.FileSystem, (fs) => ({ ...fs, watch: () => Stream.fail({ _tag: "PlatformError", message: "ENOSPC: System limit for number of file watchers reached" } as unknown as PlatformError.PlatformError) }))
    ).pipe(Layer.provide(services))
    return watched(({ inForce, path }) =>
      Effect.gen(function*() {
        writeFileSync(path, "batch_size: 11\n")
        yield* inForce(11)
      }), { interval: "40 millis", fs: silent })
  })

  it.live("in a folder in which a thousand other files are written", () =>
    watched(({ dir, inForce, path, telemetry }) =>
      Effect.gen(function*() {
        for (let i = 0; i < 1_000; i++) {
          writeFileSync(join(dir, `other-${i % 10}`), String(i))
          if (i === 500) writeFileSync(path, "batch_size: 11\n")
          if (i % 50 === 0) yield* Effect.sleep(1)
        }
        yield* inForce(11)
        assert.strictEqual(telemetry.configuration().reloads, 1)
      })))

  it.live("mounted secrets: one is exchanged for another of its length, one is added to the folder", () =>
    Effect.gen(function*() {
      const dir = yield* folder
      const secrets = join(dir, "secrets")
      mkdirSync(secrets)
      const path = join(dir, "o.yaml")
      writeFileSync(path, "batch_size: 10\n")
      writeFileSync(join(secrets, "POSTGRES_CONNECTION"), "postgres://a:one@127.0.0.1/x")
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        const password = () => new URL(Redacted.value(telemetry.settings().postgres.connection!)).password
        assert.strictEqual(password(), "one")
        writeFileSync(join(secrets, "POSTGRES_CONNECTION"), "postgres://a:two@127.0.0.1/x")
        yield* until(() => password() === "two")
        assert.strictEqual(password(), "two")
        writeFileSync(join(secrets, "APP_ENV"), "prod")
        writeFileSync(join(secrets, "SENTRY_ENVIRONMENT"), "blue")
        yield* until(() => telemetry.settings().sentry.environment === "blue")
        assert.strictEqual(telemetry.settings().sentry.environment, "blue")
        // One that is no secret, whatever it is: said once, not again and again.
        writeFileSync(join(secrets, "SENTRY_RELEASE"), "x".repeat(100_000))
        yield* until(() => telemetry.configuration().failures > 0)
        yield* Effect.sleep(300)
        assert.strictEqual(telemetry.configuration().failures, 1)
        assert.match(telemetry.configuration().problem!.message, /larger than 65536 bytes/)
        assert.notInclude(telemetry.configuration().problem!.message, "two")
      }).pipe(
        Effect.provide(Observability.layerFile(path, { watch: { interval: "40 millis", settle: "30 millis" } }).pipe(Layer.provide(services))),
        env({ OBSERVABILITY_SECRETS_DIR: secrets })
      )
    }))

  it.live("nobody listens when the program has ended", () =>
    Effect.gen(function*() {
      const watchers = () => process.getActiveResourcesInfo().filter((name) => name === "FSEvent" || name === "FSEventWrap").length
      const handles = () => readdirSync("/proc/self/fd").length
      // Those of the tests before this one go in the turn after their end.
      yield* Effect.sleep(50)
      const before = [watchers(), handles()]
      for (let i = 0; i < 20; i++) yield* watched(({ inForce, path }) => Effect.andThen(Effect.sync(() => writeFileSync(path, "batch_size: 11\n")), inForce(11))).pipe(Effect.scoped)
      yield* Effect.sleep(50)
      assert.deepStrictEqual([watchers(), handles()], before)
    }))
})

describe("a storm", () => {
  it.live("of signals is two reloads, and the last word counts", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "o.yaml")
      writeFileSync(path, "batch_size: 10\n")
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        for (let burst = 1; burst <= 5; burst++) {
          const before = telemetry.configuration().reloads
          for (let i = 0; i < 500; i++) {
            if (i === 250) writeFileSync(path, `batch_size: ${10 + burst}\n`)
            process.emit("SIGHUP", "SIGHUP")
          }
          yield* until(() => telemetry.settings().batchSize === 10 + burst)
          yield* Effect.sleep(20)
          assert.strictEqual(telemetry.settings().batchSize, 10 + burst)
          assert.isAtMost(telemetry.configuration().reloads - before, 2)
        }
      }).pipe(
        Effect.provide(reloadOnSignal().pipe(Layer.provideMerge(Observability.layerFile(path, { watch: false })), Layer.provide(services))),
        env({})
      )
      assert.strictEqual(process.listenerCount("SIGHUP"), 0)
    }))

  it.live("of a hundred reloads a second while the program records: all in force in their order, nothing lost", () =>
    Effect.gen(function*() {
      // `SECONDS_OF_STORM=10` for the long version.
      const seconds = Number(process.env["SECONDS_OF_STORM"] ?? 2)
      yield* Effect.gen(function*() {
        const telemetry = yield* Telemetry
        const recorder = yield* MetricsRecorder
        let counted = 0
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(
          Effect.suspend(() => {
            counted++
            return recorder.incrementCounter("jobs_total", 1, {})
          }),
          Effect.yieldNow
        )))
        const began = performance.now()
        const reloads = seconds * 100
        for (let i = 1; i <= reloads; i++) {
          const { version } = yield* Observability.reload({ batchSize: 10 + i % 2, tracing: { sampleRate: (i % 10) / 10 } })
          assert.strictEqual(version, i + 1)
          const wait = i * 10 - (performance.now() - began)
          if (wait > 0) yield* Effect.sleep(wait)
        }
        const family = telemetry.store.family("jobs_total")!
        assert.strictEqual(family.value(family.series[0]!), counted)
        assert.isAbove(counted, 1_000)
        assert.deepStrictEqual([telemetry.configuration().reloads, telemetry.configuration().failures], [reloads, 0])
      }).pipe(Effect.scoped, Effect.provide(Observability.layerConfig({})), env({}))
    }), 60_000)
})
