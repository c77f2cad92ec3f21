import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import * as BatchProcessor from "../../src/pipe/BatchProcessor.ts"
import * as Exporter from "../../src/pipe/Exporter.ts"
import { imbalance, total } from "../../src/pipe/Ledger.ts"

// Random programs against a sink that misbehaves in every way it can, then healed. Each item has an identity: whatever happened, every
// accepted one is in the sink exactly once or has exactly one reason.

type Mode = "ok" | "down" | "hang" | "applied_then_lost" | "throw" | "partial" | "refuse_odd" | "slow"
type Step =
  | { readonly op: "offer"; readonly n: number }
  | { readonly op: "advance"; readonly millis: number }
  | { readonly op: "mode"; readonly mode: Mode }
  | { readonly op: "flush" }

interface Plan {
  readonly steps: ReadonlyArray<Step>
  readonly maxItems: number
  readonly batchSize: number
  readonly maxAttempts: number
  readonly overflow: "newest" | "oldest" | "merge"
}

const plans: fc.Arbitrary<Plan> = fc.record({
  steps: fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.record({ op: fc.constant("offer" as const), n: fc.integer({ min: 1, max: 12 }) }) },
      { weight: 3, arbitrary: fc.record({ op: fc.constant("advance" as const), millis: fc.constantFrom(0, 1, 99, 100, 1000, 2500, 20_000) }) },
      { weight: 2, arbitrary: fc.record({ op: fc.constant("mode" as const), mode: fc.constantFrom<Mode>("ok", "down", "hang", "applied_then_lost", "throw", "partial", "refuse_odd", "slow") }) },
      { weight: 1, arbitrary: fc.record({ op: fc.constant("flush" as const) }) }
    ),
    { maxLength: 40 }
  ),
  maxItems: fc.constantFrom(1, 2, 3, 10, 50),
  batchSize: fc.constantFrom(1, 2, 3, 8),
  maxAttempts: fc.constantFrom(1, 3, Infinity),
  overflow: fc.constantFrom("newest", "oldest", "merge")
})

type Item = ReadonlyArray<number>

/** A sink with what PostgreSQL has: a batch number is taken once, and a number given up is never taken. */
class Sink {
  mode: Mode = "ok"
  readonly kept: Array<number> = []
  readonly refused: Array<number> = []
  readonly fenced: Array<number> = []
  private readonly seen = new Map<number, Exporter.ExportOutcome>()

  private apply(items: ReadonlyArray<Item>, number: number, refuse: number): Exporter.ExportOutcome {
    const before = this.seen.get(number)
    if (before !== undefined || this.fenced.includes(number)) return before ?? Exporter.complete
    const taken = items.length - refuse
    this.kept.push(...items.slice(0, taken).flat())
    this.refused.push(...items.slice(taken).flat())
    const outcome = refuse === 0 ? Exporter.complete : { rejected: refuse, reason: "partial_success" }
    this.seen.set(number, outcome)
    return outcome
  }

  readonly exporter: Exporter.Exporter<Item> = {
    export: (items, { number }) =>
      Effect.suspend((): Effect.Effect<Exporter.ExportOutcome, Exporter.ExportError> => {
        switch (this.mode) {
          case "ok":
            return Effect.succeed(this.apply(items, number, 0))
          case "down":
            return Effect.fail(Exporter.unavailable("down"))
          case "hang":
            return Effect.never
          case "applied_then_lost":
            this.apply(items, number, 0)
            return Effect.fail(Exporter.unavailable("connection lost"))
          case "throw":
            throw new Error("bug")
          case "partial":
            return Effect.succeed(this.apply(items, number, Math.min(1, items.length)))
          case "refuse_odd":
            return items.some((item) => item.some((id) => id % 2 === 1))
              ? Effect.fail(Exporter.refused("odd", "poison"))
              : Effect.succeed(this.apply(items, number, 0))
          case "slow":
            // Ends after the deadline of the attempt, uninterruptibly: a zombie.
            return Effect.uninterruptible(Effect.delay(Effect.sync(() => this.apply(items, number, 0)), "5 seconds"))
        }
      }),
    giveUp: ({ number }) =>
      this.mode === "down"
        ? Effect.fail(Exporter.unavailable("down"))
        : Effect.sync(() => {
          this.fenced.push(number)
        })
  }
}


