import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { type Change, make } from "../src/Live.ts"
import { ask, configOf, Database, freshNames, Requests, startProcess, targetOf } from "./support/database.ts"
import { Series4 } from "./support/frames.ts"
import { span } from "./support/spans.ts"

const frameOf = (store: Series4) => store.frame(Date.now() - 1_000, Date.now(), [{ metric: Requests, labels: { method: "GET", status: "200" }, value: 1 }])

layer(Database.layer, { excludeTestServices: true })("live changes", (it) => {
  for (const prepare of [true, false]) {
    it.effect(`are told to everyone who listens, over one connection, and again after it was lost (${prepare ? "LISTEN" : "polling"})`, () =>
      Effect.gen(function*() {
        const { target, url } = yield* Database
        const names = freshNames()
        const process = yield* startProcess(target, names)
        const mine = targetOf(url, { applicationName: `live ${names.schema}`, prepare })
        const live = yield* make(configOf(mine, names))
        const connections = Effect.map(
          ask(target, "select count(*)::int4 as n from pg_stat_activity where application_name = $1", [mine.applicationName]),
          (rows) => rows[0]!["n"] as number
        )
        assert.strictEqual(yield* connections, 0)
        const store = new Series4()
        let number = 0
        const seen: Array<Change> = []
        const consumers = yield* Effect.forEach([1, 2], () =>
          Effect.forkChild(Stream.runForEach(live.changes, (change) => Effect.sync(() => void seen.push(change)))))
        /** Stores until both consumers heard of it. */
        const told = Effect.gen(function*() {
          seen.length = 0
          for (let i = 0; i < 60; i++) {
            number++
            yield* process.exportFrames(number, frameOf(store))
            yield* process.exportSpans(number, span())
            yield* Effect.sleep("200 millis")
            const heard = (signal: string) => seen.filter((change) => change.signal === signal).length
            if (heard("metrics") >= 2 && heard("spans") >= 2) return
          }
          assert.fail(`nobody was told: ${JSON.stringify(seen)}`)
        })
        yield* told
        assert.strictEqual(yield* connections, 1)
        assert.isTrue(seen.every((change) => change.lane > 0 && change.number > 0 && change.number <= number))
        yield* ask(target, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1", [mine.applicationName])
        yield* told
        yield* Effect.forEach(consumers, Fiber.interrupt)
        for (let i = 0; i < 50 && (yield* connections) > 0; i++) yield* Effect.sleep("50 millis")
        assert.strictEqual(yield* connections, 0)
      }))
  }
})
