// Precision and recall of anomaly detection on a labelled synthetic set (docs/anomalies.md): node packages/core/test/alerting/measureAnomalies.ts
import { Detector } from "../../src/alerting/internal/Detector.ts"

const step = 60_000
const days = 10
const day = 86_400_000
const quiet = 4
const grace = 10 * 60_000

/** Numbers from a seed, the same every time (mulberry32). */
const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}
const normal = (next: () => number) => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())

interface Event {
  readonly kind: "spike" | "drop to zero" | "level shift"
  readonly from: number
  readonly to: number
}

interface Sample {
  readonly time: number
  /** `undefined` where data is missing, which is no anomaly. */
  readonly value: number | undefined
}

const make = (seed: number): { readonly samples: ReadonlyArray<Sample>; readonly events: ReadonlyArray<Event> } => {
  const next = random(seed)
  const level = 50 + next() * 500
  const season = seed % 3 === 0 ? 0 : 0.2 + next() * 0.5
  const trend = seed % 4 === 0 ? 0.02 * (next() - 0.5) : 0
  const noise = 0.01 + next() * 0.06
  const phase = next() * day
  const events: Array<Event> = []
  const holes: Array<readonly [number, number]> = []
  for (let d = quiet; d < days; d++) {
    const from = d * day + (0.1 + next() * 0.6) * day
    const pick = Math.floor(next() * 5)
    if (pick === 0) events.push({ kind: "spike", from, to: from + 5 * 60_000 })
    else if (pick === 1) events.push({ kind: "drop to zero", from, to: from + 20 * 60_000 })
    else if (pick === 2) events.push({ kind: "level shift", from, to: from + 3 * 3_600_000 })
    else if (pick === 3) holes.push([from, from + 3_600_000])
  }
  const samples: Array<Sample> = []
  for (let time = 0; time < days * day; time += step) {
    const usual = level * (1 + season * Math.sin(2 * Math.PI * (time + phase) / day)) * (1 + trend * time / day)
    let value = usual * (1 + noise * normal(next))
    const event = events.find(({ from, to }) => time >= from && time < to)
    if (event?.kind === "spike") value += usual * 1.2
    else if (event?.kind === "drop to zero") value = 0
    else if (event?.kind === "level shift") value += usual * 0.35
    samples.push({ time, value: holes.some(([from, to]) => time >= from && time < to) ? undefined : value })
  }
  return { samples, events }
}

/** Series of seeds 1 to `count`, from the first value to the last. */
export const measure = (count: number) => {
  let right = 0
  let wrong = 0
  let evaluations = 0
  let cpu = 0
  const found = new Map<string, { hit: number; all: number; delay: number }>()
  for (let seed = 1; seed <= count; seed++) {
    const { events, samples } = make(seed)
    const detector = new Detector({ season: day, sensitivity: 6, tolerance: 0.05 })
    const alerts: Array<{ from: number; to: number }> = []
    let open: { from: number; to: number } | undefined
    const begin = process.cpuUsage()
    for (const { time, value } of samples) {
      const odd = value === undefined ? undefined : detector.look(value, time)
      if (value === undefined) continue
      evaluations++
      if (odd === undefined) open = undefined
      else if (open === undefined) alerts.push(open = { from: time, to: time })
      else open.to = time
    }
    const { system, user } = process.cpuUsage(begin)
    cpu += system + user
    for (const alert of alerts) {
      if (events.some(({ from, to }) => alert.from <= to + grace && alert.to >= from)) right++
      else wrong++
    }
    for (const { from, kind, to } of events) {
      const of = found.get(kind) ?? { hit: 0, all: 0, delay: 0 }
      found.set(kind, of)
      of.all++
      const first = alerts.find((alert) => alert.from <= to && alert.to >= from)
      if (first !== undefined) {
        of.hit++
        of.delay += Math.max(0, first.from - from)
      }
    }
  }
  const all = [...found.values()].reduce((sum, { all, hit }) => ({ hit: sum.hit + hit, all: sum.all + all }), { hit: 0, all: 0 })
  return { precision: right / (right + wrong), recall: all.hit / all.all, right, wrong, all, found, nanos: Math.round((cpu * 1_000) / evaluations), evaluations }
}

if (process.argv[1]?.endsWith("measureAnomalies.ts") === true) {
  const { all, evaluations, found, nanos, precision, recall, right, wrong } = measure(36)
  console.log(`precision ${precision.toFixed(3)} (${right} of ${right + wrong} alerts), recall ${recall.toFixed(3)} (${all.hit} of ${all.all} events)`)
  for (const [kind, { all, delay, hit }] of found) console.log(`${kind}: recall ${(hit / all).toFixed(3)} (${hit} of ${all}), mean delay ${(delay / Math.max(1, hit) / 60_000).toFixed(1)} min`)
  console.log(`${Detector.bytes} bytes per series, ${nanos} ns of CPU per evaluation (${evaluations} evaluations)`)
}
