import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Session from "../../src/internal/session.ts"
import * as SpanPacker from "../../src/spans/SpanPacker.ts"
import { ask, Database, freshNames, historyOf, startProcess } from "../support/database.ts"
import { span } from "../support/spans.ts"

const columns = `id, trace_id, span_id, parent_span_id, name, kind, service_name, start_time, end_time, duration, status, status_message, attributes, timestamp`

layer(Database.layer, { excludeTestServices: true })("rows written by hand", (it) => {
  it.effect("come back from the views and the history as they went in, hot and packed", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      yield* startProcess(target, names)
      const history = yield* historyOf(target, names)
      const t = `${names.schema}.observability_`
      const when = new Date(Math.floor(Date.now() / 1_000) * 1_000 - 20 * 86_400_000)
      const day = when.toISOString()
      yield* ask(target, `insert into ${t}spans (trace_id, span_id, parent_span_id, name, kind, service_name, start_time, end_time, duration, status, status_message, attributes, timestamp)
        values
          ('0AF76519-16cd-43dd-8448-eb211c80319c', 'B7AD6B7169203331', null, 'GET /', 'SERVER', 'api-service', 1709632800.5, 1709632800.75, 0.25, 'OK', null, '{"user": {"id": 7}, "n": 1.50}', '${day}'),
          ('0af7651916cd43dd8448eb211c80319c', '00000000000000aa', 'b7ad6b7169203331', 'O''Brien "x"', 'client', 'api-service', 1709632800.5, null, null, 'error', 'bad: line\\nbreak', null, '${day}')`)
      yield* ask(target, `insert into ${t}span_events (trace_id, span_id, name, timestamp, attributes)
        values ('0af7651916cd43dd8448eb211c80319c', '00000000000000aa', 'exception', 1709632800.625, '{"exception.type": "Error"}'),
          ('0af7651916cd43dd8448eb211c80319c', '00000000000000aa', 'retry', 1709632800.75, null)`)
      const read = Effect.all([
        ask(target, `select ${columns} from ${t}spans order by id`),
        ask(target, `select * from ${t}span_events order by id`),
        ask(target, `select ${columns} from ${names.schema}.spans_range('${day}', timestamptz '${day}' + interval '1 second') order by id`),
        history.getTrace("0af7651916cd43dd8448eb211c80319c")
      ])
      const [spans, events, inRange, trace] = yield* read
      // A double of today's seconds holds a quarter of a microsecond.
      const near = (value: unknown) => (typeof value === "number" ? Number(value.toFixed(6)) : value)
      assert.deepStrictEqual(spans.map(({ id: _, timestamp, ...row }) => [Object.values(row).map(near), (timestamp as Date).toISOString()]), [
        [["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", null, "GET /", "SERVER", "api-service", 1709632800.5, 1709632800.75, 0.25, "OK", null, { n: 1.5, user: { id: 7 } }], when.toISOString()],
        [["0af7651916cd43dd8448eb211c80319c", "00000000000000aa", "b7ad6b7169203331", "O'Brien \"x\"", "CLIENT", "api-service", 1709632800.5, 1709632800.5, 0, "ERROR", "bad: line\\nbreak", {}], when.toISOString()]
      ])
      assert.deepStrictEqual(events.map((row) => [row["span_id"], row["name"], near(row["timestamp"]), row["attributes"]]), [
        ["00000000000000aa", "exception", 1709632800.625, { "exception.type": "Error" }], ["00000000000000aa", "retry", 1709632800.75, {}]
      ])
      assert.deepStrictEqual(inRange, spans)
      assert.deepStrictEqual(trace!.spans.map((one) => [one.name, one.status, one.events.length]).sort(), [["GET /", "ok", 0], ["O'Brien \"x\"", "error", 2]])
      // The same operation as one that was recorded.
      const process = yield* startProcess(target, names)
      yield* process.exportSpans(1, span({ name: "GET /", kind: "server" }))
      assert.strictEqual((yield* ask(target, `select 1 from ${names.schema}.obs_operation where name = 'GET /'`)).length, 1)

      const packed = yield* Effect.acquireUseRelease(
        Session.open(target, 60_000),
        (session) => SpanPacker.pass(session, { names, searchable: new Set(), minAge: 0, eager: true }),
        (session) => session.close
      )
      assert.deepStrictEqual([packed.spans, packed.problems], [3, []])
      const after = yield* read
      assert.deepStrictEqual(after.map((rows) => (Array.isArray(rows) ? rows.slice(0, 2) : rows)), [spans, events, inRange, trace])
      const late = yield* Effect.flip(ask(target, `insert into ${t}span_events (trace_id, span_id, name, timestamp) values ('0af7651916cd43dd8448eb211c80319c', '00000000000000aa', 'x', 1)`))
      assert.include(JSON.stringify(late.reason.cause), "23503")
    }))

  it.effect("that make no sense are refused, naming the column", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      yield* startProcess(target, names)
      const good = {
        trace_id: "'0af7651916cd43dd8448eb211c80319c'", span_id: "'b7ad6b7169203331'", parent_span_id: "null", name: "'x'", kind: "'SERVER'",
        service_name: "'s'", start_time: "1", end_time: "2", duration: "1", status: "'OK'", attributes: "'{}'", timestamp: "now()"
      }
      const insert = (more: Partial<Record<keyof typeof good, string>>) => {
        const row = { ...good, ...more }
        return ask(target, `insert into ${names.schema}.observability_spans (${Object.keys(row).join(", ")}) values (${Object.values(row).join(", ")})`)
      }
      const wrong: ReadonlyArray<readonly [keyof typeof good, string]> = [
        ["trace_id", "null"], ["trace_id", "'abc123'"], ["trace_id", "repeat('z', 32)"], ["span_id", "null"], ["span_id", "'12'"],
        ["span_id", "'0000000000000000'"], ["span_id", "'0af76519-16cd-43dd-8448-eb211c80319c'"], ["parent_span_id", "'x'"], ["name", "null"], ["name", "''"],
        ["kind", "'SOMETHING'"], ["kind", "null"], ["service_name", "null"], ["start_time", "null"], ["start_time", "'NaN'"], ["start_time", "1e300"],
        ["end_time", "'Infinity'"], ["duration", "'NaN'"], ["status", "'MAYBE'"], ["status", "null"], ["attributes", "'[1]'"],
        ["timestamp", "'infinity'"], ["timestamp", "'1600-01-01'"], ["timestamp", "now() + interval '1 year'"]
      ]
      for (const [column, value] of wrong) {
        const error = yield* Effect.flip(insert({ [column]: value }))
        const said = String((error.reason.cause as { readonly message?: string }).message)
        assert.include(said, column, `${column} = ${value}`)
      }
      assert.deepStrictEqual(yield* ask(target, `select count(*)::int4 as n from ${names.schema}.observability_spans`), [{ n: 0 }])
      yield* insert({})
      assert.deepStrictEqual(yield* ask(target, `select count(*)::int4 as n from ${names.schema}.observability_spans`), [{ n: 1 }])
    }))
})
