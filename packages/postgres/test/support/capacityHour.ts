import { MetricDefinition, type CapacityReport, type ErrorData, type MetricFrame, type Series } from "@effect-observability/core"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { shop, mulberry32 } from "../../bench/support/spanData.ts"
import { Synthetic } from "../../bench/support/synthetic.ts"
import { estimate } from "../../src/capacity/estimate.ts"
import { type Look, look } from "../../src/capacity/look.ts"
import { pass } from "../../src/internal/packing/worker.ts"
import * as Session from "../../src/internal/session.ts"
import type { Names } from "../../src/PostgresConfig.ts"
import * as SpanPacker from "../../src/spans/SpanPacker.ts"
import { freshNames, startProcess } from "./database.ts"

/** What a service records. */
export interface Profile {
  readonly name: string
  /** Counters and gauges at the start, and how many more each minute. */
  readonly series: number
  readonly seriesPerMinute: number
  /** Latency histograms with the default buckets, and observations of each in a frame. */
  readonly histograms: number
  readonly observations: number
  readonly spansPerSecond: number
  readonly errorsPerMinute: number
}

export const profiles: ReadonlyArray<Profile> = [
  { name: "steady", series: 1_000, seriesPerMinute: 0, histograms: 50, observations: 20, spansPerSecond: 20, errorsPerMinute: 6 },
  { name: "growing", series: 400, seriesPerMinute: 15, histograms: 20, observations: 20, spansPerSecond: 20, errorsPerMinute: 6 },
  { name: "spans", series: 200, seriesPerMinute: 0, histograms: 20, observations: 20, spansPerSecond: 150, errorsPerMinute: 30 },
  { name: "metrics alone", series: 3_000, seriesPerMinute: 0, histograms: 0, observations: 0, spansPerSecond: 0, errorsPerMinute: 0 },
  { name: "small", series: 60, seriesPerMinute: 0, histograms: 10, observations: 5, spansPerSecond: 2, errorsPerMinute: 1 }
]

const minute = 60_000
const hour = 60 * minute
const step = 5_000
const bounds = MetricDefinition.defaultBuckets
const Latency = MetricDefinition.histogram("workload_seconds", { help: "synthetic", labelNames: ["route"], buckets: bounds })

/** What happens in a service, tick by tick, the same each time. */
const workload = (profile: Profile, minutes: number) => {
  const most = profile.series + Math.ceil(profile.seriesPerMinute * minutes)
  const synthetic = new Synthetic(most)
  const random = mulberry32(11)
  const histograms: ReadonlyArray<Series> = Array.from({ length: profile.histograms }, (_, i) => ({
    index: i, definition: Latency, labelValues: [`/api/v1/resource/${i}`], createdAt: 0
  }))
  const width = bounds.length + 1
  return (end: number, minutesIn: number): MetricFrame => {
    const frame = synthetic.frame(end, step)
    const share = (profile.series + profile.seriesPerMinute * minutesIn) / most
    const cut = (one: MetricFrame["counters"]): MetricFrame["counters"] => {
      const count = Math.ceil(one.series.length * share)
      return { series: one.series.slice(0, count), values: one.values.slice(0, count) }
    }
    const buckets = new Float64Array(profile.histograms * width)
    const sums = new Float64Array(profile.histograms)
    const mins = new Float64Array(profile.histograms).fill(Infinity)
    const maxs = new Float64Array(profile.histograms)
    for (let h = 0; h < profile.histograms; h++) {
      for (let k = 0; k < profile.observations; k++) {
        const value = Math.round(Math.exp((random() + random() + random()) * 2.2 - 5) * 1e6) / 1e6
        const bucket = bounds.findIndex((bound) => value <= bound)
        buckets[h * width + (bucket < 0 ? bounds.length : bucket)]!++
        sums[h]! += value
        mins[h] = Math.min(mins[h]!, value)
        maxs[h] = Math.max(maxs[h]!, value)
      }
    }
    return {
      ...frame,
      counters: cut(frame.counters),
      gauges: cut(frame.gauges),
      histograms: {
        series: histograms, offsets: Uint32Array.from(histograms, (_, h) => h * width), buckets,
        counts: new Float64Array(profile.histograms).fill(profile.observations), sums, mins, maxs, exponentials: []
      }
    }
  }
}

