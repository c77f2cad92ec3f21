import type { SpanData } from "@effect-observability/core"
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { shop } from "../../bench/support/spanData.ts"
import * as Session from "../../src/internal/session.ts"
import { Shapes } from "../../src/spans/Shapes.ts"
import * as SpanPacker from "../../src/spans/SpanPacker.ts"
import { forgetTemplates } from "../../src/spans/SpanWorker.ts"
import { ask, Database, freshNames, historyOf, startProcess } from "../support/database.ts"
import { span } from "../support/spans.ts"

const map = (record: Record<string, unknown>) => new Map(Object.entries(record))

describe("lines and templates", () => {
  it("a template has the keys, and after a while what never changes", () => {
    const shapes = new Shapes(new Set(["user"]))
    for (let i = 0; i < 64; i++) assert.strictEqual(shapes.write("op", map({ sql: "select %", n: i, user: "ada" })), `"select %"\t${i}\t"ada"`)
    assert.strictEqual(shapes.template!.text, `{"sql":%s,"n":%s,"user":%s}`)
    assert.strictEqual(shapes.write("op", map({ sql: "select %", n: 64, user: "ada" })), `64\t"ada"`)
    assert.strictEqual(shapes.template!.text, `{"sql":"select %%","n":%s,"user":%s}`)
    // Another value is written out, and after enough of them the old one is no longer taken for constant.
    assert.strictEqual(shapes.write("op", map({ sql: "update", n: 65, user: "ada" })), `"update"\t65\t"ada"`)
    assert.strictEqual(shapes.template!.text, `{"sql":%s,"n":%s,"user":%s}`)
    for (let i = 0; i < 300; i++) shapes.write("op", map({ sql: "update", n: i, user: "ada" }))
    assert.strictEqual(shapes.write("op", map({ sql: "update", n: 1, user: "ada" })), `1\t"ada"`)
    // Keys are told apart by their order too, and what is undefined is left out.
    assert.strictEqual(shapes.write("op", map({ n: 1, gone: undefined, sql: "update" })), `1\t"update"`)
    assert.strictEqual(shapes.template!.text, `{"n":%s,"sql":%s}`)
  })

  it("what would make too many templates is written in full", () => {
    const shapes = new Shapes(new Set())
    const templates = new Set<string | undefined>()
    for (let i = 0; i < 5_000; i++) {
      const line = shapes.write(`op ${i % 400}`, map({ [`key ${i}`]: i }))
      assert.strictEqual(line, shapes.template === undefined ? `{"key ${i}":${i}}` : String(i))
      templates.add(shapes.template?.text)
    }
    assert.isAtMost(templates.size, 1_001)
    assert.strictEqual(shapes.write("wide", new Map(Array.from({ length: 65 }, (_, i) => [`k${i}`, 1]))).slice(0, 8), "{\"k0\":1,")
  })
})

