import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Deleted, Dependency, OperationSummary, StoredSpan, TraceHistory, TraceSummary } from "../../history/TraceHistory.ts"
import * as Figures from "../../history/TraceFigures.ts"
import { passes as isOf } from "../../history/range/plan.ts"
import * as Questions from "../../history/TraceQuestions.ts"
import type { ServiceResource } from "../../hub/Telemetry.ts"

/** The spans at hand. */
export interface SpanMemory {
  readonly spans: () => ReadonlyArray<StoredSpan>
  readonly keep: (spans: Array<StoredSpan>) => void
  readonly resource: ServiceResource
}

/** Answers from the spans at hand, one after the other: slow, and plainly right. */
export const make = (memory: SpanMemory): TraceHistory["Service"] => {
  const passing = (filter: Questions.Filter) => memory.spans().filter(passes(filter, memory.resource))
  const searchTraces: TraceHistory["Service"]["searchTraces"] = (query = {}) =>
    Effect.map(Questions.search(query), ({ after, filter, limit, order }) => {
      const oldest = order === "oldest"
      const keyOf = (span: StoredSpan) => (order === "slowest" ? span.endTime - span.startTime : span.startTime)
      const found = [...Map.groupBy(passing(filter), (span) => span.traceId)].map(([traceId, spans]) => ({
        traceId,
        key: spans.map(keyOf).reduce((a, b) => ((oldest ? b < a : b > a) ? b : a))
      }))
      const sorted = found.sort((a, b) => compare(oldest ? a.key - b.key : b.key - a.key) || (a.traceId < b.traceId ? -1 : 1))
        .filter((one) =>
          after === undefined || (oldest ? one.key > after.key : one.key < after.key) || (one.key === after.key && one.traceId > after.traceId)
        )
      const page = sorted.slice(0, limit)
      const byId = Map.groupBy(memory.spans(), (span) => span.traceId)
      const last = page.at(-1)
      return {
        traces: page.map((one) => summarise(byId.get(one.traceId)!)),
        cursor: last === undefined || sorted.length <= limit ? undefined : Questions.cursor(order, last.key, last.traceId)
      }
    })
  return {
    getTrace: (traceId) =>
      Effect.map(Questions.traceId(traceId), (id) => {
        const found = memory.spans().filter((span) => span.traceId === id).toSorted(byStart)
        return found.length === 0 ? undefined : { traceId: id, spans: found }
      }),
    getRecentTraces: (query = {}) =>
      Effect.suspend(() => {
        const { serviceName, status } = query
        if (status !== undefined && status !== "OK" && status !== "ERROR") return Questions.invalid("status", "must be \"OK\" or \"ERROR\"")
        const byId = Map.groupBy(memory.spans(), (span) => span.traceId)
        const summaries = [...byId.values()].map(summarise).filter((trace) =>
          (status === undefined || trace.status === status) &&
          (serviceName === undefined || byId.get(trace.traceId)!.some((span) => span.serviceName === serviceName))
        )
        return Effect.succeed(
          summaries.toSorted((a, b) => compare(b.startTime - a.startTime)).slice(0, Questions.clamped(query.limit, 1, 1_000, 20))
        )
      }),
    searchTraces,
    streamTraces: Questions.stream(searchTraces),
    liveTraces: Stream.unwrap(Effect.sync(() => {
      const seen = new WeakSet(memory.spans())
      return Stream.fromIterableEffectRepeat(Effect.delay(
        Effect.sync(() => {
          const fresh = memory.spans().filter((span) => !seen.has(span))
          for (const span of fresh) seen.add(span)
          const byId = Map.groupBy(memory.spans(), (span) => span.traceId)
          return [...new Set(fresh.map((span) => span.traceId))].map((id) => summarise(byId.get(id)!))
        }),
        "100 millis"
      ))
    })),
    operations: (query = {}) =>
      Effect.map(Questions.filter(query, { open: false }), (filter) =>
        [...Map.groupBy(passing(filter), (span) => JSON.stringify([span.serviceName, span.name, span.kind])).values()]
          .map((spans): OperationSummary => ({
            serviceName: spans[0]!.serviceName,
            name: spans[0]!.name,
            kind: spans[0]!.kind,
            ...Figures.figures(spans.map(counted))
          }))
          .sort((a, b) => b.totalDuration - a.totalDuration)
          .slice(0, Questions.clamped(query.limit, 1, 1_000, 100))),
    dependencies: (query = {}) =>
      Effect.map(Questions.filter(query, { open: false }), (filter) => {
        const byId = new Map(memory.spans().map((span) => [`${span.traceId} ${span.spanId}`, span]))
        const calls = passing(filter).flatMap((callee) => {
          const caller = byId.get(`${callee.traceId} ${callee.parentSpanId}`)
          return caller === undefined || caller.serviceName === callee.serviceName ? [] : [{ caller: caller.serviceName, callee }]
        })
        return [...Map.groupBy(calls, ({ callee, caller }) => JSON.stringify([caller, callee.serviceName])).values()]
          .map((group): Dependency => ({
            caller: group[0]!.caller,
            callee: group[0]!.callee.serviceName,
            ...Figures.figures(group.map(({ callee }) => counted(callee)))
          }))
          .sort((a, b) => b.count - a.count)
          .slice(0, Questions.clamped(query.limit, 1, 1_000, 100))
      }),
    latency: (query = {}) =>
      Effect.map(Questions.latency(query), (question) =>
        Figures.latencyOf(
          question,
          passing(question.filter).map((span) => ({
            ...counted(span),
            step: Number((span.startTime - question.filter.from) / question.step)
          }))
        )),
    whatDiffers: (query) =>
      Effect.map(Questions.differs(query), ({ among, ignore, limit, selection }) => {
        const all = passing(among)
        const chosen = new Set(all.filter(passes(selection, memory.resource)))
        const population = { selected: 0, rest: 0, selectedWeight: 0, restWeight: 0 }
        const carried = new Map<string, { -readonly [K in keyof Figures.Carried]: Figures.Carried[K] }>()
        for (const span of all) {
          const side = chosen.has(span) ? "selected" : "rest"
          population[side]++
          population[`${side}Weight`] += span.weight
          for (const [key, value] of featuresOf(span)) {
            if (ignore.has(key)) continue
            const id = JSON.stringify([key, value])
            let one = carried.get(id)
            if (one === undefined) carried.set(id, one = { key, value, selected: 0, rest: 0, selectedWeight: 0, restWeight: 0 })
            one[side]++
            one[`${side}Weight`] += span.weight
          }
        }
        return {
          selected: population.selectedWeight,
          rest: population.restWeight,
          complete: true,
          differences: Figures.rank(population, [...carried.values()], limit)
        }
      }),
    deleteTraces: (what) =>
      Effect.map(Questions.deletion(what), (deletion): Deleted => {
        const goes = doomed(memory, deletion)
        const gone = memory.spans().filter(goes)
        memory.keep(memory.spans().filter((span) => !goes(span)))
        return { spans: gone.length, traces: new Set(gone.map((span) => span.traceId)).size }
      })
  }
}

