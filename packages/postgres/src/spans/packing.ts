import { attributeHash, textOfJson } from "./attributeHash.ts"
import { encodeColumn, members } from "./textColumn.ts"

/** Arithmetic only: rows of `obs_trace_part` in, rows of `obs_trace_pack` and `obs_span_pack` out; migration 0003 has the layout. */

export interface Part {
  readonly id: bigint
  /** The column `ts`, microseconds since the epoch. */
  readonly time: bigint
  readonly start: bigint
  readonly end: bigint
  /** 32 hex digits. */
  readonly traceId: string
  readonly lane: number
  readonly rootOperation: number
  readonly root: boolean
  readonly errors: number
  readonly spanIds: ReadonlyArray<bigint>
  readonly parentIds: ReadonlyArray<bigint>
  readonly operations: ReadonlyArray<number>
  readonly starts: ReadonlyArray<bigint>
  readonly durations: ReadonlyArray<bigint>
  readonly statuses: ReadonlyArray<number>
  readonly weights: ReadonlyArray<number> | null
  readonly lostAttributes: ReadonlyArray<number> | null
  readonly lostEvents: ReadonlyArray<number> | null
  readonly lostLinks: ReadonlyArray<number> | null
  /** JSON texts as PostgreSQL prints them, one per span. */
  readonly attributes: ReadonlyArray<string>
  readonly messages: ReadonlyArray<string | null> | null
  readonly events: ReadonlyArray<string | null> | null
  readonly links: ReadonlyArray<string | null> | null
  readonly states: ReadonlyArray<string | null> | null
}

export interface TracePack {
  readonly first: number
  readonly baseId: bigint
  readonly baseNs: bigint
  readonly ids: BigInt64Array
  readonly traceIds: ReadonlyArray<string>
  readonly starts: BigInt64Array
  readonly lengths: BigInt64Array
  readonly lanes: Int32Array
  readonly operations: Int32Array
  readonly roots: ReadonlyArray<boolean>
  readonly ends: Int32Array
  readonly errors: Int32Array
  readonly times: BigInt64Array | null
  readonly spanIds: BigInt64Array
}

export interface SpanPack {
  /** `null` when the row holds spans of several, which `operations` tells apart. */
  readonly operation: number | null
  readonly n: number
  readonly leastNs: bigint
  readonly mostNs: bigint
  readonly longest: bigint
  readonly errors: number
  readonly parts: Int16Array
  readonly places: Int16Array
  readonly parents: Int16Array
  readonly strangers: BigInt64Array | null
  readonly operations: Int32Array | null
  readonly unit: bigint
  readonly s4: Int32Array | null
  readonly s8: BigInt64Array | null
  readonly d4: Int32Array | null
  readonly d8: BigInt64Array | null
  readonly statuses: Int16Array | null
  readonly weights: Float64Array | null
  readonly lostAttributes: Int32Array | null
  readonly lostEvents: Int32Array | null
  readonly lostLinks: Int32Array | null
  readonly fixed: string
  readonly names: ReadonlyArray<string>
  readonly cols: ReadonlyArray<string>
  readonly messages: string | null
  readonly events: string | null
  readonly links: string | null
  readonly states: string | null
  readonly keys: Int32Array | null
}

/** Traces of one row of the directory. */
const partsPerRow = 256
/** Spans of one packed row. */
const spansPerRow = 256
/** Characters of one packed row's texts, about. */
const charactersPerRow = 4_000_000
/** Spans of an operation that fill a row of their own; fewer share one with others. */
const own = 24

/** Rows of the directory for `parts`, which are numbered from 1 in their order. */
export const packTraces = (parts: ReadonlyArray<Part>): ReadonlyArray<TracePack> => {
  const rows: Array<TracePack> = []
  for (let from = 0; from < parts.length; from += partsPerRow) {
    const some = parts.slice(from, from + partsPerRow)
    const baseId = least(some.map((part) => part.id))
    const baseNs = base(some.map((part) => part.start))
    let end = 0
    rows.push({
      first: from + 1,
      baseId,
      baseNs,
      ids: BigInt64Array.from(some, (part) => part.id - baseId),
      traceIds: some.map((part) => part.traceId),
      starts: BigInt64Array.from(some, (part) => part.start - baseNs),
      lengths: BigInt64Array.from(some, (part) => part.end - part.start),
      lanes: Int32Array.from(some, (part) => part.lane),
      operations: Int32Array.from(some, (part) => part.rootOperation),
      roots: some.map((part) => part.root),
      ends: Int32Array.from(some, (part) => end += part.spanIds.length),
      errors: Int32Array.from(some, (part) => part.errors),
      times: some.every((part) => part.time === part.start / 1_000n) ? null : BigInt64Array.from(some, (part) => part.time),
      spanIds: BigInt64Array.from(some.flatMap((part) => part.spanIds))
    })
  }
  return rows
}

