import type { ErrorData, Exporter, LogData } from "@effect-observability/core"
import { itemExporter, type ItemOptions } from "./internal/itemExporter.ts"
import type { Format, Origin } from "./OtlpEncoding.ts"
import { errorEncoder, logEncoder } from "./OtlpEncoding.ts"

type Options = ItemOptions & { readonly format: Format; readonly origin: Origin }

/** Sends log lines. */
export const logs = (options: Options): Exporter.Exporter<LogData> => itemExporter("log lines", logEncoder(options.format, options.origin), options)

/** Sends errors, as log records with `exception.*` attributes. */
export const errors = (options: Options): Exporter.Exporter<ErrorData> => itemExporter("errors", errorEncoder(options.format, options.origin), options)
