import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { ConfigurationError } from "../config/ObservabilityConfig.ts"
import { quietly } from "../hub/quietly.ts"
import { type CompositionError, type LoadBooks, type LoadGate, type Signal, Telemetry } from "../hub/Telemetry.ts"
import type { LogData } from "../logs/LogData.ts"
import type { SpanData } from "../tracing/SpanData.ts"
import { kindOfLog, kindOfSpan, type Shed, shedAt } from "./internal/priority.ts"
import { defaultPressure, Pressure, type PressureSettings } from "./Pressure.ts"

/** One kind of memory: what is used of what may be used, in bytes. */
export interface MemoryReading {
  /** `"heap"`, `"rss"`, …. */
  readonly name: string
  readonly used: number
  /** The soft limit: from here on things are given up. One that is not above 0 is no limit. */
  readonly softLimit: number
}

export interface LoadControlOptions {
  /** Reads the memory of the process; called every `interval`. What it throws counts as no reading. `NodeLoad.layer` brings Node's. */
  readonly memory: () => ReadonlyArray<MemoryReading>
  /** 100 ms to 1 minute; default 1 second. */
  readonly interval?: Duration.Input
  /** Least share of the traces kept under pressure, above 0, at most 1. Default 0.01. */
  readonly minSamplingRatio?: number
  /** How long it must have been calm before a level falls. 1 second to 5 minutes; default 10 seconds. */
  readonly hold?: Duration.Input
}

/** A queue filled to this share counts as full: what comes then may push something out. */
const fullQueue = 0.95
const queues = "spanQueues"

/**
 * Gives way when memory runs short or the queues of spans fill: first fewer traces, then, for memory alone, details, then all but errors, at last all but metrics; and takes it all
 * up again, step by step, when it has been calm. Everything given up is counted (`obs_shed_total`, the ledgers' reason `load_shed`).
 *
 * Off unless this Layer is there. Fails when an option cannot be used, or a second one is there.
 */
export const layer = (options: LoadControlOptions): Layer.Layer<never, ConfigurationError | CompositionError, Telemetry> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const clock = yield* Clock.Clock
    const { interval, settings } = yield* decode(options)
    const control = new Control(telemetry, settings, options.memory)
    control.books = yield* telemetry.giveWay(control)
    const tick = Effect.suspend(() => {
      const line = control.tick(Number(clock.monotonicTimeNanosUnsafe()) / 1e6, clock.currentTimeMillisUnsafe())
      return line === undefined ? Effect.void : Effect.logWarning(line)
    })
    yield* Effect.forkScoped(quietly(
      Effect.forever(Effect.sleep(interval).pipe(Effect.andThen(tick), Effect.catchCause(() => Effect.void)))
    ))
  }))

const decode = (options: LoadControlOptions): Effect.Effect<{ readonly interval: number; readonly settings: PressureSettings }, ConfigurationError> =>
  Effect.suspend(() => {
    const problems: Array<{ readonly path: string; readonly message: string }> = []
    const millis = (field: "interval" | "hold", fallback: number, least: number, most: number): number => {
      const given = options[field]
      const value = given === undefined ? fallback : Option.match(Duration.fromInput(given), { onNone: () => NaN, onSome: Duration.toMillis })
      if (!(value >= least && value <= most)) problems.push({ path: `load.${field}`, message: `expected ${least} ms to ${most} ms` })
      return value
    }
    const interval = millis("interval", 1_000, 100, 60_000)
    const hold = millis("hold", defaultPressure.hold, 1_000, 300_000)
    const minRatio = options.minSamplingRatio ?? defaultPressure.minRatio
    if (!(minRatio > 0 && minRatio <= 1)) problems.push({ path: "load.minSamplingRatio", message: "expected a share above 0, at most 1" })
    if (typeof options.memory !== "function") problems.push({ path: "load.memory", message: "expected a function that reads the memory" })
    return problems.length > 0 ? Effect.fail(new ConfigurationError({ problems })) : Effect.succeed({ interval, settings: { ...defaultPressure, hold, minRatio } })
  })

/** The gate of a hub, moved by readings. */
class Control implements LoadGate {
  books: LoadBooks | undefined
  private readonly telemetry: Telemetry["Service"]
  private readonly memory: () => ReadonlyArray<MemoryReading>
  private readonly pressure: Pressure
  private readonly shed: Partial<Record<Shed, number>> = {}
  private parts: Readonly<Record<string, number>> = {}
  private since: number | undefined

  constructor(telemetry: Telemetry["Service"], settings: PressureSettings, memory: () => ReadonlyArray<MemoryReading>) {
    this.telemetry = telemetry
    this.memory = memory
    this.pressure = new Pressure(settings)
  }

  readonly span = (span: SpanData): boolean => this.pressure.level === 0 || this.pass("spans", kindOfSpan(span))
  readonly log = (line: LogData): boolean => this.pressure.level === 0 || this.pass("logs", kindOfLog(line))
  readonly error = (): boolean => this.pressure.level === 0 || this.pass("errors", "errors")
  readonly ratio = (): number => this.pressure.ratio

  private pass(signal: Signal, what: Shed): boolean {
    if (shedAt[what] > this.pressure.level) return true
    this.count(what, 1)
    this.books?.refuse(signal, 1, reason)
    return false
  }

  private count(what: Shed, count: number): void {
    if (count > 0) this.shed[what] = (this.shed[what] ?? 0) + count
  }

  readonly report = () => {
    const { level, ratio } = this.pressure
    return { level, samplingRatio: ratio, pressure: this.parts, shed: { ...this.shed }, since: this.since }
  }

  /** Reads and acts; a line for the log when the level changed. */
  tick(now: number, wall: number): string | undefined {
    const former = this.pressure.level
    this.parts = this.read()
    const { [queues]: fill = 0, ...memory } = this.parts
    const highest = Object.entries(memory).reduce<readonly [string, number]>((most, part) => part[1] > most[1] ? part : most, ["memory", 0])
    if (!this.pressure.update(now, highest[1], fill)) return undefined
    this.since = wall
    const { level } = this.pressure
    if (level > former) this.release(level)
    return level > former
      ? `short of memory: ${highest[0]} is at ${Math.round(highest[1] * 100)} % of its soft limit, ${levels[level]} (level ${level})`
      : `load is falling: ${levels[level]} (level ${level})`
  }

  private read(): Readonly<Record<string, number>> {
    const parts: Record<string, number> = { [queues]: this.telemetry.spanQueueFill() / fullQueue }
    try {
      for (const { name, softLimit, used } of this.memory()) {
        if (softLimit > 0 && used >= 0) parts[name] = used / softLimit
      }
    } catch {
      // A reader that fails says nothing about the memory.
    }
    return parts
  }

  /** What already waits goes too. */
  private release(level: number): void {
    const { books } = this
    if (books === undefined) return
    for (const what of Object.keys(shedAt) as Array<Shed>) {
      if (shedAt[what] > level) continue
      if (what.endsWith("spans")) this.count(what, books.shed<SpanData>("spans", (span) => kindOfSpan(span) === what, reason))
      else if (what.endsWith("logs")) this.count(what, books.shed<LogData>("logs", (line) => kindOfLog(line) === what, reason))
      else this.count(what, books.shed("errors", () => true, reason))
    }
  }
}

/** As it stands in the ledgers. */
const reason = "load_shed"

const levels = ["nothing is given up", "internal spans and debug lines are given up", "spans and log lines without errors are given up", "all spans and log lines are given up", "only metrics are kept"] as const
