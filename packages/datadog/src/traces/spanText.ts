import type { SpanEvent, SpanLinkData } from "@effect-observability/core"

// Events and links as JSON in a tag, as Datadog's own tracers send them to agents that know no other form.

/** Longest tag value that the agent keeps (datadog-agent, `MaxMetaValLen`): of a longer one the rest is cut, which would be no JSON. */
const maxText = 25_000

interface Text {
  readonly text: string
  /** Whole items that did not fit. */
  readonly left: number
}

export const linksText = (links: ReadonlyArray<SpanLinkData>): Text =>
  listed(links.map(({ attributes, spanId, traceId }) => {
    const own = Object.entries(attributes).map(([key, value]) => [key, typeof value === "string" ? value : nestedText(value)] as const)
    return `{"trace_id":"${traceId}","span_id":"${spanId}"${own.length === 0 ? "" : `,"attributes":${json(Object.fromEntries(own))}`}}`
  }))

/** Exceptions first when not all fit: they say most. */
export const eventsText = (events: ReadonlyArray<SpanEvent>): Text => {
  const texts = events.map(({ attributes, name, time }) => {
    const own = Object.keys(attributes).length === 0 ? "" : `,"attributes":${json(attributes)}`
    return `{"name":${json(name)},"time_unix_nano":${time < 0n ? 0n : time}${own}}`
  })
  if (texts.reduce((total, one) => total + one.length + 1, 1) <= maxText) return { text: `[${texts.join(",")}]`, left: 0 }
  const order = events.map((_, i) => i).toSorted((a, b) => Number(events[b]!.name === "exception") - Number(events[a]!.name === "exception"))
  const kept = new Set<number>()
  let length = 1
  for (const i of order) {
    if (length + texts[i]!.length + 1 > maxText) continue
    length += texts[i]!.length + 1
    kept.add(i)
  }
  return { text: `[${texts.filter((_, i) => kept.has(i)).join(",")}]`, left: texts.length - kept.size }
}

const listed = (texts: ReadonlyArray<string>): Text => {
  let length = 1
  const kept: Array<string> = []
  for (const one of texts) {
    if (length + one.length + 1 > maxText) continue
    length += one.length + 1
    kept.push(one)
  }
  return { text: `[${kept.join(",")}]`, left: texts.length - kept.length }
}

/** What is no text, number or boolean as JSON; never throws. */
export const nestedText = (value: unknown): string => value === undefined ? "" : json(value)

const json = (value: unknown): string => {
  try {
    return JSON.stringify(value) ?? "null"
  } catch {
    return withBigints(value)
  }
}

/** Slower: a function that looks at every value. */
const withBigints = (value: unknown): string => {
  try {
    return JSON.stringify(value, (_, one) => typeof one === "bigint" ? String(one) : one) ?? "null"
  } catch {
    return "\"unreadable\""
  }
}
