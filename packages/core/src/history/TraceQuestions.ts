import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { SpanKind } from "../tracing/SpanData.ts"
import { HistoryError } from "./HistoryError.ts"
import { type LabelTest, resourceTests } from "./range/plan.ts"
import type {
  DiffersQuery, LatencyQuery, SearchTracesQuery, SpanFilter, TraceDeletion, TraceHistory, TraceSummary
} from "./TraceHistory.ts"

// What the providers of `TraceHistory` share: questions checked and made complete, the same by every provider.

export const invalid = (field: string, problem: string): Effect.Effect<never, HistoryError> =>
  Effect.fail(new HistoryError({ reason: "invalid", message: `${field} ${problem}` }))

/** A limit that makes no sense is brought to one that does. */
export const clamped = (value: number | undefined, least: number, most: number, otherwise: number): number =>
  value === undefined || Number.isNaN(value) ? otherwise : Math.min(most, Math.max(least, Math.trunc(value)))

/** A `SpanFilter`, checked. Nanoseconds throughout; `undefined` is no condition. */
export interface Filter {
  readonly serviceName: string | undefined
  readonly resource: ReadonlyArray<LabelTest>
  readonly operation: string | undefined
  readonly kind: SpanKind | undefined
  readonly failed: boolean | undefined
  readonly minDuration: bigint | undefined
  readonly maxDuration: bigint | undefined
  readonly attributes: ReadonlyArray<readonly [key: string, value: string]>
  /** With A to Z in lower case. */
  readonly text: string | undefined
  /** Inclusive. */
  readonly from: bigint
  /** Exclusive. */
  readonly to: bigint
}

/** What 64-bit nanoseconds hold: until the year 2262. */
const earliest = -9_223_372_036_854
const latest = 9_223_372_036_854

const instant = (field: string, value: unknown, otherwise: number): Effect.Effect<number, HistoryError> => {
  if (value === undefined) return Effect.succeed(otherwise)
  const millis = typeof value === "number" ? value : value instanceof Date ? value.getTime() : NaN
  return Number.isNaN(millis)
    ? invalid(field, "is not a time: pass milliseconds since the epoch or a valid Date")
    : Effect.succeed(Math.min(latest, Math.max(earliest, millis)))
}

const nanos = (millis: number): bigint => BigInt(Math.round(millis * 1e3)) * 1_000n

const hour = 3_600_000

/** `open`: without bounds the range is all time; otherwise the last hour. */
const range = (given: SpanFilter, open: boolean) =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const to = yield* instant("endTime", given.endTime, open ? latest : now + 1)
    const from = yield* instant("startTime", given.startTime, open ? earliest : to - hour)
    if (to < from) return yield* invalid("endTime", "lies before startTime: swap them")
    return { from: nanos(from), to: nanos(to) }
  })

const textOf = (field: string, value: unknown, most: number): Effect.Effect<string | undefined, HistoryError> =>
  value === undefined
    ? Effect.succeed(undefined)
    : typeof value !== "string"
    ? invalid(field, "must be text")
    : value.length > most
    ? invalid(field, `has ${value.length} characters: use at most ${most}`)
    : Effect.succeed(value)

const durationOf = (field: string, value: Duration.Input | undefined): Effect.Effect<bigint | undefined, HistoryError> => {
  if (value === undefined) return Effect.succeed(undefined)
  const duration = Duration.fromInput(value)
  if (duration._tag === "None") return invalid(field, "is not a duration: write \"250 millis\" or milliseconds")
  const millis = Duration.toMillis(duration.value)
  if (millis < 0) return invalid(field, "is negative: durations are 0 or more")
  return Effect.succeed(millis > latest ? 2n ** 63n - 1n : Duration.toNanosUnsafe(duration.value))
}

const kinds: ReadonlyArray<string> = ["internal", "server", "client", "producer", "consumer"]

