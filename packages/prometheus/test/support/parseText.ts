/** One sample of a page. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface ParsedPage {
  readonly samples: ReadonlyArray<Sample>
  readonly types: ReadonlyMap<string, string>
  readonly helps: ReadonlyMap<string, string>
}

const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/

/**
 * Reads text format 0.0.4 strictly, after the "Exposition formats" page of Prometheus: every oddity is an error, and so are a second
 * TYPE of one name, two equal samples and a sample that comes after another family began.
 */
export const parseText = (page: string): ParsedPage => {
  const samples: Array<Sample> = []
  const types = new Map<string, string>()
  const helps = new Map<string, string>()
  const seen = new Set<string>()
  if (page !== "" && !page.endsWith("\n")) throw new Error("the last line must end with a line feed")
  page.split("\n").slice(0, -1).forEach((line, i) => {
    const fail = (why: string): never => {
      throw new Error(`line ${i + 1}: ${why}: ${line.slice(0, 200)}`)
    }
    if (line === "") return
    if (line.startsWith("#")) {
      const [, keyword, metric, rest] = /^# (HELP|TYPE) ([^ ]+) ?(.*)$/s.exec(line) ?? fail("neither HELP nor TYPE")
      if (!name.test(metric!)) fail("bad metric name")
      const into = keyword === "TYPE" ? types : helps
      if (into.has(metric!)) fail(`second ${keyword}`)
      if (keyword === "TYPE" && !["counter", "gauge", "histogram", "summary", "untyped"].includes(rest!)) fail("unknown type")
      into.set(metric!, keyword === "HELP" ? unescape(rest!, false) : rest!)
      return
    }
    let at = 0
    const take = (pattern: RegExp, what: string): string => {
      pattern.lastIndex = at
      const found = pattern.exec(line) ?? fail(`expected ${what} at ${at}`)
      at = pattern.lastIndex
      return found[0]
    }
    const metric = take(/[a-zA-Z_:][a-zA-Z0-9_:]*/y, "a metric name")
    const labels: Record<string, string> = {}
    if (line[at] === "{") {
      at++
      while (line[at] !== "}") {
        const label = take(/[a-zA-Z_][a-zA-Z0-9_]*/y, "a label name")
        take(/="/y, "=\"")
        const value = take(/(?:[^"\\\n]|\\["\\n])*/y, "a label value")
        take(/"/y, "a closing quote")
        if (Object.hasOwn(labels, label)) fail(`label ${label} twice`)
        labels[label] = unescape(value, true)
        if (line[at] === ",") at++
        else if (line[at] !== "}") fail("expected , or }")
      }
      at++
    }
    take(/ /y, "a space")
    const text = take(/[^ ]+$/y, "a value at the end of the line")
    if (!/^([+-]?(\d+(\.\d+)?|\.\d+)(e[+-]?\d+)?|[+-]Inf|NaN)$/i.test(text)) fail("bad value")
    const key = `${metric} ${JSON.stringify(Object.entries(labels).sort())}`
    if (seen.has(key)) fail("the same sample twice")
    seen.add(key)
    samples.push({ name: metric, labels, value: text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text) })
  })
  return { samples, types, helps }
}

const unescape = (text: string, quotes: boolean): string =>
  text.replace(/\\(.)/g, (_, char: string) => char === "n" ? "\n" : char === "\\" || (quotes && char === "\"") ? char : `\\${char}`)
