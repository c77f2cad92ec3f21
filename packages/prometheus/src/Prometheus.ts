import { type CompositionError, Exposition, quietly, Telemetry } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Registry } from "prom-client"
import { negotiate } from "./internal/negotiate.ts"
import { paced } from "./internal/paced.ts"
import { PageFamilies } from "./internal/PageFamilies.ts"
import { processMetrics } from "./internal/processMetrics.ts"
import { contentTypes, type Format } from "./internal/text.ts"
import { joinRegistry } from "./PromClient.ts"
import { PrometheusEncoding } from "./PrometheusEncoding.ts"
import { collect, namesOf, registryPieces } from "./RegistryPage.ts"

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
}

/** The page of the hub's metrics; `layer` brings the hub along. */
export const layerBackend = (options: PrometheusOptions = {}): Layer.Layer<Exposition, CompositionError, Telemetry> =>
  Layer.effect(
    Exposition,
    Effect.gen(function*() {
      const telemetry = yield* Telemetry
      const { store } = telemetry
      const name = options.name ?? "prometheus"
      const ofProcess = options.processMetrics === true ? yield* processMetrics : undefined
      // The process metrics come last and give way in silence: the program's registry may well have the same ones.
      const registries = [options.registry, ofProcess].filter((registry) => registry !== undefined)
      let encoding = new PrometheusEncoding({ prefix: "", constantLabels: {} })
      const currentEncoding = () => {
        const { defaultLabels: constantLabels, prefix } = telemetry.settings().metrics
        const known = encoding.options
        if (known.prefix !== prefix || known.constantLabels !== constantLabels) encoding = new PrometheusEncoding({ prefix, constantLabels })
        return encoding
      }
      /** What the last complete page went without, and what the program's registry shows of its own instead of ours. */
      let leftOut: ReadonlySet<string> = new Set()
      let failures: ReadonlyMap<string, string> = new Map()
      const hidden = new Set<string>()

      if (options.registry !== undefined && options.register === true) {
        yield* joinRegistry(store, options.registry, currentEncoding().options, (name, shown) => {
          if (shown) hidden.delete(name)
          else hidden.add(name)
        })
      }
      yield* telemetry.register({
        name,
        kind: "prometheus",
        report: () => {
          const reason = reasonOf(new Set([...leftOut, ...hidden]), failures)
          return { name, kind: "prometheus", status: reason === undefined ? "up" : "degraded", reason, signals: [] }
        }
      })

      /** The page in chunks of text; what it had to leave out is known when it is complete. */
      const pageOf = (format: Format): Stream.Stream<string> =>
        Stream.suspend(() => {
          telemetry.refreshSelfMetrics()
          const encoding = currentEncoding()
          const families = store.families()
          const page = new PageFamilies(format, [
            ...families.filter((family) => family.series.length > 0).map((family) => encoding.exposedName(family)),
            ...registries.flatMap(namesOf)
          ], options.createdTimestamps === true)
          const failed = new Map<string, string>()
          const theirs = registries.map((registry) =>
            Stream.unwrap(Effect.map(
              collect(registry, (metric, why) => failed.set(metric, why)),
              (answers) => paced(registryPieces(registry, answers, page, (name) => registry !== ofProcess && page.leftOut.add(name)))
            ))
          )
          const last = Stream.suspend(() => {
            leftOut = page.leftOut
            failures = failed
            return format === "openMetrics" ? Stream.succeed("# EOF\n") : Stream.empty
          })
          return [...theirs, last].reduce((all, part) => Stream.concat(all, part), paced(encoding.pieces(families, page)))
        })

      return Exposition.of({
        page: quietly(Effect.map(Stream.mkString(pageOf("text")), (body) => ({ contentType: contentTypes.text, body }))),
        render: (accept) =>
          Effect.sync(() => {
            const format = negotiate(accept)
            return { contentType: contentTypes[format], body: Stream.encodeText(pageOf(format)) }
          })
      })
    })
  )

/** In words what is wrong with the page, if anything. */
const reasonOf = (names: ReadonlySet<string>, failures: ReadonlyMap<string, string>): string | undefined => {
  const parts: Array<string> = []
  if (names.size > 0) parts.push(`left out because another metric has the same name or it cannot be shown: ${shorten([...names])}`)
  if (failures.size > 0) {
    parts.push(`a prom-client registry has metrics that give no values: ${shorten([...failures].map(([metric, why]) => `${metric} (${why})`))}`)
  }
  return parts.length === 0 ? undefined : parts.join("; ")
}

const shorten = (names: ReadonlyArray<string>): string => {
  const most = 10
  return names.slice(0, most).join(", ") + (names.length > most ? ` and ${names.length - most} more` : "")
}

/**
 * Prometheus as a backend: a page of everything recorded, served by `layerRoute` in the program's own HTTP server or by
 * `layerServer` (from `@effect-observability/prometheus/node`) on a port of its own.
 */
export const layer = (
  options: PrometheusOptions = {}
): Layer.Layer<Exposition | Layer.Success<typeof Telemetry.layer>, CompositionError> =>
  layerBackend(options).pipe(Layer.provideMerge(Telemetry.layer))
