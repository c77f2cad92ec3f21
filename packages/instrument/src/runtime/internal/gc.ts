import type { MetricsRecorder, ObserverHandle } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as PerfHooks from "node:perf_hooks"
import { gcKinds, otel, standard } from "./definitions.ts"

const { constants } = PerfHooks
const kinds: ReadonlyMap<number, typeof gcKinds[number]> = new Map([
  [constants.NODE_PERFORMANCE_GC_MAJOR, "major"],
  [constants.NODE_PERFORMANCE_GC_MINOR, "minor"],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, "incremental"],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, "weakcb"]
])

/** Observes how long each garbage collection takes, until the scope closes. */
export const observeGc = (
  recorder: MetricsRecorder["Service"],
  conventions: "standard" | "otel" | "both"
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.sync(() => {
      const handles = new Map<string, ReadonlyArray<ObserverHandle>>(gcKinds.map((kind) => [
        kind,
        [
          ...(conventions === "otel" ? [] : [recorder.bind(standard.gc, { kind })]),
          ...(conventions === "standard" ? [] : [recorder.bind(otel.gc, { v8js_gc_type: kind })])
        ]
      ]))
      const observer = new PerfHooks.PerformanceObserver((list) => {
        for (const entry of list.getEntries()) {
          // Node's own kind of entry, which the types do not know.
          const { detail } = entry as unknown as { readonly detail?: { readonly kind?: number } }
          const kind = kinds.get(detail?.kind ?? -1)
          if (kind !== undefined) for (const handle of handles.get(kind)!) handle.observeUnsafe(entry.duration / 1000)
        }
      })
      observer.observe({ entryTypes: ["gc"] })
      return observer
    }),
    (observer) => Effect.sync(() => observer.disconnect())
  ))