const least = (values: ReadonlyArray<bigint>): bigint => values.reduce((a, b) => (b < a ? b : a))
const most = (values: ReadonlyArray<bigint>): bigint => values.reduce((a, b) => (b > a ? b : a))

/** What differences count from; 0 when clocks are so wrong that a difference would not fit. */
const base = (values: ReadonlyArray<bigint>): bigint => (most(values) - least(values) < 2n ** 63n ? least(values) : 0n)

/** A span by the place where it stands: part (from 0) and place in it (from 0). */
interface Place {
  readonly part: number
  readonly place: number
}

/** Rows of spans, by operation. `searchable`: keys of the attributes that get an index. */
export const packSpans = (parts: ReadonlyArray<Part>, searchable: ReadonlySet<string>): ReadonlyArray<SpanPack> => {
  const byOperation = new Map<number, Array<Place>>()
  parts.forEach((part, number) => {
    part.operations.forEach((operation, place) => {
      let places = byOperation.get(operation)
      if (places === undefined) byOperation.set(operation, places = [])
      places.push({ part: number, place })
    })
  })
  const rows: Array<SpanPack> = []
  const mixed: Array<Place> = []
  for (const [operation, places] of [...byOperation].sort(([a], [b]) => a - b)) {
    if (places.length < own) mixed.push(...places)
    else for (const some of cut(parts, places)) rows.push(packRow(parts, some, operation, searchable))
  }
  for (const some of cut(parts, mixed)) rows.push(packRow(parts, some, null, searchable))
  return rows
}

/** Even pieces, none too large. */
const cut = (parts: ReadonlyArray<Part>, places: ReadonlyArray<Place>): ReadonlyArray<ReadonlyArray<Place>> => {
  const size = Math.ceil(places.length / Math.ceil(places.length / spansPerRow))
  const pieces: Array<Array<Place>> = []
  let piece: Array<Place> = []
  let characters = 0
  for (const one of places) {
    const part = parts[one.part]!
    const length = part.attributes[one.place]!.length + (part.events?.[one.place]?.length ?? 0) + (part.links?.[one.place]?.length ?? 0)
    if (piece.length > 0 && (piece.length === size || characters + length > charactersPerRow)) {
      pieces.push(piece)
      piece = []
      characters = 0
    }
    piece.push(one)
    characters += length
  }
  if (piece.length > 0) pieces.push(piece)
  return pieces
}

