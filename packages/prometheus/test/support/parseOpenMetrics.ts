import type { Sample } from "./parseText.ts"

export interface OpenMetricsSample extends Sample {
  readonly family: string
  readonly exemplar?: { readonly labels: Readonly<Record<string, string>>; readonly value: number; readonly timestamp: number | undefined } | undefined
}

export interface OpenMetricsPage {
  readonly samples: ReadonlyArray<OpenMetricsSample>
  readonly types: ReadonlyMap<string, string>
  readonly helps: ReadonlyMap<string, string>
  readonly units: ReadonlyMap<string, string>
}

const suffixes: Readonly<Record<string, ReadonlyArray<string>>> = {
  counter: ["_total", "_created"],
  gauge: [""],
  unknown: [""],
  histogram: ["_bucket", "_count", "_sum", "_created"],
  summary: ["", "_count", "_sum", "_created"]
}

const number = /^([+-]?\d+(\.\d*)?(e[+-]?\d+)?|[+-]?inf|nan)$/i
const valueOf = (text: string): number => /inf/i.test(text) ? (text.startsWith("-") ? -Infinity : Infinity) : Number(text)

/**
 * Reads OpenMetrics text 1.0 strictly: grammar, order and grouping of families and of the samples of one metric, suffixes by type,
 * exemplars only where they may stand, canonical bounds, cumulative buckets with +Inf, counters without NaN or negative values.
 * prom-client's own bounds are not canonical: `foreign` takes them as they are.
 */