export const filter = (given: SpanFilter, options: { readonly open: boolean }): Effect.Effect<Filter, HistoryError> =>
  Effect.gen(function*() {
    const { from, to } = yield* range(given, options.open)
    const minDuration = yield* durationOf("minDuration", given.minDuration)
    const maxDuration = yield* durationOf("maxDuration", given.maxDuration)
    if (minDuration !== undefined && maxDuration !== undefined && maxDuration < minDuration) {
      return yield* invalid("maxDuration", "is below minDuration: swap them")
    }
    const { kind, status } = given
    if (status !== undefined && status !== "OK" && status !== "ERROR") return yield* invalid("status", "must be \"OK\" or \"ERROR\"")
    if (kind !== undefined && !kinds.includes(kind)) return yield* invalid("kind", `must be one of ${kinds.join(", ")}`)
    const entries = Object.entries(given.attributes ?? {})
    if (entries.length > 16) return yield* invalid("attributes", `has ${entries.length} entries: use at most 16`)
    const attributes: Array<readonly [string, string]> = []
    for (const [key, value] of entries) attributes.push([key, yield* valueOf(`attributes.${key.slice(0, 40)}`, value)])
    const text = yield* textOf("text", given.text, 256)
    return {
      serviceName: yield* textOf("serviceName", given.serviceName, 255),
      resource: yield* resourceTests(given.resource),
      operation: yield* textOf("operation", given.operation, 4_096),
      kind,
      failed: status === undefined ? undefined : status === "ERROR",
      minDuration,
      maxDuration,
      attributes,
      text: text === undefined || text === "" ? undefined : lower(text),
      from,
      to
    }
  })

/** An attribute's value as a filter compares it: as text. */
const valueOf = (field: string, value: unknown): Effect.Effect<string, HistoryError> =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? Effect.succeed(String(value))
    : invalid(field, "must be text, a number or a boolean")

/** A to Z only: the same in every locale. */
export const lower = (text: string): string => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())

// --------------------------------------------------------------------------------------------------------------------- pages

export interface Search {
  readonly filter: Filter
  readonly order: "newest" | "oldest" | "slowest"
  readonly limit: number
  /** The last trace of the page before: its start or duration in nanoseconds, and its id. */
  readonly after: { readonly key: bigint; readonly traceId: string } | undefined
}

export const search = (query: SearchTracesQuery): Effect.Effect<Search, HistoryError> =>
  Effect.gen(function*() {
    const order = query.order ?? "newest"
    if (order !== "newest" && order !== "oldest" && order !== "slowest") return yield* invalid("order", "must be \"newest\", \"oldest\" or \"slowest\"")
    let after: Search["after"]
    if (query.cursor !== undefined) {
      const found = /^(newest|oldest|slowest)\.(-?\d{1,19})\.([0-9a-f]{32})$/.exec(String(query.cursor))
      if (found === null || found[1] !== order) return yield* invalid("cursor", "is not one of this question: pass the `cursor` of the page before, with the same order")
      after = { key: BigInt.asIntN(64, BigInt(found[2]!)), traceId: found[3]! }
    }
    return { filter: yield* filter(query, { open: true }), order, limit: clamped(query.limit, 1, 1_000, 20), after }
  })

export const cursor = (order: Search["order"], key: bigint, traceId: string): string => `${order}.${key}.${traceId}`

/** Every page of a search, one after the other. */
export const stream = (
  searchTraces: TraceHistory["Service"]["searchTraces"]
) =>
(query: SearchTracesQuery = {}): Stream.Stream<TraceSummary, HistoryError> =>
  Stream.paginate(query, (page) =>
    Effect.map(searchTraces(page), ({ cursor, traces }) =>
      [traces, cursor === undefined ? Option.none() : Option.some({ ...query, cursor })] as const))

// -------------------------------------------------------------------------------------------------------------------- latency

export interface LatencyQuestion {
  readonly filter: Filter
  /** Nanoseconds. */
  readonly step: bigint
  readonly steps: number
  readonly quantiles: ReadonlyArray<number>
}

const maxSteps = 2_000

