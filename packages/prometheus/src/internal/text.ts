// The words of the two text formats: Prometheus "Exposition formats" (text 0.0.4) and OpenMetrics 1.0.

export type Format = "text" | "openMetrics"

export type FamilyType = "counter" | "gauge" | "histogram" | "summary" | "untyped"

export const contentTypes: Readonly<Record<Format, string>> = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/

/** Prometheus 2 refuses a whole page for a name of underscores alone. */
export const isMetricName = (name: string): boolean => metricName.test(name) && !/^_+$/.test(name)

/** Whether a label may stand on a page; names that begin with `__` are Prometheus's own. */
export const isLabelName = (name: string): boolean => labelName.test(name) && !name.startsWith("__")

/** All sample names a metric puts on the page: two metrics must not share one. */
export const sampleNames = (name: string, type: string): ReadonlyArray<string> =>
  type === "histogram" ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]
    : type === "summary" ? [name, `${name}_sum`, `${name}_count`]
    : [name]

/** A sample value as Go's ParseFloat reads it. */
export const number = (value: number): string => value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value)

const special = /[\\\n"]/

/** A label value between its quotes. Lone surrogates, which UTF-8 cannot carry, become U+FFFD. */
export const escapeLabel = (value: string): string => {
  const text = value.isWellFormed() ? value : value.toWellFormed()
  return special.test(text) ? text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\"", "\\\"") : text
}

export const escapeHelp = (help: string, format: Format): string => {
  const text = help.toWellFormed().replaceAll("\\", "\\\\").replaceAll("\n", "\\n")
  return format === "openMetrics" ? text.replaceAll("\"", "\\\"") : text
}
