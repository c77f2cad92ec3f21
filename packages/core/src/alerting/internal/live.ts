import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { quietly } from "../../hub/quietly.ts"
import { Telemetry } from "../../hub/Telemetry.ts"
import { MetricsRecorder } from "../../metrics/MetricsRecorder.ts"
import * as StandardMetrics from "../../metrics/StandardMetrics.ts"
import type { AlertEvent, AlertStatus } from "../Alert.ts"
import { type AlertRule, AlertRuleError } from "../AlertRule.ts"
import type { Alerts, AlertsOptions } from "../Alerts.ts"
import { log } from "../AlertSink.ts"
import { check, type Silence, SilenceError } from "../Silence.ts"
import { announcementOf, Board, sameAnnouncement } from "./Board.ts"
import { Doubts } from "./Doubts.ts"
import { makeSink } from "./sinkPipe.ts"
import { Watcher } from "./Watcher.ts"

const maxSilences = 1_000

/** The running part of `Alerts`. */
export const make = (options: AlertsOptions, fromSettings = false) =>
  Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const recorder = yield* MetricsRecorder
    const clock = yield* Clock.Clock
    const interval = yield* millis("interval", options.interval, 15_000)
    const groupInterval = yield* millis("groupInterval", options.groupInterval, 60_000)
    const repeatInterval = yield* millis("repeatInterval", options.repeatInterval, 4 * 3_600_000)
    const meetingLimit = Math.max(1_000, Math.min(10_000, interval))
    const { maxGroups = 1_000, thresholds = true } = options
    if (!Number.isInteger(maxGroups) || maxGroups < 1 || maxGroups > 100_000) {
      return yield* new AlertRuleError({ message: "alerting.maxGroups: expected a whole number from 1 to 100000" })
    }
    let configured = fromSettings ? telemetry.settings().alerting.rules : options.rules ?? []
    let rules = yield* checked(configured, options.anomalies ?? [])

    // A wall clock that is set must neither freeze windows nor skip what a rule waits for.
    const wallStart = clock.currentTimeMillisUnsafe()
    const steadyStart = clock.monotonicTimeNanosUnsafe()
    const now = () => wallStart + Number((clock.monotonicTimeNanosUnsafe() - steadyStart) / 1_000_000n)

    const events = yield* Effect.acquireRelease(PubSub.sliding<AlertEvent>(1_000), PubSub.shutdown)
    const silences = new Map<string, Silence>()
    const watcher = new Watcher({
      store: telemetry.store,
      identity: { service: telemetry.resource.service, env: telemetry.resource.env, cluster: telemetry.resource.cluster },
      rules: () => rules,
      anomalies: options.anomalies ?? [],
      thresholds, interval, maxGroups, startedAt: now()
    })
    const board = new Board()
    const doubts = new Doubts(now(), Math.max(patience, 2 * interval))
    const names = new Set<string>()
    for (const sink of options.sinks ?? [log()]) {
      if (names.has(sink.name)) return yield* new AlertRuleError({ message: `alerting.sinks: two are named "${sink.name}": give one of them another name` })
      names.add(sink.name)
    }
    const sinks = yield* Effect.forEach(options.sinks ?? [log()], (sink) => makeSink(telemetry, recorder, sink, { groupInterval, repeatInterval, now, staleAfter: 2 * interval + meetingLimit }))

    const { enabled, metrics } = telemetry.settings()
    const reader = telemetry.store.frames()
    yield* Effect.addFinalizer(() => Effect.sync(() => reader.close()))
    let taken = clock.currentTimeMillisUnsafe()

    const pass = Effect.gen(function*() {
      const at = now()
      const inForce = telemetry.settings().alerting.rules
      // Checked when they were read. What `setRules` said holds until the settings say something else.
      if (fromSettings && inForce !== configured) rules = configured = inForce
      telemetry.refreshForFrame()
      const wall = clock.currentTimeMillisUnsafe()
      const frame = reader.take(Math.min(taken, wall), wall)
      taken = wall
      for (const [id, silence] of silences) if (silence.endsAt <= wall) silences.delete(id)
      const local = watcher.look(frame, at)
      for (const words of doubts.of(rules, telemetry.store.families(), at)) yield* Effect.logWarning(words)
      for (const [alertname, rose] of watcher.overflows()) recorder.incrementCounterUnsafe(StandardMetrics.AlertOverflow, rose, { alertname })
      const firing = local.filter((alert) => alert.state === "firing")
      const coordinator = telemetry.coordinator()
      const meeting = coordinator === undefined
        ? undefined
        : yield* coordinator.exchange({ firing, silences: [...silences.values()] }).pipe(
          Effect.timeout(Duration.millis(meetingLimit)),
          Effect.catchCause((cause) => Effect.as(Effect.sync(() => board.alone(cause)), undefined))
        )
      if (coordinator === undefined || meeting !== undefined) board.met(meeting)
      const ids: Array<string> = []
      const turn = board.turn({ local, meeting, silences: [...silences.values()], inhibitions: watcher.inhibitions, now: at, wall })
      for (let i = 0; i < turn.changes.length; i++) ids.push(yield* newId)
      turn.changes.forEach((change, i) => {
        const event = { ...change, eventId: ids[i]! }
        telemetry.recordAlertUnsafe(event)
        PubSub.publishUnsafe(events, event)
      })
      for (const [key, count] of turn.counts) {
        const [alertname, severity] = JSON.parse(key) as [string, string]
        recorder.setGaugeUnsafe(StandardMetrics.AlertsFiring, count, { alertname, severity })
      }
      if (!turn.speaks) {
        for (const sink of sinks) sink.hush()
        return
      }
      for (const sink of sinks) sink.tell(turn, at)
      if (coordinator === undefined || meeting === undefined) return
      const announcement = announcementOf(turn.announced, sinks.map((sink) => sink.owed()))
      if (!sameAnnouncement(announcement, meeting.announced)) yield* Effect.catchCause(coordinator.announce(announcement), () => Effect.void)
    })

    const tick = Effect.suspend(() => Effect.sleep(interval - (clock.currentTimeMillisUnsafe() % interval))).pipe(
      Effect.andThen(pass),
      // An interruption of something in it too: when this fiber is interrupted, no handler runs.
      Effect.catchCause((cause) => Effect.sync(() => board.failed(cause)))
    )
    if (enabled && metrics.enabled) yield* Effect.forkScoped(quietly(Effect.forever(tick)))

    yield* telemetry.register({
      name: "alerts",
      kind: "alerting",
      alerts: () => board.list,
      report: () => ({ name: "alerts", kind: "alerting", status: board.problem === undefined ? "up" : "degraded", reason: board.problem, signals: [] })
    })

    const service: Alerts["Service"] = {
      list: Effect.sync((): ReadonlyArray<AlertStatus> => board.list),
      silence: (input) =>
        Effect.gen(function*() {
          if (silences.size >= maxSilences) return yield* new SilenceError({ message: `silences: there are ${maxSilences} already: end one first` })
          const found = yield* check(input, clock.currentTimeMillisUnsafe())
          const silence = { ...found, id: yield* newId }
          silences.set(silence.id, silence)
          return silence
        }),
      unsilence: (id) => Effect.sync(() => silences.delete(id)),
      silences: Effect.sync(() => [...silences.values()].filter(({ endsAt }) => endsAt > clock.currentTimeMillisUnsafe())),
      changes: Stream.fromPubSub(events),
      setRules: (wanted) => Effect.map(checked(wanted, options.anomalies ?? []), (found) => void (rules = found))
    }
    return service
  })

