import type { ErrorData, LogData } from "@effect-observability/core"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import { ask, Database, freshNames, historyOf, resource, startProcess } from "./support/database.ts"

const now = BigInt(Date.now()) * 1_000_000n
const line: LogData = {
  time: now - 5n, level: "info", message: "about to charge", attributes: new Map<string, unknown>([["order", "o-7"]]), traceId: undefined, spanId: undefined,
  traceFlags: 0, requestId: "r-1", userId: undefined, tenantId: undefined, module: undefined, errorId: undefined, logSpans: [{ name: "check", millis: 3 }], cause: undefined
}
const error = (more: Partial<ErrorData> = {}): ErrorData => ({
  errorId: randomUUID().replaceAll("-", ""), time: now, kind: "failure", errorClass: "business", level: "warn", errorType: "Declined", message: "no funds",
  stack: "Declined: no funds\n    at charge (charge.ts:1:2)",
  causes: [
    { type: "Declined", message: "no funds", stack: undefined, parent: undefined },
    { type: "Error", message: "why", stack: "Error: why", parent: 0 }
  ],
  fingerprint: "0123456789abcdef", spanNames: ["charge", "checkout"], traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", sampled: true,
  requestId: "r-1", userId: "ada", tenantId: "acme", module: "billing", attributes: new Map<string, unknown>([["n", 42], ["ok", true]]), handled: true,
  breadcrumbs: [line], ...more
})
const range = { startTime: Date.now() - 3_600_000, endTime: Date.now() + 3_600_000 }

layer(Database.layer, { excludeTestServices: true })("errors in PostgreSQL", (it) => {
  it.effect("come back as they were, once, whatever is sent again", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const history = yield* historyOf(target, names)
      const first = error()
      const second = error({ repeats: 9, alert: true, time: now + 1n, traceId: undefined, spanId: undefined, stack: undefined, userId: undefined })
      const batch = [first, second] as const
      yield* process.errors.export(batch, { number: 1, attempt: 1 })
      // The same batch again, and a late attempt of one that was given up.
      yield* process.errors.export(batch, { number: 1, attempt: 2 })
      yield* process.errors.giveUp!({ number: 2, attempt: 1 })
      const stored = (one: ErrorData) => ({ ...one, serviceName: resource.service })
      const { errors } = yield* history.searchErrors(range)
      assert.deepStrictEqual(errors, [stored(second), stored(first)])
      assert.deepStrictEqual(yield* history.getError(first.errorId.toUpperCase()), stored(first))
      const [group] = yield* history.errorGroups(range)
      assert.deepStrictEqual([group!.count, group!.lastErrorId, group!.serviceName], [11, second.errorId, resource.service])
      const rows = yield* ask(target, `select type, count, service_name, env, attributes, user_id from ${names.schema}.observability_errors order by timestamp, count`)
      assert.deepStrictEqual(rows.map((row) => [row["type"], row["count"], row["service_name"], row["env"], row["attributes"], row["user_id"]]), [
        ["Declined", 1, "api-service", "test", { n: 42, ok: true }, "ada"],
        ["Declined", 10, "api-service", "test", { n: 42, ok: true }, null]
      ])
    }))

  it.effect("hostile text and wrong clocks cost no error", () =>
    Effect.gen(function*() {
      const { target } = yield* Database
      const names = freshNames()
      const process = yield* startProcess(target, names)
      const history = yield* historyOf(target, names)
      const hostile = "nul \u0000 half \ud800 ' \" \\ %_ ); drop table x; --"
      const all = [
        error({ message: hostile, errorType: hostile, requestId: hostile, attributes: new Map<string, unknown>([[hostile, hostile], ["nan", NaN]]) }),
        error({ message: "x".repeat(100_000) }),
        error({ time: 0n, message: "of 1970" }),
        error({ time: now + 400n * 86_400_000_000_000n, message: "of next year" })
      ] as const
      yield* process.errors.export(all, { number: 1, attempt: 1 })
      for (const one of all) assert.strictEqual((yield* history.getError(one.errorId))?.errorId, one.errorId)
      assert.strictEqual((yield* history.searchErrors({ ...range, text: "drop TABLE x" })).errors.length, 1)
      assert.deepStrictEqual((yield* history.searchErrors({ startTime: 0, endTime: 1_000 })).errors.map((one) => one.message), ["of 1970"])
      const wrong = yield* Effect.flip(history.searchErrors({ text: "x".repeat(300) }))
      assert.include(wrong.message, "text")
    }))
})
