import type { Exporter, SpanData } from "@effect-observability/core"
import { itemExporter, type ItemOptions } from "./internal/itemExporter.ts"
import type { Format, Origin } from "./OtlpEncoding.ts"
import { spanEncoder } from "./OtlpEncoding.ts"

/** Sends spans; without `exceptions` their exception events stay here, since the errors travel as log records. */
export const make = (options: ItemOptions & { readonly format: Format; readonly origin: Origin; readonly exceptions: boolean }): Exporter.Exporter<SpanData> =>
  itemExporter("spans", spanEncoder(options.format, options.origin, options), options)
