/** A destination as it is shown: `label` for metrics and span names. */
export interface Destination {
  readonly label: string
  readonly template: string | undefined
  readonly temporary: boolean
}

const wildcard = /\{[A-Za-z0-9_-]+\}|\*|\+/g
const segment = "[^./:]+"

/** What is wrong with a template, or `undefined`. */
export const templateProblem = (template: unknown): string | undefined => {
  if (typeof template !== "string" || template === "" || template.length > maxLength) return `expected a text of 1 to ${maxLength} characters`
  for (const part of template.split(/[./:]/)) {
    if ((part.match(wildcard)?.length ?? 0) > 1) return "has two wildcards in one segment: put a `.`, `/` or `:` between them"
    if ((part.includes(">") || part.includes("#")) && !/[./:][>#]$/.test(template)) return "`>` and `#` stand for the rest: only as the last segment"
  }
  return undefined
}

/**
 * Names of destinations with low cardinality. A name that fits a template is shown as the template; names made for a moment share one; past
 * the budget the rest is `_OTHER`. What was looked up is kept, within bounds: whoever chooses topics cannot make it grow.
 */
export class Destinations {
  private readonly templates: ReadonlyArray<{ readonly template: string; readonly matches: RegExp }>
  private readonly isTemporary: (topic: string) => boolean
  private readonly budget: number
  private readonly labels = new Set<string>()
  private known = new Map<string, Destination>()

  constructor(templates: ReadonlyArray<string>, isTemporary: (topic: string) => boolean, budget: number) {
    this.templates = templates.map((template) => ({ template, matches: compile(template) }))
    this.isTemporary = isTemporary
    this.budget = budget
  }

  of(topic: unknown): Destination {
    if (typeof topic !== "string" || topic === "") return unknown
    const found = this.known.get(topic)
    if (found !== undefined) return found
    const made = this.make(topic.length > maxLength ? topic.slice(0, maxLength) : topic)
    if (topic.length <= maxLength) {
      if (this.known.size >= maxKnown) this.known = new Map()
      this.known.set(topic, made)
    }
    return made
  }

  private make(topic: string): Destination {
    if (this.isTemporary(topic)) return temporary
    for (const { matches, template } of this.templates) {
      // Templates are of the program's own making: they are not counted.
      if (matches.test(topic)) return { label: template, template, temporary: false }
    }
    if (!this.labels.has(topic)) {
      if (this.labels.size >= this.budget) return other
      this.labels.add(topic)
    }
    return { label: topic, template: undefined, temporary: false }
  }
}

const maxLength = 255
const maxKnown = 10_000
const unknown: Destination = { label: "_unknown", template: undefined, temporary: false }
const other: Destination = { label: "_OTHER", template: undefined, temporary: false }
const temporary: Destination = { label: "(temporary)", template: undefined, temporary: true }

/** Wildcards are one segment each and stand between literal text, so that matching takes one pass. */
const compile = (template: string): RegExp => {
  const rest = /[./:][>#]$/.test(template)
  const body = rest ? template.slice(0, -1) : template
  const pattern = body.split(wildcard).map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join(segment)
  return new RegExp(`^${pattern}${rest ? ".+" : ""}$`, "s")
}
