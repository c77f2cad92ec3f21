import type { CapacityReport, DiagnosticsReport } from "@effect-observability/core"
import type { Inspection } from "@effect-observability/postgres"

/** One thing that is wrong: what, why, and what to do about it. */
export interface Finding {
  /** `problem`: something is lost or will be; `warning`: worth a look. */
  readonly severity: "problem" | "warning"
  readonly what: string
  readonly why: string
  readonly fix: string
}

const problem = (what: string, why: string, fix: string): Finding => ({ severity: "problem", what, why, fix })
const warning = (what: string, why: string, fix: string): Finding => ({ severity: "warning", what, why, fix })

/** A queue that is full within this time is a problem. Seconds. */
const soon = 3_600

/** What is wrong with a running program, by its report. */
export const ofProgram = (report: DiagnosticsReport): ReadonlyArray<Finding> => [
  ...(report.configuration.problem === undefined
    ? []
    : [problem(`the newest configuration is not in force since ${when(report.configuration.problem.at)}`, report.configuration.problem.message.split("\n").map((line) => line.trim()).join(" "), "correct it; until then the former one stays")]),
  ...(report.configuration.needsRestart.length === 0
    ? []
    : [warning("settings wait for a restart", report.configuration.needsRestart.join(", "), "start the program anew")]),
  ...report.alerts.filter(({ inhibitedBy, silencedBy, state }) => state === "firing" && inhibitedBy === undefined && silencedBy === undefined).map(alertOf),
  ...report.capacity.flatMap(({ at, backend, bytesPerDay, capacity, fullAt }) =>
    capacity === undefined || fullAt === undefined || fullAt - at > aheadMillis
      ? []
      : [fullDisk(`${backend}: the disk`, fullAt, at, bytesPerDay.total)]),
  ...report.upkeep.filter(({ reason, step }) => step > 0 || reason !== undefined).map(({ backend, dryRun, reason, retention, step }) =>
    warning(`${backend}: upkeep is at step ${step}${dryRun ? " (dry run)" : ""}, samples are kept for ${retention.raw} days`, reason ?? "it gives no reason", "give the store more room, or keep less on purpose (docs/upkeep.md)")),
  ...report.imbalances.map((line) => problem(`books do not balance: ${line}`, "a bug in effect-observability", "report it with this output")),
  ...report.components.flatMap(({ name, reason, status }) =>
    status === "down"
      ? [problem(`${name} is down`, reason ?? "it gives no reason", "check that its sink can be reached and takes what it is given")]
      : status === "up"
      ? []
      : [warning(`${name} is ${status}`, reason ?? "it gives no reason", "nothing is lost while its queue holds; check its sink")]),
  ...report.queues.flatMap((queue) => {
    const name = `${queue.backend}, queue of ${queue.signal}`
    const fill = Math.max(queue.items / queue.maxItems, queue.bytes / queue.maxBytes)
    const found: Array<Finding> = []
    if (fill >= 0.8) {
      found.push(problem(`${name} is ${Math.round(fill * 100)} % full`, queue.lastError?.message ?? "more comes than its sink takes", "repair the sink, sample fewer traces, or give the queue more room"))
    } else if (queue.secondsToFull !== undefined && queue.secondsToFull < soon && queue.failures > 0) {
      found.push(problem(`${name} is full in ${Math.ceil(queue.secondsToFull / 60)} min`, queue.lastError?.message ?? "its sink does not answer", "repair the sink before that: then the oldest give way (frames of metrics are merged)"))
    }
    if (queue.hangs >= 2) {
      found.push(problem(`${name}: its sink takes connections and gives no answer, ${queue.hangs} times in a row`, `connections were made anew ${queue.rebuilds} times`, "look at the sink, and at what lies between: a proxy or firewall that swallows"))
    }
    if (queue.lost > 0) {
      found.push(warning(`${name} has lost ${queue.lost}`, reasonsOf(report, queue.backend, queue.signal), "see `dropped` of its ledger in /diagnostics and docs/reliability.md"))
    }
    return found
  }),
  ...report.metrics.cardinality.map(({ budget, distinct, label, metric, overflowed }) =>
    warning(`${metric} is past its budget of ${budget} series: ${overflowed} records went into the overflow series`,
      label === "" ? "too many label sets" : `label "${label}" has about ${distinct} values`,
      "take the label off, allow fewer values of it (metrics.allow, metrics.views), or raise metrics.maxSeriesPerMetric")),
  ...report.metrics.problems.map((line) => problem(line, "what is recorded into it is refused", "correct the definition")),
  ...(report.load !== null && report.load.level > 0
    ? [problem(`the program gives way under load (level ${report.load.level})`, Object.entries(report.load.pressure).map(([part, share]) => `${part} at ${Math.round(share * 100)} %`).join(", "), "give it more memory, or record less (docs/load.md)")]
    : []),
  ...(report.openSpans.oldest !== undefined && report.openSpans.oldest.ageMillis > 3_600_000
    ? [warning(`span "${report.openSpans.oldest.name}" has been open for ${Math.round(report.openSpans.oldest.ageMillis / 60_000)} min`, "it is never ended, or runs as long as the program", "end it, or make no span of what runs for ever")]
    : [])
]