const doomed = (memory: SpanMemory, deletion: Questions.Deletion): (span: StoredSpan) => boolean => {
  switch (deletion._tag) {
    case "Trace":
      return (span) => span.traceId === deletion.traceId
    case "Attribute": {
      const ids = new Set(memory.spans().filter((span) => carries(span, deletion.key, deletion.value)).map((span) => span.traceId))
      return (span) => ids.has(span.traceId)
    }
    case "Service":
      return (span) =>
        span.serviceName === deletion.serviceName &&
        (deletion.instance === undefined || deletion.instance === memory.resource.instance) &&
        (deletion.env === undefined || deletion.env === memory.resource.env)
  }
}

const passes = (filter: Questions.Filter, resource: ServiceResource) => (span: StoredSpan): boolean => {
  const duration = span.endTime - span.startTime
  return span.startTime >= filter.from && span.startTime < filter.to &&
    (filter.serviceName === undefined || span.serviceName === filter.serviceName) &&
    isOf(resource, filter.resource) &&
    (filter.operation === undefined || span.name === filter.operation) &&
    (filter.kind === undefined || span.kind === filter.kind) &&
    (filter.failed === undefined || (span.status === "error") === filter.failed) &&
    (filter.minDuration === undefined || duration >= filter.minDuration) &&
    (filter.maxDuration === undefined || duration <= filter.maxDuration) &&
    filter.attributes.every(([key, value]) => carries(span, key, value)) &&
    (filter.text === undefined || textsOf(span).some((text) => Questions.lower(text).includes(filter.text!)))
}

const carries = (span: StoredSpan, key: string, value: string): boolean => {
  const own = span.attributes.get(key)
  return span.attributes.has(key) && (textOf(own) === value || (typeof own === "number" && /^-?[0-9]/.test(value) && Number(value) === own))
}

const textsOf = (span: StoredSpan): ReadonlyArray<string> =>
  [span.name, span.statusMessage ?? "", ...[...span.attributes].flatMap(([key, value]) => [key, textOf(value)])]

/** What is compared between spans: attributes of one value, service and name. */
const featuresOf = (span: StoredSpan): ReadonlyArray<readonly [string, string]> => [
  ["service.name", span.serviceName],
  ["span.name", span.name],
  ...[...span.attributes].flatMap(([key, value]): ReadonlyArray<readonly [string, string]> =>
    typeof value === "object" ? [] : [[key, textOf(value)]]
  )
]

const textOf = (value: unknown): string => (typeof value === "object" ? JSON.stringify(value) : String(value))

const counted = (span: StoredSpan): Figures.Counted => {
  const nanos = Number(span.endTime - span.startTime)
  return {
    bucket: Figures.bucketOf(nanos),
    count: span.weight,
    errorCount: span.status === "error" ? span.weight : 0,
    totalDuration: span.weight * Math.max(0, nanos)
  }
}

const compare = (difference: bigint): number => (difference < 0n ? -1 : difference > 0n ? 1 : 0)

const byStart = (a: StoredSpan, b: StoredSpan): number => compare(a.startTime - b.startTime)

const summarise = (spans: ReadonlyArray<StoredSpan>): TraceSummary => {
  const ordered = spans.toSorted(byStart)
  const root = ordered.find((span) => span.parentSpanId === undefined) ?? ordered[0]!
  const end = spans.reduce((most, span) => (span.endTime > most ? span.endTime : most), spans[0]!.endTime)
  const errorCount = spans.filter((span) => span.status === "error").length
  return {
    traceId: root.traceId,
    name: root.name,
    serviceName: root.serviceName,
    startTime: ordered[0]!.startTime,
    duration: end - ordered[0]!.startTime,
    spanCount: spans.length,
    errorCount,
    status: errorCount > 0 ? "ERROR" : "OK"
  }
}
