import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { AsyncLocalStorage } from "node:async_hooks"
import { Worker } from "node:worker_threads"
import * as Tracer from "../../src/tracing/Tracer.ts"
import { recording } from "./support.ts"

const service = Tracer.make({ flush: Effect.void })
const { withSpan } = service
type Recording = ReturnType<typeof recording>

/** Asserts who is whose child, all in one trace. */
const children = ({ named }: Recording, parent: string, ...names: ReadonlyArray<string>) => {
  for (const name of names) {
    assert.strictEqual(named(name).parentSpanId, named(parent).spanId, `${name} in ${parent}`)
    assert.strictEqual(named(name).traceId, named(parent).traceId)
  }
}

describe("the span a program is in", () => {
  it.effect("goes with forks: children, detached ones that outlive it, scoped ones", () =>
    Effect.gen(function*() {
      const all = recording()
      const go = yield* Deferred.make<void>()
      const late = yield* Effect.scoped(Effect.gen(function*() {
        yield* Effect.flatMap(Effect.forkChild(Effect.void.pipe(withSpan("child"))), Fiber.join)
        yield* Effect.flatMap(Effect.forkScoped(Effect.void.pipe(withSpan("scoped"))), Fiber.join)
        return yield* Effect.forkDetach(Effect.andThen(Deferred.await(go), Effect.void.pipe(withSpan("detached"))))
      })).pipe(withSpan("outer"), all.provide)
      assert.deepStrictEqual(all.ended.map((span) => span.name), ["child", "scoped", "outer"])
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(late)
      children(all, "outer", "child", "scoped", "detached")
    }))

  it.effect("is each fiber's own in a crowd, also when one of them is interrupted", () =>
    Effect.gen(function*() {
      const all = recording()
      const one = (i: number) =>
        Effect.gen(function*() {
          yield* Effect.yieldNow
          yield* Effect.sleep(`${i % 5} millis`).pipe(withSpan(`inner ${i}`))
          if (i % 7 === 0) return yield* Effect.interrupt
        }).pipe(withSpan(`outer ${i}`), Effect.exit)
      yield* Effect.all([Effect.forEach(Array.from({ length: 200 }, (_, i) => i), one, { concurrency: 50 }), TestClock.adjust("1 second")], {
        concurrency: 2
      }).pipe(all.provide)
      for (let i = 0; i < 200; i++) children(all, `outer ${i}`, `inner ${i}`)
    }))

  it.effect("goes through streams and schedules", () =>
    Effect.gen(function*() {
      const all = recording()
      yield* Stream.range(1, 3).pipe(
        Stream.mapEffect((n) => Effect.void.pipe(withSpan(`element ${n}`)), { concurrency: 3 }),
        Stream.runDrain,
        withSpan("stream")
      ).pipe(all.provide)
      let n = 0
      const retried = Effect.suspend(() => Effect.fail("again").pipe(withSpan(`attempt ${++n}`)))
      const fiber = yield* Effect.forkChild(Effect.exit(Effect.retry(retried, { schedule: Schedule.spaced("1 second"), times: 2 })).pipe(withSpan("retries"), all.provide))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      children(all, "stream", "element 1", "element 2", "element 3")
      children(all, "retries", "attempt 1", "attempt 2", "attempt 3")
    }))

  it.effect("waits with timers, and goes into callbacks with the context they are given", () =>
    Effect.gen(function*() {
      const all = recording()
      const fiber = yield* Effect.gen(function*() {
        yield* Effect.void.pipe(withSpan("delayed"), Effect.delay("1 minute"))
        const context = yield* Effect.context<never>()
        yield* Effect.callback<void>((resume) => {
          queueMicrotask(() => {
            Effect.runForkWith(context)(Effect.void.pipe(withSpan("from a callback"))).addObserver(() => resume(Effect.void))
          })
        })
      }).pipe(withSpan("timers"), all.provide, Effect.forkChild)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      children(all, "timers", "delayed", "from a callback")
    }))

  it.effect("stays with a worker that takes from a queue; the sender's goes in the message", () =>
    Effect.gen(function*() {
      const all = recording()
      const queue = yield* Queue.unbounded<{ readonly headers: Record<string, string>; readonly n: number }>()
      const hub = yield* PubSub.unbounded<number>()
      yield* Effect.gen(function*() {
        const subscription = yield* PubSub.subscribe(hub)
        const worker = yield* Effect.forkChild(
          Effect.repeat(
            Effect.flatMap(Queue.take(queue), ({ headers, n }) =>
              Effect.flatMap(service.extractContext(headers), (sender) =>
                Effect.void.pipe(withSpan(`task ${n}`), withSpan(`receive ${n}`, { kind: "consumer", parent: Option.getOrThrow(sender) })))),
            { times: 1 }
          ).pipe(Effect.andThen(Effect.void.pipe(withSpan("worker's own"))), withSpan("worker"))
        )
        const send = (n: number) =>
          Effect.gen(function*() {
            const headers: Record<string, string> = {}
            yield* service.injectContext(headers)
            yield* Queue.offer(queue, { headers, n })
            yield* PubSub.publish(hub, n)
          }).pipe(withSpan(`send ${n}`, { kind: "producer" }))
        yield* send(1)
        yield* send(2)
        yield* PubSub.take(subscription).pipe(withSpan("subscriber"))
        yield* Fiber.join(worker)
      }).pipe(Effect.scoped, all.provide)
      children(all, "send 1", "receive 1")
      children(all, "send 2", "receive 2")
      children(all, "receive 2", "task 2")
      children(all, "worker", "worker's own")
      assert.notStrictEqual(all.named("subscriber").traceId, all.named("send 1").traceId)
    }))

  it.live("leaves AsyncLocalStorage alone, and is left alone by it", () =>
    Effect.gen(function*() {
      const all = recording()
      const storage = new AsyncLocalStorage<string>()
      const program = Effect.gen(function*() {
        const seen: Array<string | undefined> = [storage.getStore()]
        yield* Effect.sleep(1).pipe(withSpan("asleep"))
        seen.push(storage.getStore())
        yield* Effect.promise(() => new Promise<void>((done) => setImmediate(() => storage.run("other", done)))).pipe(withSpan("elsewhere"))
        seen.push(storage.getStore())
        return seen
      }).pipe(withSpan("outer"), all.provide)
      const context = yield* Effect.context<never>()
      const seen = yield* Effect.promise(() => storage.run("mine", () => Effect.runPromiseWith(context)(program)))
      assert.deepStrictEqual(seen, ["mine", "mine", "mine"])
      children(all, "outer", "asleep", "elsewhere")
    }))

  it.live("goes to another thread in a carrier", () =>
    Effect.gen(function*() {
      const all = recording()
      const answer = yield* Effect.gen(function*() {
        const carrier: Record<string, string> = {}
        yield* service.injectContext(carrier)
        return yield* Effect.callback<{ readonly traceId: string; readonly parentSpanId: string }, unknown>((resume) => {
          const worker = new Worker(new URL("./worker/traceWorker.ts", import.meta.url), { workerData: carrier, execArgv: ["--conditions=source"] })
          worker.once("message", (message) => resume(Effect.succeed(message)))
          worker.once("error", (error) => resume(Effect.fail(error)))
          return Effect.promise(() => worker.terminate())
        })
      }).pipe(withSpan("main thread"), all.provide)
      assert.strictEqual(answer.traceId, all.named("main thread").traceId)
      assert.strictEqual(answer.parentSpanId, all.named("main thread").spanId)
    }))
})
