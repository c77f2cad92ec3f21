import { TraceHistory } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Breakage } from "./index.ts"

type History = TraceHistory["Service"]

const history = (change: (inner: History) => Partial<History>): Breakage =>
  Layer.effect(TraceHistory, Effect.map(TraceHistory, (inner) => TraceHistory.of({ ...inner, ...change(inner) })))

/** A wrong store for each law of `TraceHistory`, by the law's name. */
export const traces: Readonly<Record<string, Breakage>> = {
  "a search finds the traces with a span that meets every condition": history((inner) => ({
    // Conditions that hold somewhere in the trace, not in one span.
    searchTraces: ({ attributes, ...query } = {}) =>
      attributes === undefined ? inner.searchTraces(query) : Effect.flatMap(inner.searchTraces({ attributes }), ({ traces }) =>
        Effect.map(inner.searchTraces(query), (page) => ({ ...page, traces: page.traces.filter((one) => traces.some((other) => other.traceId === one.traceId)) })))
  })),
  "durations and times bound a search": history((inner) => ({
    searchTraces: ({ maxDuration: _, minDuration: __, ...query } = {}) => inner.searchTraces(query)
  })),
  "pages follow each other without a gap or a repetition": history((inner) => ({
    searchTraces: (query) => Effect.map(inner.searchTraces(query), (page) => ({ ...page, traces: page.traces.slice(0, 2) }))
  })),
  "a summary adds up the whole trace": history((inner) => ({
    searchTraces: (query) => Effect.map(inner.searchTraces(query), (page) => ({ ...page, traces: page.traces.map((one) => ({ ...one, spanCount: 1 })) }))
  })),
  "a live reader hears of a trace that is stored while it listens": history((inner) => ({
    liveTraces: Stream.map(inner.liveTraces, (summary) => ({ ...summary, spanCount: 1 }))
  })),
  "operations count spans and failures": history((inner) => ({
    operations: (query) => Effect.map(inner.operations(query), (all) => all.map((one) => ({ ...one, errorCount: 0 })))
  })),
  "latency counts every span once, in points and heatmap": history((inner) => ({
    latency: (query) => Effect.map(inner.latency(query), (all) => ({ ...all, points: all.points.map((point) => ({ ...point, counts: point.counts.slice(1) })) }))
  })),
  "what differs is what the failures have and the others have not": history((inner) => ({
    whatDiffers: (query) => Effect.map(inner.whatDiffers(query), (all) => ({ ...all, differences: all.differences.slice(1) }))
  })),
  "what is deleted is gone, and nothing else": history((inner) => ({
    deleteTraces: (what) => Effect.map(inner.deleteTraces(what), (deleted) => ({ ...deleted, spans: deleted.traces }))
  })),
  "a question that makes no sense names the field": history((inner) => ({
    searchTraces: (query) => Effect.catch(inner.searchTraces(query), () => Effect.succeed({ traces: [], cursor: undefined }))
  }))
}
