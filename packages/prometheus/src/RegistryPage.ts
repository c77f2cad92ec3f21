import { quietly } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Registry } from "prom-client"
import type { PageFamilies } from "./internal/PageFamilies.ts"
import { printable } from "./internal/printable.ts"
import { type Answer, type Exemplar as PromExemplar, isOpenMetrics, membersOf, nameIn, type Value } from "./internal/promClient.ts"
import { escapeLabel, type FamilyType, isLabelName, number, sampleNames } from "./internal/text.ts"
import { isOurs } from "./PromClient.ts"

const ownMembersOf = (registry: Registry) => membersOf(registry).filter((metric) => !isOurs(metric))

/** Longest wait for the values of a metric whose `collect` does I/O. */
const collectTimeout = "5 seconds"

/** The names under which a registry's own metrics will be on the page. */
export const namesOf = (registry: Registry): ReadonlyArray<string> =>
  ownMembersOf(registry).map((metric) => nameIn(registry, metric))

/** The values of a registry's own metrics, asked for side by side; those that fail or take too long are left out and told. */
export const collect = (registry: Registry, onFailure: (metric: string, why: string) => void): Effect.Effect<ReadonlyArray<Answer>> =>
  Effect.forEach(
    ownMembersOf(registry),
    (metric) =>
      Effect.tryPromise(async () => {
        const answer = await metric.get()
        if (!Array.isArray(answer?.values)) throw new Error("it has no list of values")
        return { name: nameIn(registry, answer), help: String(answer.help ?? ""), type: String(answer.type), values: answer.values }
      }).pipe(
        Effect.timeoutOption(collectTimeout),
        Effect.tap((answer) => Option.isNone(answer) ? Effect.sync(() => onFailure(metric.name, `no answer in ${collectTimeout}`)) : Effect.void),
        Effect.catch((error) =>
          Effect.sync(() => {
            onFailure(metric.name, printable(String(error.cause)))
            return Option.none<Answer>()
          })
        )
      ),
    { concurrency: "unbounded" }
  ).pipe(Effect.map((answers) => answers.filter(Option.isSome).map(({ value }) => value)), quietly)

/** prom-client's types keep them private. */
const defaultLabelsOf = (registry: Registry): ReadonlyArray<readonly [string, unknown]> =>
  Object.entries((registry as unknown as { readonly _defaultLabels?: Readonly<Record<string, unknown>> })._defaultLabels ?? {})

const pieceLength = 16 * 1024

/** A registry's metrics as lines of a page; what cannot stand there is left out and told to `onLeftOut`. */
export function* registryPieces(
  registry: Registry,
  answers: ReadonlyArray<Answer>,
  page: PageFamilies,
  onLeftOut: (name: string) => void
): Generator<string> {
  const defaults = defaultLabelsOf(registry)
  let text = ""
  for (const { help, name, type, values } of answers) {
    const open = page.begin({ name, help, type: familyTypes.get(type) ?? "untyped", unit: "" })
    if (open === undefined) {
      onLeftOut(name)
      continue
    }
    text += open.head
    const samples = new Set(sampleNames(name, type))
    // A registry for OpenMetrics leaves the name of a counter's samples to whoever renders them.
    const own = isOpenMetrics(registry) && type === "counter"
    for (const one of values) {
      const line = lineOf(name, own, one, samples, defaults, open.exemplars)
      if (line === undefined) onLeftOut(`${name} (a sample with wrong name, labels or value)`)
      else text += line
      if (text.length >= pieceLength) {
        yield text
        text = ""
      }
    }
  }
  if (text !== "") yield text
}

/** One sample; `undefined` for what may not stand on a page, which may be anything at all: other code registers metrics too. */
const lineOf = (
  name: string,
  own: boolean,
  given: Value,
  samples: ReadonlySet<string>,
  defaults: ReadonlyArray<readonly [string, unknown]>,
  exemplars: boolean
): string | undefined => {
  try {
    const { exemplar, labels, metricName, value } = given
    const sample = own ? name : metricName ?? name
    const text = samples.has(sample) && typeof value === "number" ? labelsText(labels ?? {}, defaults) : undefined
    return text === undefined ? undefined : `${sample}${text} ${number(value)}${exemplars && exemplar ? exemplarText(exemplar) : ""}\n`
  } catch {
    return undefined
  }
}

/** Most UTF-8 characters of an exemplar's labels, names and values together (OpenMetrics 1.0, "Exemplars"). */
const maxExemplarLength = 128

/** What follows a sample that has an exemplar; nothing where it may not stand on a page. */
const exemplarText = ({ labelSet, timestamp, value }: PromExemplar): string => {
  const labels = labelsText(labelSet, [])
  const length = Object.entries(labelSet).reduce((sum, [name, text]) => sum + [...name].length + [...String(text)].length, 0)
  if (labels === undefined || length > maxExemplarLength || typeof value !== "number") return ""
  return ` # ${labels === "" ? "{}" : labels} ${number(value)}${Number.isFinite(timestamp) ? ` ${number(timestamp!)}` : ""}`
}

const familyTypes: ReadonlyMap<string, FamilyType> = new Map(
  (["counter", "gauge", "histogram", "summary"] as const).map((type) => [type, type])
)

/** `undefined` when a label name may not stand on a page. Bounds and quantiles are left as they are: they name series that exist. */
const labelsText = (labels: Value["labels"], defaults: ReadonlyArray<readonly [string, unknown]>): string | undefined => {
  let text = ""
  const add = (name: string, value: unknown): boolean => {
    if (!isLabelName(name)) return false
    text += `${text === "" ? "{" : ","}${name}="${escapeLabel(String(value))}"`
    return true
  }
  for (const name in labels) if (!add(name, labels[name])) return undefined
  for (const [name, value] of defaults) if (!Object.hasOwn(labels, name)) add(name, value)
  return text === "" ? "" : `${text}}`
}
