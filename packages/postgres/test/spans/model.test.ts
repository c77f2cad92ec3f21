import { MemoryHistory, type SpanData, type SpanFilter, type StoredSpan, type TraceHistory } from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Session from "../../src/internal/session.ts"
import * as SpanPacker from "../../src/spans/SpanPacker.ts"
import { mulberry32, shop } from "../../bench/support/spanData.ts"
import { ask, Database, freshNames, historyOf, resource, startProcess } from "../support/database.ts"

/**
 * Whatever is asked, PostgreSQL answers as the plain lists of memory do: with all spans as they came, with a part of them packed,
 * and with all of them packed.
 */

const services = ["web", "store"] as const
const searchable = new Set(["tenant_id", "user_id"])
const hours = 3_600_000
/** Filters of each of the five comparisons. */
const rounds = Number(process.env["ROUNDS"] ?? 6)

/** Two services: some traces begin in one and go on in the other, some are failures, weighted or hostile. */
const make = (seed: number, traces: number): ReadonlyArray<StoredSpan> => {
  const { random, trace } = shop(seed)
  const end = Math.floor(Date.now() / 60_000) * 60_000 - hours
  return Array.from({ length: traces }).flatMap((_, n) => {
    const at = BigInt(end - Math.floor(random() * 30 * hours)) * 1_000_000n + BigInt(Math.floor(random() * 1e6))
    const cut = random() < 0.4 ? 2 : 100
    return trace(at).map((span, i): StoredSpan => ({
      ...span,
      // jsonb keeps keys in an order of its own.
      attributes: new Map([...span.attributes, ...extra(n, i)].sort(([a], [b]) => a.length - b.length || (a < b ? -1 : 1))),
      weight: n % 7 === 0 ? 1 / 0.3 : 1,
      traceState: n % 11 === 0 ? "vendor=\"quoted\\\"" : "",
      droppedAttributes: n % 13 === 0 ? 3 : 0,
      links: n % 17 === 0 ? [{ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", attributes: { n: i } }] : [],
      serviceName: i < cut ? services[0] : services[1]
    }))
  })
}

const extra = (n: number, i: number): ReadonlyArray<readonly [string, unknown]> =>
  n % 19 === 0
    ? [["quo\"te\\\n", "line\nfeed\t\"quoted\" {not: json}, [1]"], ["empty", ""], ["list", ["a", 1, null, { deep: [] }]], ["number", 15_000_000_000.25], ["größe", "Ünïcode 🎉"], ["n", i]]
    : []

const span = ({ serviceName: _, ...rest }: StoredSpan): SpanData => rest

const store = (target: Session.Target, names: ReturnType<typeof freshNames>, all: ReadonlyArray<StoredSpan>) =>
  Effect.forEach(services, (service) =>
    Effect.gen(function*() {
      const process = yield* startProcess(target, names, { service })
      const mine = all.filter((one) => one.serviceName === service).map(span)
      // Batches cut traces anywhere.
      for (let from = 0, number = 1; from < mine.length; from += 137, number++) {
        yield* process.exportSpans(number, ...(mine.slice(from, from + 137) as [SpanData]))
      }
    }))

const pack = (target: Session.Target, names: ReturnType<typeof freshNames>, more: Partial<SpanPacker.PackerOptions> = {}) =>
  Effect.acquireUseRelease(
    Session.open(target, 60_000),
    (session) => SpanPacker.pass(session, { names, searchable, minAge: 0, eager: true, ...more }),
    (session) => session.close
  )

const filters = (all: ReadonlyArray<StoredSpan>, random: () => number): ReadonlyArray<SpanFilter> => {
  const pick = <A>(from: ReadonlyArray<A>): A => from[Math.floor(random() * from.length)]!
  const starts = all.map((one) => Number(one.startTime / 1_000_000n))
  const least = Math.min(...starts)
  const most = Math.max(...starts)
  return Array.from({ length: rounds }, (): SpanFilter => {
    const some = pick(all)
    const attribute = pick([...some.attributes].filter(([, value]) => typeof value !== "object"))
    const from = least + random() * (most - least)
    return {
      ...(random() < 0.3 ? { serviceName: some.serviceName } : {}),
      ...(random() < 0.3 ? { operation: some.name } : {}),
      ...(random() < 0.1 ? { kind: some.kind } : {}),
      ...(random() < 0.2 ? { status: pick(["OK", "ERROR"] as const) } : {}),
      ...(random() < 0.2 ? { minDuration: `${Math.floor(random() * 40)} millis` as const } : {}),
      ...(random() < 0.1 ? { maxDuration: `${40 + Math.floor(random() * 40)} millis` as const } : {}),
      ...(random() < 0.4 && attribute !== undefined ? { attributes: { [attribute[0]]: attribute[1] as string } } : {}),
      ...(random() < 0.15 ? { text: pick(["ORDERS", "50", "u-1", "connection RESET", "%", "_", "quo\"te\\", "Ünï", "tenant_id", "[1]"]) } : {}),
      ...(random() < 0.4 ? { startTime: from, endTime: from + random() * (most - from) } : {})
    }
  })
}

/** Floating point sums depend on their order. */
const rounded = (value: unknown): unknown =>
  typeof value === "number"
    ? Number(value.toPrecision(9))
    : Array.isArray(value)
    ? value.map(rounded)
    : typeof value === "object" && value !== null && !(value instanceof Map)
    ? Object.fromEntries(Object.entries(value).map(([key, one]) => [key, rounded(one)]))
    : value

const same = (what: string, actual: unknown, expected: unknown) => assert.deepStrictEqual(rounded(actual), rounded(expected), what)

/** Every question, to both. */
const compare = (stored: TraceHistory["Service"], memory: TraceHistory["Service"], all: ReadonlyArray<StoredSpan>, seed: number) =>
  Effect.gen(function*() {
    const random = mulberry32(seed)
    const ids = [...new Set(all.map((one) => one.traceId))]
    for (const id of ids.filter((_, i) => i % 9 === 0)) {
      const order = (trace: { readonly spans: ReadonlyArray<StoredSpan> } | undefined) => trace?.spans.toSorted((a, b) => (a.spanId < b.spanId ? -1 : 1))
      same(`trace ${id}`, order(yield* stored.getTrace(id)), order(yield* memory.getTrace(id)))
    }
    const recent = [
      {}, { limit: 1 }, { limit: 200 }, { status: "ERROR" }, { status: "ERROR", limit: 1 }, { status: "ERROR", limit: 200 }, { status: "OK", limit: 7 },
      { serviceName: "store", limit: 33 }, { serviceName: "store", limit: 1 }, { serviceName: "store", status: "ERROR" }, { serviceName: "store", status: "OK", limit: 3 },
      { serviceName: "web", status: "ERROR", limit: 2 }, { serviceName: "none" }, { serviceName: "none", status: "ERROR" }
    ] as const
    for (const query of recent) {
      same(`recent ${JSON.stringify(query)}`, yield* stored.getRecentTraces(query), yield* memory.getRecentTraces(query))
    }
    for (const filter of filters(all, random)) {
      const shown = JSON.stringify(filter)
      for (const order of ["newest", "oldest", "slowest"] as const) {
        const query = { ...filter, order, limit: 1 + Math.floor(random() * 30) }
        const page = yield* stored.searchTraces(query)
        same(`${order} ${shown}`, page, yield* memory.searchTraces(query))
        if (page.cursor === undefined) continue
        const next = { ...query, cursor: page.cursor }
        same(`second page, ${order} ${shown}`, yield* stored.searchTraces(next), yield* memory.searchTraces(next))
      }
      const range = { startTime: Date.now() - 40 * hours, endTime: Date.now(), ...filter }
      same(`latency ${shown}`, yield* stored.latency({ ...range, step: "3 hours" }), yield* memory.latency({ ...range, step: "3 hours" }))
      const query = { among: { ...range }, selection: { status: "ERROR" }, limit: 5 } as const
      const [mine, theirs] = [yield* stored.whatDiffers(query), yield* memory.whatDiffers(query)]
      same(`what differs ${shown}`, mine.differences.map(({ key, score, value }) => [key, value, score.toPrecision(6)]), theirs.differences.map(({ key, score, value }) => [key, value, score.toPrecision(6)]))
      same(`compared ${shown}`, [mine.selected, mine.rest], [theirs.selected, theirs.rest])
    }
    const day = { startTime: Date.now() - 40 * hours, endTime: Date.now() }
    same("operations", yield* stored.operations(day), yield* memory.operations(day))
    same("operations of one", yield* stored.operations({ ...day, serviceName: "store", limit: 3 }), yield* memory.operations({ ...day, serviceName: "store", limit: 3 }))
    same("dependencies", yield* stored.dependencies(day), yield* memory.dependencies(day))
  })

/** Everything the views show, whatever is behind them. */
const shown = (target: Session.Target, schema: string) =>
  Effect.forEach(["observability_spans", "observability_span_events"], (view) =>
    Effect.map(
      ask(target, `select count(*)::int8 as n, md5(string_agg(v::text, '|' order by id)) as rows from ${schema}.${view} v`),
      (rows) => [Number(rows[0]!["n"]), rows[0]!["rows"]]
    ))

layer(Database.layer, { excludeTestServices: true, timeout: "120 seconds" })("traces in PostgreSQL and in memory", (it) => {
  it.effect("every question has the same answer, before, during and after packing", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const seed = Number(process.env["SEED"] ?? Date.now() % 100_000)
      const all = make(seed, 110)
      let kept = [...all]
      const memory = MemoryHistory.ofSpans({
        spans: () => kept,
        keep: (spans) => {
          kept = spans
        },
        resource
      })
      yield* store(target, names, all)
      const history = yield* historyOf(target, names)
      yield* Effect.gen(function*() {
        const before = yield* shown(target, names.schema)
        assert.strictEqual(before[0]![0], all.length)
        yield* compare(history, memory, all, seed)
        // Only what is older than 20 hours, in small chunks: the views see both kinds.
        const some = yield* pack(target, names, { minAge: 20 * 3_600, chunkSpans: 300 })
        assert.deepStrictEqual(some.problems, [])
        // One or two days, by the time of day.
        assert.isAtLeast(some.chunks, 1)
        assert.isBelow(some.spans, all.length)
        assert.deepStrictEqual(yield* shown(target, names.schema), before)
        yield* compare(history, memory, all, seed + 1)
        const rest = yield* pack(target, names)
        assert.strictEqual(some.spans + rest.spans, all.length)
        assert.deepStrictEqual(yield* ask(target, `select 1 from ${names.schema}.obs_trace_part limit 1`), [])
        assert.deepStrictEqual(yield* shown(target, names.schema), before)
        yield* compare(history, memory, all, seed + 2)

        // Deletion, from packed rows and rows that are not.
        const [one] = all
        const deletions = [
          { traceId: one!.traceId },
          { attribute: { key: "tenant_id", value: "tenant-7" } },
          { attribute: { key: "cache.name", value: "sessions" } },
          { serviceName: "store" },
          { traceId: one!.traceId }
        ]
        for (const what of deletions) {
          same(`deleting ${JSON.stringify(what)}`, yield* history.deleteTraces(what), yield* memory.deleteTraces(what))
          assert.strictEqual((yield* shown(target, names.schema))[0]![0], kept.length)
        }
        yield* compare(history, memory, kept, seed + 3)
        assert.deepStrictEqual((yield* pack(target, names)).problems, [])
        yield* compare(history, memory, kept, seed + 4)
      }).pipe(Effect.tapCause(() => Effect.sync(() => console.error(`again with SEED=${seed}`))))
    }), 600_000)
})
