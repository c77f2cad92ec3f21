import type { SpanData } from "@effect-observability/core"
import { assert, describe, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { shop } from "../../bench/support/spanData.ts"
import * as Session from "../../src/internal/session.ts"
import * as SpanPacker from "../../src/spans/SpanPacker.ts"
import { ask, freshNames, startProcess, targetOf } from "../support/database.ts"
import { controlledServer, seeded } from "./support.ts"

/**
 * Spans while they are packed: whatever kills the server, its backends or the packer, at whatever moment, every span is there
 * once, before, during and after. FAULT_ROUNDS=200 makes a soak of it.
 */
const seed = Number(process.env["FAULT_SEED"] ?? Date.now() % 1_000_000)
const rounds = Number(process.env["FAULT_ROUNDS"] ?? 6)
/** Traces written before every round, so that there is always something to pack. */
const traces = 120
const chunkSpans = 60

describe("faults while spans are packed: nothing lost, nothing doubled", () => {
  it.live(`P20: killed ${rounds} times, at random moments, by two packers at once`, () =>
    Effect.gen(function*() {
      const server = yield* controlledServer
      const target = targetOf(server.url)
      const names = freshNames()
      const random = seeded(seed)
      const { trace } = shop(seed)
      let written = 0
      const write = Effect.scoped(Effect.gen(function*() {
        const spans: Array<SpanData> = []
        const end = Date.now() - 3_600_000
        for (let n = 0; n < traces; n++) spans.push(...trace(BigInt(end - random.below(100_000_000)) * 1_000_000n))
        const process = yield* startProcess(target, names)
        for (let from = 0, number = 1; from < spans.length; from += 100, number++) {
          yield* process.exportSpans(number, ...(spans.slice(from, from + 100) as [SpanData]))
        }
        written += spans.length
      }))
      const seen = ask(target, `select count(*)::int4 as n, count(distinct id)::int4 as ids, md5(string_agg(v::text, '|' order by id)) as rows
        from ${names.schema}.observability_spans v`)
      let before: Effect.Success<typeof seen> = []
      const whole = (when: string) => Effect.map(seen, (now) => assert.deepStrictEqual(now, before, when))

      const packs = Effect.acquireUseRelease(
        Session.open(target, 30_000),
        (session) => SpanPacker.pass(session, { names, searchable: new Set(["tenant_id"]), minAge: 0, eager: true, chunkSpans }),
        (session) => session.close
      )
      const ends = [server.kill9, server.killPostmaster, server.shutdown("immediate")]
      let cut = 0
      /** Milliseconds within which the fault comes: halved while it comes too late. */
      let window = 300
      for (let round = 0; round < rounds; round++) {
        yield* write
        before = yield* seen
        assert.deepInclude(before[0], { n: written, ids: written })
        const packers = yield* Effect.forEach([1, 2], () => Effect.forkChild(Effect.exit(packs), { startImmediately: true }))
        yield* Effect.sleep(Duration.millis(random.between(1, window)))
        // Whoever reads in the middle of it sees everything once.
        if (random.below(3) === 0) yield* whole(`read while packing, round ${round}`)
        const kind = random.below(5)
        if (kind === 0) yield* server.terminateBackends
        else if (kind === 1) yield* Effect.forEach(packers, Fiber.interrupt)
        else {
          yield* ends[kind - 2]!
          yield* server.restart
        }
        const exits = yield* Effect.forEach(packers, Fiber.await)
        const caught = exits.filter((exit) => exit._tag === "Failure" || exit.value._tag === "Failure").length
        if (caught === 0) window = Math.max(10, window / 2)
        cut += caught
        yield* whole(`after round ${round}`)
      }
      assert.isAbove(cut, 0, "no packer was cut off: the test tested nothing")
      const last = yield* packs
      assert.deepStrictEqual(last.problems, [])
      yield* whole("in the end")
      assert.deepStrictEqual(yield* ask(target, `select 1 from ${names.schema}.obs_trace_part limit 1`), [], "all of it is packed")
    }).pipe(Effect.tapCause(() => Console.error(`again with FAULT_SEED=${seed}`))), Math.max(120_000, rounds * 15_000))
})