export const latency = (query: LatencyQuery): Effect.Effect<LatencyQuestion, HistoryError> =>
  Effect.gen(function*() {
    const checked = yield* filter(query, { open: false })
    const length = checked.to - checked.from
    const asked = yield* durationOf("step", query.step)
    const least = length / BigInt(maxSteps) + 1n
    const wanted = asked ?? (length / 60n > 1_000_000_000n ? length / 60n : 1_000_000_000n)
    if (wanted <= 0n) return yield* invalid("step", "is 0: use a second or more")
    const step = wanted < least ? least : wanted
    const quantiles = query.quantiles ?? [0.5, 0.9, 0.99]
    if (quantiles.length > 10 || !quantiles.every((one) => one >= 0 && one <= 1)) {
      return yield* invalid("quantiles", "must be at most 10 numbers from 0 to 1")
    }
    return { filter: checked, step, steps: Number((length + step - 1n) / step), quantiles }
  })

// ---------------------------------------------------------------------------------------------------------------- differences

export interface DiffersQuestion {
  readonly among: Filter
  readonly selection: Filter
  readonly limit: number
  readonly ignore: ReadonlySet<string>
}

/** They say that a span failed, or how long it took, in other words. */
const symptoms = [
  "error", "error.type", "error_id", "error.message", "otel.status_code", "exception.type", "exception.message", "exception.stacktrace"
]

export const differs = (query: DiffersQuery): Effect.Effect<DiffersQuestion, HistoryError> =>
  Effect.gen(function*() {
    if (typeof query.selection !== "object" || query.selection === null) return yield* invalid("selection", "is missing: say which spans stand out")
    const among = yield* prefixed("among", filter(query.among ?? {}, { open: false }))
    const selection = yield* prefixed("selection", filter(query.selection, { open: true }))
    const ignore = new Set(query.ignore ?? [])
    for (const [key] of [...selection.attributes, ...among.attributes]) ignore.add(key)
    if (selection.failed === true) for (const key of symptoms) ignore.add(key)
    for (const side of [selection, among]) {
      if (side.serviceName !== undefined) ignore.add("service.name")
      if (side.operation !== undefined) ignore.add("span.name")
    }
    return { among, selection, limit: clamped(query.limit, 1, 100, 20), ignore }
  })

const prefixed = <A>(field: string, effect: Effect.Effect<A, HistoryError>): Effect.Effect<A, HistoryError> =>
  Effect.mapError(effect, (error) => new HistoryError({ reason: error.reason, message: `${field}.${error.message}` }))

// ------------------------------------------------------------------------------------------------------------------- deletion

export const traceId = (id: unknown): Effect.Effect<string, HistoryError> =>
  typeof id === "string" && /^[0-9a-fA-F]{32}$/.test(id)
    ? Effect.succeed(id.toLowerCase())
    : invalid("traceId", `is ${JSON.stringify(String(id).slice(0, 40))}: pass the trace's 32 hex digits`)

export type Deletion =
  | { readonly _tag: "Trace"; readonly traceId: string }
  | { readonly _tag: "Attribute"; readonly key: string; readonly value: string }
  | { readonly _tag: "Service"; readonly serviceName: string; readonly instance: string | undefined; readonly env: string | undefined }

/** An empty word deletes nothing: it is refused. */
export const deletion = (what: TraceDeletion): Effect.Effect<Deletion, HistoryError> =>
  Effect.gen(function*() {
    const named = (["traceId", "attribute", "serviceName"] as const).filter((field) => field in what)
    if (named.length !== 1) return yield* invalid("what", "must name exactly one of traceId, attribute and serviceName")
    if ("traceId" in what) return { _tag: "Trace", traceId: yield* traceId(what.traceId) }
    if ("attribute" in what) {
      const { key, value } = what.attribute
      if (typeof key !== "string" || key === "") return yield* invalid("attribute.key", "is empty: pass the attribute's key")
      return { _tag: "Attribute", key, value: yield* valueOf("attribute.value", value) }
    }
    const serviceName = yield* textOf("serviceName", what.serviceName, 255)
    if (serviceName === undefined || serviceName === "") return yield* invalid("serviceName", "is empty: pass the service's name")
    return {
      _tag: "Service",
      serviceName,
      instance: yield* textOf("instance", what.instance, 255),
      env: yield* textOf("env", what.env, 255)
    }
  })
