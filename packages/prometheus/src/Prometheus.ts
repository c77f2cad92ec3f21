import { type CompositionError, Exposition, Telemetry } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Registry } from "prom-client"
import { expositionOf } from "./internal/expositionOf.ts"
import { Pages } from "./internal/Pages.ts"
import { processMetrics } from "./internal/processMetrics.ts"
import { joinRegistry } from "./PromClient.ts"

export * from "./PrometheusRoute.ts"

export interface PrometheusOptions {
  /** Name of the backend in reports. Default `"prometheus"`. */
  readonly name?: string
  /** A prom-client registry of the program's own: its metrics appear on our page. */
  readonly registry?: Registry
  /** Also puts our metrics into `registry`, so that they appear where the program already serves it. Default `false`. */
  readonly register?: boolean
  /** Adds prom-client's process metrics (CPU, memory, event loop, garbage collection) to the page. Default `false`. */
  readonly processMetrics?: boolean
  /**
   * Adds to OpenMetrics pages when each counter, histogram and summary began (`…_created`). Prometheus 3 reads it as the start time with
   * `--enable-feature=created-timestamp-zero-ingestion`; others keep one more series for each. Default `false`.
   */
  readonly createdTimestamps?: boolean
  /**
   * Begins the page with `target_info`: service, version, instance, environment and cluster as labels of one series, to be joined with the others
   * (`metric * on (instance, job) group_left (k8s_cluster_name) target_info`). `false` leaves it out. Default `true`.
   */
  readonly targetInfo?: boolean
}

/** The page of the hub's metrics; `layer` brings the hub along. */
export const layerBackend = (options: PrometheusOptions = {}): Layer.Layer<Exposition, CompositionError, Telemetry> =>
  Layer.effect(
    Exposition,
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const name = options.name ?? "prometheus"
      const ofProcess = options.processMetrics === true ? yield* processMetrics : undefined
      const pages = new Pages(telemetry, {
        // The process metrics come last and give way in silence: the program's registry may well have the same ones.
        registries: [options.registry, ofProcess].filter((registry) => registry !== undefined),
        silent: ofProcess === undefined ? [] : [ofProcess],
        createdTimestamps: options.createdTimestamps === true,
        targetInfo: options.targetInfo !== false
      })
      /** What the program's registry shows of its own instead of ours. */
      const hidden = new Set<string>()
      if (options.registry !== undefined && options.register === true) {
        yield* joinRegistry(telemetry.store, options.registry, () => pages.encoding().options, (name, shown) => {
          if (shown) hidden.delete(name)
          else hidden.add(name)
        })
      }
      yield* telemetry.register({
        name,
        kind: "prometheus",
        report: () => {
          const reason = pages.problem(hidden)
          return { name, kind: "prometheus", status: reason === undefined ? "up" : "degraded", reason, signals: [] }
        }
      })
      return expositionOf(pages)
    })
  )

/**
 * Prometheus as a backend: a page of everything recorded, served by `layerRoute` in the program's own HTTP server or by
 * `layerServer` (from `@effect-observability/prometheus/node`) on a port of its own.
 */
export const layer = (
  options: PrometheusOptions = {}
): Layer.Layer<Exposition | Layer.Success<typeof Telemetry.layer>, CompositionError> =>
  layerBackend(options).pipe(Layer.provideMerge(Telemetry.layer))