const packRow = (parts: ReadonlyArray<Part>, places: ReadonlyArray<Place>, operation: number | null, searchable: ReadonlySet<string>): SpanPack => {
  const of = <A>(pick: (part: Part, place: number) => A): ReadonlyArray<A> => places.map(({ part, place }) => pick(parts[part]!, place))
  const starts = of((part, place) => part.starts[place]!)
  const durations = of((part, place) => part.durations[place]!)
  const absolute = of((part, place) => part.start + part.starts[place]!)
  const statuses = of((part, place) => part.statuses[place]!)
  const unit = commonUnit([starts, durations])
  const [s4, s8] = narrowed(starts, unit)
  const [d4, d8] = narrowed(durations, unit)
  const strangers: Array<bigint> = []
  const parents = Int16Array.from(of((part, place) => {
    const parent = part.parentIds[place]!
    if (parent === 0n) return 0
    const at = part.spanIds.indexOf(parent)
    return at >= 0 ? at + 1 : -strangers.push(parent)
  }))
  const optional = (pick: (part: Part) => ReadonlyArray<number> | null, otherwise: number) =>
    places.some(({ part }) => pick(parts[part]!) !== null) ? of((part, place) => pick(part)?.[place] ?? otherwise) : null
  const ints = (values: ReadonlyArray<number> | null) => (values === null ? null : Int32Array.from(values))
  const weights = optional((part) => part.weights, 1)
  const texts = (pick: (part: Part) => ReadonlyArray<string | null> | null) => of((part, place) => pick(part)?.[place] ?? undefined)
  const quoted = (values: ReadonlyArray<string | undefined>) => values.map((value) => (value === undefined ? undefined : JSON.stringify(value)))
  return {
    operation,
    n: places.length,
    leastNs: least(absolute),
    mostNs: most(absolute),
    longest: most(durations),
    errors: statuses.filter((status) => status === 2).length,
    parts: Int16Array.from(places, ({ part }) => part + 1),
    places: Int16Array.from(places, ({ place }) => place + 1),
    parents,
    strangers: strangers.length === 0 ? null : BigInt64Array.from(strangers),
    operations: operation === null ? Int32Array.from(of((part, place) => part.operations[place]!)) : null,
    unit,
    s4,
    s8,
    d4,
    d8,
    statuses: statuses.every((status) => status === 0) ? null : Int16Array.from(statuses),
    weights: weights === null ? null : Float64Array.from(weights),
    lostAttributes: ints(optional((part) => part.lostAttributes, 0)),
    lostEvents: ints(optional((part) => part.lostEvents, 0)),
    lostLinks: ints(optional((part) => part.lostLinks, 0)),
    ...packAttributes(of((part, place) => part.attributes[place]!), searchable),
    messages: encodeColumn(quoted(texts((part) => part.messages))),
    events: encodeColumn(texts((part) => part.events)),
    links: encodeColumn(texts((part) => part.links)),
    states: encodeColumn(quoted(texts((part) => part.states)))
  }
}

/** The largest number that divides all: clocks of microseconds or milliseconds leave zeros behind. */
const commonUnit = (columns: ReadonlyArray<ReadonlyArray<bigint>>): bigint => {
  let unit = 0n
  for (const column of columns) {
    for (const value of column) {
      unit = gcd(unit, value < 0n ? -value : value)
      if (unit === 1n) return unit
    }
  }
  return unit === 0n ? 1n : unit
}

const gcd = (a: bigint, b: bigint): bigint => {
  while (b !== 0n) [a, b] = [b, a % b]
  return a
}

const narrowed = (values: ReadonlyArray<bigint>, unit: bigint): readonly [Int32Array, null] | readonly [null, BigInt64Array] => {
  const scaled = values.map((value) => value / unit)
  return least(scaled) >= -0x8000_0000n && most(scaled) <= 0x7fff_ffffn
    ? [Int32Array.from(scaled, Number), null]
    : [null, BigInt64Array.from(scaled)]
}

/** A key that no more than one in so many spans has gets no column: a span of a thousand keys would make a thousand columns. */
const sparse = 32

/** Attributes by key: what all spans of the row share once, the rest a column each. */
const packAttributes = (objects: ReadonlyArray<string>, searchable: ReadonlySet<string>): Pick<SpanPack, "fixed" | "names" | "cols" | "keys"> => {
  const columns = new Map<string, Array<string | undefined>>()
  objects.forEach((object, i) => {
    for (const [key, value] of members(object)) {
      let column = columns.get(key)
      if (column === undefined) columns.set(key, column = Array.from({ length: objects.length }))
      column[i] = value
    }
  })
  const fixed: Array<string> = []
  const names: Array<string> = []
  const cols: Array<string> = []
  const keys = new Set<number>()
  const rest: Array<string | undefined> = Array.from({ length: objects.length })
  let rare = false
  for (const [key, values] of columns) {
    const distinct = new Set(values)
    const name = JSON.parse(key) as string
    if (searchable.has(name)) {
      for (const value of distinct) if (value !== undefined) keys.add(attributeHash(name, textOfJson(value)))
    }
    if (distinct.size === 1) fixed.push(`${key}:${values[0]}`)
    else if (!searchable.has(name) && values.filter((value) => value !== undefined).length <= values.length / sparse) {
      rare = true
      values.forEach((value, i) => {
        if (value !== undefined) rest[i] = rest[i] === undefined ? `${key}:${value}` : `${rest[i]},${key}:${value}`
      })
    } else {
      names.push(key)
      cols.push(encodeColumn(values)!)
    }
  }
  if (rare) {
    names.push("")
    cols.push(encodeColumn(rest)!)
  }
  return { fixed: fixed.join(","), names, cols, keys: keys.size === 0 ? null : Int32Array.from(keys) }
}