export const parseOpenMetrics = (page: string, { foreign = false } = {}): OpenMetricsPage => {
  if (!page.endsWith("# EOF\n")) throw new Error("the page must end with # EOF and a line feed")
  const types = new Map<string, string>()
  const helps = new Map<string, string>()
  const units = new Map<string, string>()
  const families = new Set<string>()
  const metrics = new Set<string>()
  const points = new Set<string>()
  const samples: Array<OpenMetricsSample> = []
  let family = ""
  let hasSamples = false
  let metric = ""
  page.split("\n").slice(0, -2).forEach((line, i) => {
    const fail = (why: string): never => {
      throw new Error(`line ${i + 1}: ${why}: ${line.slice(0, 200)}`)
    }
    if (line.startsWith("#")) {
      const [, keyword, name, rest] = /^# (HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/s.exec(line) ?? fail("neither HELP, TYPE nor UNIT")
      if (name !== family) {
        if (families.has(name!)) fail("a family that came before")
        families.add(name!)
        family = name!
        hasSamples = false
        metric = ""
      }
      if (hasSamples) fail("metadata after samples")
      const into = keyword === "TYPE" ? types : keyword === "HELP" ? helps : units
      if (into.has(name!)) fail(`second ${keyword}`)
      if (keyword === "TYPE" && suffixes[rest!] === undefined) fail("unknown type")
      if (keyword === "UNIT" && !name!.endsWith(`_${rest}`)) fail("the name does not end in its unit")
      into.set(name!, keyword === "HELP" ? unescape(rest!, fail) : rest!)
      return
    }
    hasSamples = true
    let at = 0
    const take = (pattern: RegExp, what: string): string => {
      pattern.lastIndex = at
      const found = pattern.exec(line) ?? fail(`expected ${what} at ${at}`)
      at = pattern.lastIndex
      return found[0]
    }
    const labelSet = (): Record<string, string> => {
      const labels: Record<string, string> = Object.create(null)
      take(/\{/y, "{")
      for (let first = true; line[at] !== "}"; first = false) {
        if (!first) take(/,/y, "a comma")
        const label = take(/[a-zA-Z_][a-zA-Z0-9_]*/y, "a label name")
        take(/="/y, "=\"")
        const value = take(/(?:[^"\\\n]|\\["\\n])*/y, "a label value")
        take(/"/y, "a closing quote")
        if (label in labels) fail(`label ${label} twice`)
        labels[label] = unescape(value, fail)
      }
      at++
      return labels
    }
    const numeral = (what: string): number => {
      const text = take(/[^ ]+/y, what)
      return number.test(text) ? valueOf(text) : fail(`bad ${what}`)
    }
    const name = take(/[a-zA-Z_:][a-zA-Z0-9_:]*/y, "a metric name")
    const type = types.get(family) ?? fail("a sample without TYPE")
    const suffix = name.startsWith(family) ? name.slice(family.length) : fail("a sample of another family")
    if (!suffixes[type]!.includes(suffix)) fail(`a ${type} has no ${suffix === "" ? "sample of its own name" : suffix}`)
    const labels = line[at] === "{" ? labelSet() : {}
    take(/ /y, "a space")
    const value = numeral("value")
    let exemplar: OpenMetricsSample["exemplar"]
    if (at < line.length) {
      take(/ # /y, "an exemplar")
      if (suffix !== "_bucket" && suffix !== "_total") fail("no exemplar may stand here")
      const given = labelSet()
      const length = Object.entries(given).reduce((sum, [key, text]) => sum + [...key].length + [...text].length, 0)
      if (length > 128) fail(`an exemplar's labels have ${length} characters`)
      take(/ /y, "a space")
      exemplar = { labels: given, value: numeral("value"), timestamp: undefined }
      if (at < line.length) {
        take(/ /y, "a space")
        exemplar = { ...exemplar, timestamp: numeral("timestamp") }
      }
      if (at < line.length) fail("something after the exemplar")
      if (suffix === "_bucket" && exemplar.value > valueOf(labels["le"]!)) fail("an exemplar above its bucket")
    }
    const { le: _le, quantile: _quantile, ...own } = labels
    const key = `${family} ${JSON.stringify(Object.entries(own).sort())}`
    if (key !== metric) {
      if (metrics.has(key)) fail("the samples of one metric are not together")
      metrics.add(key)
      metric = key
    }
    const point = `${name} ${JSON.stringify(Object.entries(labels).sort())}`
    if (points.has(point)) fail("the same sample twice")
    points.add(point)
    for (const bound of [suffix === "_bucket" ? labels["le"] ?? fail("a bucket without le") : undefined, labels["quantile"]]) {
      if (bound !== undefined && !foreign && !/^(\+Inf|-?\d+\.\d+|-?\d(\.\d+)?e[+-]\d\d+)$/.test(bound)) fail(`${bound} is not canonical`)
    }
    const cumulative = suffix === "_total" || suffix === "_bucket" || suffix === "_count"
    if (cumulative && !(value >= 0)) fail("a count must be 0 or more")
    samples.push({ name, family, labels, value, exemplar })
  })
  checkBuckets(samples)
  return { samples, types, helps, units }
}

const checkBuckets = (samples: ReadonlyArray<OpenMetricsSample>): void => {
  const counts = new Map<string, { last: number; bound: number }>()
  for (const { family, labels, name, value } of samples) {
    const { le, ...own } = labels
    const key = `${family} ${JSON.stringify(Object.entries(own).sort())}`
    if (name === `${family}_bucket` && le !== undefined) {
      const before = counts.get(key)
      if (before !== undefined && (value < before.last || valueOf(le) <= before.bound)) throw new Error(`${key}: buckets do not rise`)
      counts.set(key, { last: value, bound: valueOf(le) })
    } else if (name === `${family}_count` && counts.has(key)) {
      const { bound, last } = counts.get(key)!
      if (bound !== Infinity || last !== value) throw new Error(`${key}: count ${value} is not the +Inf bucket's ${last}`)
    }
  }
}

const unescape = (text: string, fail: (why: string) => never): string =>
  text.replace(/\\(.?)/gs, (_, char: string) => char === "n" ? "\n" : char === "\\" || char === "\"" ? char : fail(`bad escape \\${char}`))
