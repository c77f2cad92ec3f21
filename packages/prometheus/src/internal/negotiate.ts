import type { Format } from "./text.ts"

/**
 * The format a scraper prefers by its `Accept` header (RFC 9110, 12.5.1, as far as our two formats go). Text 0.0.4 where it does
 * not say, or asks for what we do not have.
 */
export const negotiate = (accept: string | undefined): Format => {
  let openMetrics = 0
  let text = 0
  for (const range of (accept ?? "").toLowerCase().split(",")) {
    const [type, ...parameters] = range.split(";").map((part) => part.trim())
    const parameter = (name: string) =>
      parameters.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1).replaceAll("\"", "")
    const version = parameter("version")
    const weight = Number(parameter("q") ?? 1)
    if (!(weight > 0 && weight <= 1)) continue
    if (type === "application/openmetrics-text" && (version === undefined || version === "1.0.0")) openMetrics = Math.max(openMetrics, weight)
    if (type === "text/plain" && (version === undefined || version === "0.0.4")) text = Math.max(text, weight)
  }
  return openMetrics > 0 && openMetrics >= text ? "openMetrics" : "text"
}
