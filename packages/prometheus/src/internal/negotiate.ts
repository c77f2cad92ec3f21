import type { Format } from "./text.ts"

interface Preference {
  readonly value: string
  readonly parameters: ReadonlyMap<string, string>
  /** 0 to 1; 0 stands for "not this". */
  readonly weight: number
}

/** Most members of a header that are read: a scraper sends half a dozen. */
const maxMembers = 64

/** The members of a list with weights (RFC 9110, 12.4.2 and 5.6.6); what cannot be read is left out. */
const preferences = (header: string): ReadonlyArray<Preference> =>
  header.toLowerCase().split(",", maxMembers).flatMap((member) => {
    const [value = "", ...rest] = member.split(";").map((part) => part.trim())
    const parameters = new Map(rest.map((one) => {
      const [name = "", text = ""] = one.split("=", 2)
      return [name.trim(), text.trim().replaceAll("\"", "")]
    }))
    const q = parameters.get("q") ?? "1"
    parameters.delete("q")
    return value !== "" && /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(q) ? [{ value, parameters, weight: Number(q) }] : []
  })

const versions: Readonly<Record<Format, { readonly type: string; readonly version: string }>> = {
  text: { type: "text/plain", version: "0.0.4" },
  openMetrics: { type: "application/openmetrics-text", version: "1.0.0" }
}

/**
 * The format a scraper prefers by its `Accept` header (RFC 9110, 12.5.1): the most specific range that covers a format gives its
 * weight. OpenMetrics has to be asked for by name; text 0.0.4 is the answer to `*`/`*`, to no header and to what we do not have.
 * Other parameters (`charset`, Prometheus 3's `escaping`) change nothing: our names need no escaping.
 */
export const negotiate = (accept: string | undefined): Format => {
  const ranges = preferences(accept ?? "")
  const rank = (format: Format): { readonly weight: number; readonly named: boolean } => {
    const { type, version } = versions[format]
    let weight = 0
    let best = 0
    for (const range of ranges) {
      const wanted = range.parameters.get("version")
      const specificity = range.value === type
        ? wanted === undefined ? 3 : wanted === version ? 4 : 0
        : range.value === `${type.slice(0, type.indexOf("/"))}/*` ? 2
        : range.value === "*/*" ? 1
        : 0
      if (specificity === 0 || specificity < best) continue
      weight = specificity === best ? Math.max(weight, range.weight) : range.weight
      best = specificity
    }
    return { weight, named: best >= 2 }
  }
  const openMetrics = rank("openMetrics")
  return openMetrics.named && openMetrics.weight > 0 && openMetrics.weight >= rank("text").weight ? "openMetrics" : "text"
}

/** Whether `Accept-Encoding` lets a body be compressed by gzip and does not prefer it plain (RFC 9110, 12.5.3). */
export const acceptsGzip = (header: string | undefined): boolean => {
  const codings = preferences(header ?? "")
  const weightOf = (coding: string) => codings.find(({ value }) => value === coding)?.weight
  const gzip = weightOf("gzip") ?? weightOf("x-gzip") ?? weightOf("*") ?? 0
  return gzip > 0 && gzip >= (weightOf("identity") ?? 0)
}