const newId: Effect.Effect<string> = Effect.map(
  Effect.all([Random.nextIntBetween(0, 0x100000000), Random.nextIntBetween(0, 0x100000000), Random.nextIntBetween(0, 0x100000000), Random.nextIntBetween(0, 0x100000000)]),
  (words) => words.map((word) => word.toString(16).padStart(8, "0")).join("")
)

/** A metric that nothing has recorded for so long after the start is doubted. Milliseconds. */
const patience = 5 * 60_000

const day = 86_400_000

const millis = (field: string, given: Duration.Input | undefined, otherwise: number): Effect.Effect<number, AlertRuleError> => {
  if (given === undefined) return Effect.succeed(otherwise)
  const found = Option.match(Duration.fromInput(given), { onNone: () => NaN, onSome: Duration.toMillis })
  return found >= 100 && found <= 7 * day
    ? Effect.succeed(found)
    : Effect.fail(new AlertRuleError({ message: `alerting.${field}: expected 100 milliseconds to 7 days, such as "15 seconds"` }))
}

const checked = (rules: ReadonlyArray<AlertRule>, anomalies: ReadonlyArray<{ readonly name: string }>): Effect.Effect<ReadonlyArray<AlertRule>, AlertRuleError> => {
  const names = new Set<string>()
  const problems: Array<string> = []
  for (const { name } of [...rules, ...anomalies]) {
    if (names.has(name)) problems.push(`rule "${name}" is there twice: rename one`)
    names.add(name)
  }
  return problems.length === 0 ? Effect.succeed(rules) : Effect.fail(new AlertRuleError({ message: problems.join("\n") }))
}