const errorAt = (at: number, n: number): ErrorData => ({
  errorId: `${n.toString(16).padStart(8, "0")}-0000-4000-8000-${Math.round(at).toString(16).padStart(12, "0").slice(-12)}`, time: BigInt(Math.round(at)) * 1_000_000n,
  kind: "failure", errorClass: "system", level: "error", errorType: "PaymentFailed", message: `payment ${n} refused by the upstream`,
  stack: Array.from({ length: 12 }, (_, i) => `    at step${(n * 7 + i) % 50} (/srv/app/src/orders/step${i}.ts:${(n * 31 + i) % 400}:17)`).join("\n"), causes: [],
  fingerprint: `f${n % 5}`, spanNames: ["POST /orders", "charge"], traceId: n.toString(16).padStart(32, "a"), spanId: n.toString(16).padStart(16, "b"), sampled: true,
  requestId: `r-${n}`, userId: `u-${n % 100}`, tenantId: `t-${n % 7}`, module: "shop", attributes: new Map([["order", n]]), handled: true, breadcrumbs: []
})

export interface Parts {
  readonly hot: number
  readonly metrics: number
  readonly spans: number
  readonly errors: number
  readonly dictionaries: number
  readonly total: number
}

export interface Hour {
  readonly profile: Profile
  /** Dictionaries as they were when the estimator looked are not part of it: it knows them. */
  readonly estimated: CapacityReport
  readonly measured: Parts
  /** Bytes of WAL in the hour. */
  readonly wal: number
}

const partsOf: ReadonlyArray<readonly [keyof Parts, RegExp]> = [
  ["hot", /^obs_(metric_frame|histogram_frame|summary_frame|trace_part)_p/],
  ["metrics", /^obs_(metric_segment|metric_pack|rollup)/],
  ["spans", /^obs_(trace_pack|span_pack)/],
  ["errors", /^obs_error_event/],
  ["dictionaries", /^obs_(series|family|lane_series|operation|shape|lane|resource)$/]
]

const searchable = new Set(["user_id", "tenant_id", "http.route"])

/**
 * Writes an hour of a profile with times of its own, as fast as it goes, to a real server; packs spans every minute and metrics after the hour, with a vacuum
 * after each, as a server does by itself. After `see` minutes the estimator looks, once; at the end real sizes are taken.
 */
export const measureHour = (
  target: Session.Target,
  profile: Profile,
  { minutes = 60, see = 5 }: { readonly minutes?: number; readonly see?: number } = {}
): Effect.Effect<Hour, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const names = freshNames()
    const process = yield* startProcess(target, names, { timeout: 60_000 })
    const session = yield* Effect.acquireRelease(Session.open(target, 600_000), (one) => one.close)
    const begin = Math.floor(Date.now() / hour) * hour - 3 * hour
    const frameAt = workload(profile, minutes)
    const spans = shop(5)
    const before = yield* sizes(session, names)
    const walOf = Effect.map(session.query("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8 as n"), (rows) => Number(rows[0]!["n"]))
    const wal = yield* walOf
    let early: Look | undefined
    let known = 0
    let estimated: CapacityReport | undefined
    let frames = 0
    let batches = 0
    let errors = 0
    let rest: Array<ReturnType<typeof spans.trace>[number]> = []
    const lookAt = (now: number, window: number) => look(session, { names, searchable, window, now, trial: true })
    for (let m = 0; m < minutes + 2; m++) {
      const at = begin + m * minute
      yield* process.exportFrames(++frames, ...Arr.makeBy(minute / step, (i) => frameAt(at + (i + 1) * step, Math.min(minutes, m))))
      if (m >= minutes) continue
      const wanted = profile.spansPerSecond * 60
      for (let done = 0; done < wanted;) {
        // A batch every flush interval, or when it is full.
        const size = Math.min(1_000, wanted - done, Math.max(1, profile.spansPerSecond * 5))
        while (rest.length < size) rest.push(...spans.trace(BigInt(Math.round(at + (done / wanted) * minute + spans.random() * step)) * 1_000_000n))
        yield* process.exportSpans(++batches, ...(rest.slice(0, size) as unknown as Arr.NonEmptyReadonlyArray<(typeof rest)[number]>))
        rest = rest.slice(size)
        done += size
      }
      const failed = Array.from({ length: profile.errorsPerMinute }, (_, i) => errorAt(at + (i * minute) / profile.errorsPerMinute, ++errors))
      if (Arr.isReadonlyArrayNonEmpty(failed)) yield* process.errors.export(failed, { number: m + 1, attempt: 1 })
      if (profile.spansPerSecond > 0) {
        // Ten minutes old by the clock of the workload.
        const minAge = Math.round((Date.now() - (at + minute)) / 1_000) + 600
        const packed = yield* SpanPacker.pass(session, { names, searchable, minAge })
        if (packed.problems.length > 0) return yield* Effect.die(new Error(packed.problems[0]))
        if (packed.chunks > 0) yield* session.execute(`vacuum "${names.schema}".obs_trace_part`)
      }
      if (m === 0) early = yield* lookAt(at + minute, minute)
      if (m + 1 === see) known = (yield* sizes(session, names)).dictionaries - before.dictionaries
      if (m + 1 === see) estimated = estimate(yield* lookAt(at + minute, see * minute), { capacity: undefined, before: early, kept: 0, retentionDays: 90 })
    }
    yield* pass(session, names, { now: begin + hour + 2 * minute })
    const spent = (yield* walOf) - wal
    for (const table of ["metric_frame", "histogram_frame", "metric_pack", "trace_part", "trace_pack", "span_pack", "error_event", "series"]) yield* session.execute(`vacuum "${names.schema}".obs_${table}`)
    yield* session.execute("checkpoint")
    const after = yield* sizes(session, names)
    const measured = Object.fromEntries(partsOf.map(([part]) => [part, after[part] - before[part]])) as unknown as Parts
    return { profile, estimated: estimated!, measured: { ...measured, dictionaries: measured.dictionaries - known, total: after.total - before.total - known }, wal: spent }
  })