/** Runs a plan and says what is wrong, or nothing. */
const check = (plan: Plan, sabotage?: (inner: Exporter.Exporter<Item>, sink: Sink) => Exporter.Exporter<Item>) =>
  Effect.gen(function*() {
    const sink = new Sink()
    const scope = yield* Scope.make()
    const lost = new Map<string, number>()
    const processor = yield* BatchProcessor.make<Item>(
      sabotage === undefined ? sink.exporter : sabotage(sink.exporter, sink),
      {
        ...BatchProcessor.defaultPolicy<Item>(),
        maxItems: plan.maxItems,
        batchSize: plan.batchSize,
        maxAttempts: plan.maxAttempts,
        flushInterval: "1 second",
        attemptTimeout: "2 seconds",
        backoff: "100 millis",
        maxBackoff: "1 second",
        overflow: plan.overflow === "merge" ? { merge: (older, newer) => [...older, ...newer] } : plan.overflow,
        count: (item) => item.length,
        weigh: (item) => 10 * item.length
      },
      { onLoss: (count, reason) => lost.set(reason, (lost.get(reason) ?? 0) + count) }
    ).pipe(Scope.provide(scope))
    const problems: Array<string> = []
    const inspect = (at: string) => {
      const books = processor.ledger()
      const wrong = imbalance(books)
      if (wrong !== undefined) problems.push(`${at}: ${wrong}`)
      const { queuedBytes, queuedItems } = processor.status()
      if (queuedItems > plan.maxItems) problems.push(`${at}: ${queuedItems} items held, at most ${plan.maxItems}`)
      if (queuedBytes < 0) problems.push(`${at}: negative bytes`)
      for (const [name, value] of Object.entries(books)) if (typeof value === "number" && value < 0) problems.push(`${at}: ${name} is ${value}`)
    }
    let next = 0
    for (const [i, step] of plan.steps.entries()) {
      if (step.op === "offer") for (let n = 0; n < step.n; n++) processor.offerUnsafe([++next])
      else if (step.op === "advance") yield* TestClock.adjust(step.millis)
      else if (step.op === "mode") sink.mode = step.mode
      else yield* Effect.forkChild(processor.flush, { startImmediately: true })
      inspect(`step ${i} ${step.op}`)
    }
    sink.mode = "ok"
    yield* TestClock.adjust("1 minute")
    inspect("healed")
    const fresh = [++next]
    processor.offerUnsafe(fresh)
    yield* TestClock.adjust("10 seconds")
    if (!sink.kept.includes(next)) problems.push("a fresh item did not go through after healing")
    yield* Scope.close(scope, Exit.void)
    yield* TestClock.adjust("1 minute")
    inspect("closed")

    const books = processor.ledger()
    if (books.queued + books.inFlight > 0) problems.push("something still waits after the close")
    if (new Set(sink.kept).size !== sink.kept.length) problems.push("an item was stored twice")
    if (sink.kept.some((id) => !(id >= 1 && id <= next))) problems.push("an unknown item was stored")
    if (sink.kept.some((id, i) => i > 0 && id < sink.kept[i - 1]!)) problems.push("items were stored out of order")
    // Defects and lost answers end as drops though the sink has the items only when it never fenced; this one always does or says so.
    const settled = books.exported + total(books.dropped) + books.unconfirmed
    if (settled !== next - total(books.rejected)) problems.push(`${settled} settled of ${next}`)
    if (books.unconfirmed === 0 && !hadLostAnswer(plan) && sink.kept.length !== books.exported) {
      problems.push(`stored ${sink.kept.length}, exported ${books.exported}`)
    }
    if (sink.kept.length < books.exported) problems.push(`exported ${books.exported}, but only ${sink.kept.length} are stored`)
    for (const [reason, count] of lost) {
      if ((books.dropped[reason] ?? 0) + (books.rejected[reason] ?? 0) !== count) problems.push(`told ${count} lost as ${reason}`)
    }
    return problems
  })

/** Given up after an answer was lost: the sink may have what the books call dropped. */
const hadLostAnswer = (plan: Plan): boolean => plan.steps.some((step) => step.op === "mode" && (step.mode === "applied_then_lost" || step.mode === "slow"))

describe("whatever the sink does", () => {
  it.effect("every item is stored once or has one reason", () =>
    Effect.gen(function*() {
      for (const [i, plan] of fc.sample(plans, { numRuns: 600, seed: 20_261_124 }).entries()) {
        const problems = yield* check(plan)
        assert.deepStrictEqual(problems, [], `plan ${i}: ${JSON.stringify(plan)}`)
      }
    }), 120_000)

  const planted: Readonly<Record<string, (inner: Exporter.Exporter<Item>, sink: Sink) => Exporter.Exporter<Item>>> = {
    "an exporter that forgets the last item": (inner) => ({ ...inner, export: (items, attempt) => inner.export(items.slice(0, Math.max(1, items.length - 1)) as never, attempt) }),
    "a retry under another number": (inner) => ({ ...inner, export: (items, attempt) => inner.export(items, { ...attempt, number: attempt.number * 1000 + attempt.attempt }) }),
    "an answer before the work is done": (inner, sink) => ({ ...inner, export: (items, attempt) => sink.mode === "down" ? Effect.succeed(Exporter.complete) : inner.export(items, attempt) }),
    "a refusal told as success": (inner) => ({ ...inner, export: (items, attempt) => Effect.catch(inner.export(items, attempt), () => Effect.succeed(Exporter.complete)) }),
    "items in another order": (inner) => ({ ...inner, export: (items, attempt) => inner.export(items.toReversed() as never, attempt) })
  }
  for (const [bug, sabotage] of Object.entries(planted)) {
    it.effect(`the check notices ${bug}`, () =>
      Effect.gen(function*() {
        let noticed = 0
        for (const plan of fc.sample(plans, { numRuns: 150, seed: 7 })) {
          if ((yield* check(plan, sabotage)).length > 0) noticed++
        }
        assert.isAbove(noticed, 0)
      }), 60_000)
  }
})