const withSession = <A, E>(target: Session.Target, use: (session: Session.Session) => Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(Session.open(target, 60_000), use, (session) => session.close)

/** Rows as versions before migration 5 wrote them. */
const asBefore = (schema: string, which: string): string =>
  `update ${schema}.obs_trace_part p set parent_ids = o.parent_ids, operations = o.operations, starts = o.starts, durations = o.durations, statuses = o.statuses,
    attributes = o.attributes, numbers = null, strangers = null, texts = null
  from (
    select part_id, array_agg(parent_id order by place) as parent_ids, array_agg(operation order by place) as operations,
      array_agg(start_ns order by place) as begins, array_agg(duration order by place) as durations, array_agg(status order by place) as statuses,
      array_agg(attributes order by place) as attributes, null::int8[] as starts
    from ${schema}.obs_hot_span group by part_id) h
  cross join lateral (
    select h.parent_ids, h.operations, (select array_agg(b - q.start_ns order by i) from unnest(h.begins) with ordinality as u(b, i)) as starts, h.durations, h.statuses, h.attributes
    from ${schema}.obs_trace_part q where q.id = h.part_id) o
  where p.id = h.part_id and ${which}`

layer(Database.layer, { excludeTestServices: true, timeout: "60 seconds" })("rows of both forms", (it) => {
  it.effect("are the same to every reader, hot and packed", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const history = yield* historyOf(target, names)
      const { trace } = shop(11)
      const begin = BigInt(Date.now() - 3_600_000) * 1_000_000n
      const traces = Array.from({ length: 300 }, (_, i) => trace(begin + BigInt(i) * 1_000_000n))
      const odd: ReadonlyArray<SpanData> = [
        // A parent elsewhere, one that is none, times that do not fit, nothing at all.
        span({ traceId: "1".repeat(32), parentSpanId: "00000000000000ab", attributes: map({ "100%": "50%", "%s": ["%s", "\t\n"] }) }),
        span({ traceId: "1".repeat(32), parentSpanId: "not an id", startTime: begin, endTime: begin + 3_000_000_000n, status: "ok", weight: 2.5, traceState: "a=b" }),
        span({ traceId: "2".repeat(32), startTime: begin, endTime: begin - 5_000_000_000n, droppedAttributes: 1, droppedEvents: 2, droppedLinks: 3 })
      ]
      const all = [...traces.flat(), ...odd]
      for (let from = 0, n = 1; from < all.length; from += 500, n++) yield* process.exportSpans(n, ...(all.slice(from, from + 500) as [SpanData]))
      assert.deepStrictEqual(yield* ask(target, `select count(*) filter (where numbers is null)::int4 as old from ${names.schema}.obs_trace_part`), [{ old: 0 }])
      // The query text of an operation is the same in all its spans: it went into the template.
      const sql = "SELECT id, email, locale FROM users WHERE id = $1"
      assert.isAbove((yield* ask(target, `select 1 from ${names.schema}.obs_shape where position($1 in template) > 0`, [sql])).length, 0)
      assert.deepStrictEqual(yield* ask(target, `select 1 from ${names.schema}.obs_shape where template ~ 'u-[0-9]'`), [])

      const user = String(traces[7]![0]!.attributes.get("user_id"))
      const answers = Effect.all({
        view: ask(target, `select * from ${names.schema}.observability_spans order by id`),
        events: ask(target, `select * from ${names.schema}.observability_span_events order by id`),
        traces: Effect.forEach([traces[7]![0]!.traceId, "1".repeat(32), "2".repeat(32)], (id) => history.getTrace(id)),
        bySql: history.searchTraces({ attributes: { "db.query.text": sql }, limit: 500 }),
        byUser: history.searchTraces({ attributes: { user_id: user } }),
        byNumber: history.searchTraces({ attributes: { "server.port": "5432.0" }, limit: 500 }),
        byPercent: history.searchTraces({ attributes: { "100%": "50%" } }),
        byText: history.searchTraces({ text: "upstream timed out", limit: 500 }),
        operations: history.operations(),
        recent: history.getRecentTraces({ limit: 50 })
      })
      const before = yield* answers
      const carrying = (key: string, value: unknown) => new Set(all.filter((one) => one.attributes.get(key) === value).map((one) => one.traceId)).size
      assert.strictEqual(before.view.length, all.length)
      assert.strictEqual(before.bySql.traces.length, carrying("db.query.text", sql))
      assert.strictEqual(before.byUser.traces.length, carrying("user_id", user))
      assert.strictEqual(before.byNumber.traces.length, carrying("server.port", 5432))
      assert.deepStrictEqual(before.byPercent.traces.map(({ traceId }) => traceId), ["1".repeat(32)])
      for (const [i, stored] of before.traces.entries()) {
        const sent = i === 0 ? traces[7]! : odd.filter((one) => one.traceId === stored!.traceId)
        const plain = (one: SpanData) => ({ ...one, serviceName: "api-service", parentSpanId: one.parentSpanId === "not an id" ? undefined : one.parentSpanId, attributes: Object.fromEntries(one.attributes) })
        const sorted = (spans: ReadonlyArray<SpanData>) => spans.map(plain).toSorted((a, b) => (a.spanId < b.spanId ? -1 : 1))
        assert.deepStrictEqual(sorted(stored!.spans), sorted(sent))
      }

      yield* ask(target, asBefore(names.schema, "p.id % 2 = 0"))
      assert.isAbove(Number((yield* ask(target, `select count(*)::int4 as n from ${names.schema}.obs_trace_part where numbers is null`))[0]!["n"]), 100)
      assert.deepStrictEqual(yield* answers, before)
      // An event of a span of each form.
      for (const [i, one] of [traces[3]![1]!, traces[4]![1]!, traces[5]![1]!, traces[6]![1]!].entries()) {
        yield* ask(target, `insert into ${names.schema}.observability_span_events (trace_id, span_id, name, timestamp, attributes)
          values ('${one.traceId}', '${one.spanId}', 'by hand ${i}', ${Number(one.startTime / 1_000_000_000n) + 1}, '{}')`)
      }
      const later = yield* answers
      assert.strictEqual(later.events.length, before.events.length + 4)
      const packed = yield* withSession(target, (session) => SpanPacker.pass(session, { names, searchable: new Set(["user_id"]), minAge: -86_400, eager: true }))
      assert.deepStrictEqual([packed.spans, packed.problems], [all.length, []])
      assert.deepStrictEqual(yield* answers, later)
    }))

  it.effect("templates go when nobody can need them", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      yield* process.exportSpans(1, span({ attributes: map({ a: 1 }) }))
      const left = Effect.map(
        Effect.andThen(withSession(target, (session) => forgetTemplates(session, names)), ask(target, `select template from ${names.schema}.obs_shape`)),
        (rows) => rows.map((row) => row["template"])
      )
      assert.deepStrictEqual(yield* left, ["{\"a\":%s}"])
      yield* ask(target, `update ${names.schema}.obs_shape set seen_at = now() - interval '6 days'`)
      // An old row that is not packed yet holds all of them.
      const old = BigInt(Date.now() - 4 * 86_400_000) * 1_000_000n
      yield* process.exportSpans(2, span({ startTime: old, endTime: old, attributes: map({ b: 1 }) }))
      assert.deepStrictEqual((yield* left).length, 2)
      yield* withSession(target, (session) => SpanPacker.pass(session, { names, searchable: new Set(), minAge: 0, eager: true }))
      assert.deepStrictEqual(yield* left, ["{\"b\":%s}"])
    }))
})