const when = (millis: number): string => `${new Date(millis).toISOString().slice(0, 16)}Z`

const alertOf = (alert: DiagnosticsReport["alerts"][number]): Finding =>
  (alert.severity === "critical" ? problem : warning)(
    `${alert.origin === "anomaly" ? "anomaly" : "alert"} ${alert.alertname} fires since ${when(alert.firedAt ?? alert.activeAt)}`,
    [alert.summary, alert.description, alert.value === undefined ? undefined : `value ${alert.value}`].filter((part) => part !== undefined && part !== "").join("; ") || "it gives no summary",
    "see its rule and runbook (docs/alerting.md)"
  )

const fullDisk = (what: string, fullAt: number, now: number, perDay: number): Finding =>
  problem(fullAt <= now ? `${what} is full` : `${what} is full in ${days(fullAt - now)} days, on ${when(fullAt)}`, `the store grows by ${megabytes(perDay)} a day`, "shorten retentionDays, switch upkeep on, or give it more room and raise capacity")

const megabytes = (bytes: number): string => bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`

/** What is worth knowing although nothing is wrong with it, a line each. */
export const told = (name: string, capacity: CapacityReport): string => {
  const { bytesPerDay, fullAt, fullAtEarliest, fullAtLatest, observedMillis, series, usedBytes } = capacity
  const date = fullAt === undefined
    ? capacity.capacity === undefined ? "no capacity is given, so no date of a full disk" : "retention keeps it below its capacity"
    : `the disk is full on ${when(fullAt)} (${fullAtEarliest === undefined ? "?" : when(fullAtEarliest)} to ${fullAtLatest === undefined ? "never" : when(fullAtLatest)})`
  return `${name}: ${megabytes(usedBytes)} used, ${megabytes(bytesPerDay.total)} more a day (${megabytes(bytesPerDay.least)} to ${megabytes(bytesPerDay.most)}), ${series} series,` +
    ` by ${Math.round(observedMillis / 1_000)} s of recording; ${date}`
}

const reasonsOf = ({ components }: DiagnosticsReport, backend: string, signal: string): string => {
  const ledger = components.find(({ name }) => name === backend)?.signals.find((one) => one.signal === signal)?.ledger
  const reasons = ledger === undefined ? [] : Object.entries(ledger.dropped).map(([reason, count]) => `${reason}: ${count}`)
  if (ledger !== undefined && ledger.unconfirmed > 0) reasons.push(`unconfirmed: ${ledger.unconfirmed}`)
  return reasons.join(", ") || "its ledger does not say"
}

/** How far a full disk is worth a word. */
const aheadMillis = 30 * 86_400_000

const days = (millis: number): number => Math.floor(millis / 86_400_000)

/** What is wrong with a store. `now` is milliseconds since the epoch. */
export const ofStore = (store: Inspection.StoreInspection, now: number): ReadonlyArray<Finding> => {
  const { fullAt } = store.storage
  const alive = store.writers.filter(({ silentMillis }) => silentMillis < 3_600_000)
  return [
    ...(store.daysAhead < 1
      ? [problem("no partition for tomorrow", "no program has prepared the store in the last days", "start a program that writes to it: it makes them by itself, as a role that may create tables")]
      : []),
    ...(store.oldestUnpackedMillis > 2 * 86_400_000
      ? [warning(`frames of ${days(store.oldestUnpackedMillis)} days are not packed`, "no running program packs (packing: false everywhere?), or it fails", "let one process pack; its health report says what stops it")]
      : []),
    ...(fullAt === undefined || fullAt - now > aheadMillis
      ? []
      : [fullDisk("the disk", fullAt, now, store.storage.bytesPerDay ?? store.storage.estimate?.bytesPerDay.total ?? 0)]),
    ...(alive.length === 0
      ? [warning("nobody has written within an hour", store.writers.length === 0 ? "no process of the last day is known" : `the last one was ${store.writers[0]!.service}`, "is a program running with this database and schema?")]
      : [])
  ]
}