/** A day of counters and gauges, each hour packed when it is over, and then the day with its roll-ups: what was said after five minutes, and what it took. */
export const measureDay = (target: Session.Target, series: number): Effect.Effect<{ readonly estimated: number; readonly measured: number }, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const names = freshNames()
    const process = yield* startProcess(target, names, { timeout: 60_000 })
    const session = yield* Effect.acquireRelease(Session.open(target, 600_000), (one) => one.close)
    const begin = Math.floor(Date.now() / (24 * hour)) * 24 * hour - 48 * hour
    const synthetic = new Synthetic(series)
    const perBatch = (5 * minute) / step
    let estimated = 0
    for (let batch = 0; batch < 288; batch++) {
      const at = begin + batch * 5 * minute
      yield* process.exportFrames(batch + 1, ...Arr.makeBy(perBatch, (i) => synthetic.frame(at + (i + 1) * step, step)))
      if (batch === 0) {
        const seen = yield* look(session, { names, searchable, window: 5 * minute, now: at + 5 * minute, trial: true })
        estimated = estimate(seen, { capacity: undefined, kept: 0, retentionDays: 90 }).bytesPerDay.total
      }
      if (batch % 12 === 11) yield* pass(session, names, { now: at + 8 * minute })
    }
    yield* pass(session, names, { now: begin + 26 * hour })
    for (const table of ["metric_pack", "rollup_minute", "rollup_hour", "rollup_day"]) yield* session.execute(`vacuum "${names.schema}".obs_${table}`)
    const [row] = yield* session.query(
      `select sum(pg_total_relation_size(c.oid))::int8 as bytes from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = '${names.schema}' and c.relkind = 'r' and c.relname ~ '_(pack_day|segment|rollup_.*)_p' and pg_relation_size(c.oid) > 0`
    )
    return { estimated, measured: Number(row!["bytes"]) }
  })

const sizes = (session: Session.Session, names: Names) =>
  Effect.map(
    session.query(
      `select c.relname::text as name, pg_total_relation_size(c.oid)::int8 as bytes from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = '${names.schema}' and c.relkind = 'r'`,
      []
    ),
    (rows) => {
      const out = { hot: 0, metrics: 0, spans: 0, errors: 0, dictionaries: 0, total: 0 }
      for (const row of rows) {
        out.total += Number(row["bytes"])
        const part = partsOf.find(([, pattern]) => pattern.test(String(row["name"])))
        if (part !== undefined) out[part[0]] += Number(row["bytes"])
      }
      return out
    }
  )

/** Estimated over measured, part by part. */
export const compare = ({ estimated: { hour }, measured }: Hour): Record<keyof Parts, number> => ({
  hot: hour.hot / measured.hot, metrics: hour.metrics / measured.metrics, spans: hour.spans / measured.spans,
  errors: hour.errors / measured.errors, dictionaries: hour.dictionaries / measured.dictionaries, total: hour.total / measured.total
})
