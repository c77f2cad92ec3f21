import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as EffectTracer from "effect/Tracer"
import * as Spans from "../../src/tracing/Spans.ts"
import type { SpanData } from "../../src/tracing/SpanData.ts"
import { recording } from "./support.ts"

class PaymentFailed extends Data.TaggedError("PaymentFailed")<{ readonly message: string }> {}

/** The span of an effect, however the effect ends. */
const spanOf = (effect: Effect.Effect<unknown, unknown>, use?: (span: EffectTracer.Span) => void) =>
  Effect.gen(function*() {
    const { ended, provide } = recording()
    yield* Effect.gen(function*() {
      if (use !== undefined) use(yield* Effect.orDie(Effect.currentSpan))
      yield* effect
    }).pipe(Effect.withSpan("op"), provide, Effect.exit)
    assert.strictEqual(ended.length, 1)
    return ended[0]!
  })

const ended = (exit: Exit.Exit<unknown, unknown>, use?: (span: EffectTracer.Span) => void): SpanData => {
  const { ended, tracer } = recording()
  const span = tracer.span({
    name: "op",
    parent: { _tag: "None" } as any,
    annotations: Context.empty(),
    links: [],
    startTime: 1n,
    kind: "internal",
    root: true,
    sampled: true
  })
  use?.(span)
  span.end(2n, exit)
  return ended[0]!
}

describe("the status of a span", () => {
  it.effect("is error for a failure, with one exception event", () =>
    Effect.gen(function*() {
      const span = yield* spanOf(Effect.fail(new PaymentFailed({ message: "card declined\nsecond line" })))
      assert.strictEqual(span.status, "error")
      assert.strictEqual(span.statusMessage, "PaymentFailed: card declined")
      assert.strictEqual(span.attributes.get("error.type"), "PaymentFailed")
      assert.strictEqual(span.events.length, 1)
      const [event] = span.events
      assert.strictEqual(event!.name, "exception")
      assert.strictEqual(event!.time, span.endTime)
      assert.strictEqual(event!.attributes["exception.type"], "PaymentFailed")
      assert.strictEqual(event!.attributes["exception.message"], "card declined\nsecond line")
      assert.include(event!.attributes["exception.stacktrace"] as string, "RecordedSpan.test.ts")
    }))

  it.effect("is error for a defect", () =>
    Effect.gen(function*() {
      const span = yield* spanOf(Effect.die(new TypeError("x is not a function")))
      assert.strictEqual(span.statusMessage, "TypeError: x is not a function")
      assert.strictEqual(span.attributes.get("error.type"), "TypeError")
    }))

  it.effect("is unset for an interruption alone, error when something also failed", () =>
    Effect.gen(function*() {
      const alone = yield* spanOf(Effect.interrupt)
      assert.strictEqual(alone.status, "unset")
      assert.isTrue(alone.attributes.get("effect.fiber.interrupted"))
      const both = ended(Exit.failCause(Cause.combine(Cause.interrupt(1), Cause.fail("late"))))
      assert.strictEqual(both.status, "error")
      assert.strictEqual(both.statusMessage, "late")
    }))

  it("says something about every value that can be thrown", () => {
    const hostile = { get message(): string { throw new Error("no") }, get name(): string { throw new Error("no") } }
    const circular: Record<string, unknown> = {}
    circular["self"] = circular
    const cases: ReadonlyArray<readonly [error: unknown, type: string, message: string]> = [
      ["boom", "string", "boom"],
      [7, "number", "7"],
      [undefined, "undefined", "undefined"],
      [null, "null", "null"],
      [{ _tag: "NotFound", id: 3 }, "NotFound", "NotFound: {\"_tag\":\"NotFound\",\"id\":3}"],
      [{ id: 3 }, "Object", "Object: {\"id\":3}"],
      [new Error(""), "Error", "Error"],
      [hostile, "unknown", "an error that cannot be read"],
      [circular, "Object", "Object: {\"self\":\"[circular]\"}"],
      [Object.create(null), "Object", "Object: {}"],
      [Symbol("s"), "symbol", "Symbol(s)"],
      ["x".repeat(10_000), "string", "x".repeat(256)]
    ]
    for (const [error, type, message] of cases) {
      const span = ended(Exit.fail(error))
      assert.strictEqual(span.status, "error")
      assert.strictEqual(span.attributes.get("error.type"), type)
      assert.strictEqual(span.statusMessage, message)
    }
  })

  it("is error for a revoked proxy, which throws whatever it is asked", () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    for (const exit of [Exit.fail(proxy), Exit.die(proxy)]) {
      const span = ended(exit)
      assert.deepStrictEqual([span.status, span.statusMessage, span.events.length], ["error", "an error that cannot be read", 1])
    }
  })

  it("keeps an error.type that somebody set", () => {
    const span = ended(Exit.fail(new Error("x")), (span) => span.attribute("error.type", "40P01"))
    assert.strictEqual(span.attributes.get("error.type"), "40P01")
  })

  it("is error without an exception for a bad answer", () => {
    const span = ended(Spans.failedStatus("503", "HTTP 503"))
    assert.deepStrictEqual([span.status, span.statusMessage, span.events], ["error", "HTTP 503", []])
    assert.strictEqual(span.attributes.get("error.type"), "503")
  })

  it("cuts a stack at 8 kB", () => {
    const error = new Error("deep")
    error.stack = "Error: deep\n" + "at x\n".repeat(10_000)
    const span = ended(Exit.fail(error))
    assert.strictEqual((span.events[0]!.attributes["exception.stacktrace"] as string).length, 8192)
  })
})

describe("a success that is an error", () => {
  const judged = (value: unknown, options: EffectTracer.SpanOptions) =>
    Effect.gen(function*() {
      const { ended, provide } = recording()
      yield* Effect.succeed(value).pipe(Effect.withSpan("op", options), provide)
      return [ended[0]!.status, ended[0]!.statusMessage, ended[0]!.attributes.get("error.type"), ended[0]!.events.length]
    })

  it.effect("is judged by the span's own classify, for Effect.withSpan too", () =>
    Effect.gen(function*() {
      const byCode = Spans.classify((answer: { readonly code: number }) => answer.code === 0 ? undefined : { type: `code_${answer.code}`, message: "no\nmore" })
      assert.deepStrictEqual(yield* judged({ code: 0 }, byCode), ["unset", undefined, undefined, 0])
      assert.deepStrictEqual(yield* judged({ code: 7 }, byCode), ["error", "no", "code_7", 0])
      assert.deepStrictEqual(yield* judged({ code: 7 }, { ...byCode, attributes: { "error.type": "known" } }), ["error", "no", "known", 0])
      assert.deepStrictEqual(yield* judged(1, {}), ["unset", undefined, undefined, 0])
    }))

  it.effect("may be a Result that failed", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* judged(Result.succeed(1), Spans.failedResults), ["unset", undefined, undefined, 0])
      assert.deepStrictEqual(yield* judged(Result.fail(new PaymentFailed({ message: "no funds" })), Spans.failedResults), ["error", "no funds", "PaymentFailed", 0])
      assert.deepStrictEqual(yield* judged(Result.fail("x"), Spans.failedResults), ["error", "failure", "failure", 0])
    }))

  it.effect("is none when the judge throws", () =>
    Effect.gen(function*() {
      const broken = Spans.classify((): undefined => {
        throw new Error("no")
      })
      assert.deepStrictEqual(yield* judged(1, broken), ["unset", undefined, undefined, 0])
    }))
})

describe("a cause with several reasons", () => {
  it("is an event for each that is no interruption, told apart as failure and defect; at most eight", () => {
    const cause = Cause.combine(Cause.combine(Cause.fail("expected"), Cause.interrupt(1)), Cause.die(new TypeError("bug")))
    const span = ended(Exit.failCause(cause))
    assert.deepStrictEqual(span.events.map(({ attributes }) => [attributes["effect.cause"], attributes["exception.message"]]), [["fail", "expected"], ["die", "bug"]])
    assert.strictEqual(span.statusMessage, "expected")
    const many = Array.from({ length: 20 }, (_, i) => Cause.fail(`e${i}`)).reduce<Cause.Cause<string>>((all, one) => Cause.combine(all, one), Cause.empty)
    assert.strictEqual(ended(Exit.failCause(many)).events.length, 8)
  })
})

describe("what a span keeps", () => {
  it("has no secrets in it, wherever they stand", () => {
    const error = new Error("connect to postgres://app:canary@db/shop failed")
    error.stack = "Error: password=canary\n    at x (/srv/a.js:1:2)"
    const span = ended(Exit.fail(error), (span) => {
      ;(span as unknown as { name: string }).name = "GET https://ann:canary@example.org/?token=canary"
      span.attribute("password", "canary")
      span.attribute("canary@example.org", 1)
      span.event("sent Bearer canary12345", 1n, { api_key: "canary", "canary@example.org": 2 })
      span.addLinks([{ span, attributes: { "db.query.text": "select 'canary'" } }])
    })
    const text = JSON.stringify(span, (_, one: unknown) => one instanceof Map ? [...one] : typeof one === "bigint" ? `${one}` : one)
    assert.notInclude(text, "canary")
    assert.strictEqual(span.name, "GET https://REDACTED:REDACTED@example.org/?token=REDACTED")
    assert.strictEqual(span.statusMessage, "Error: connect to postgres://REDACTED:REDACTED@db/shop failed")
  })
})

describe("the limits of a span", () => {
  it("keep 128 attributes and count the rest; known keys still change", () => {
    const span = ended(Exit.void, (span) => {
      for (let i = 0; i < 200; i++) span.attribute(`k${i}`, i)
      span.attribute("k0", "changed")
    })
    assert.strictEqual(span.attributes.size, 128)
    assert.strictEqual(span.attributes.get("k0"), "changed")
    assert.isFalse(span.attributes.has("k128"))
    assert.strictEqual(span.droppedAttributes, 72)
  })

  it("keep 128 events, the exception among them", () => {
    const span = ended(Exit.fail("x"), (span) => {
      for (let i = 0; i < 200; i++) span.event(`e${i}`, BigInt(i))
    })
    assert.strictEqual(span.events.length, 128)
    assert.strictEqual(span.events[127]!.name, "exception")
    assert.strictEqual(span.droppedEvents, 73)
  })

  it("keep 128 links", () => {
    const span = ended(Exit.void, (span) => {
      span.addLinks(Array.from({ length: 100 }, () => ({ span, attributes: {} })))
      span.addLinks(Array.from({ length: 100 }, () => ({ span, attributes: {} })))
    })
    assert.strictEqual(span.links.length, 128)
    assert.strictEqual(span.droppedLinks, 72)
  })

  it("keep 128 attributes of an event", () => {
    const attributes = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`k${i}`, i]))
    const span = ended(Exit.void, (span) => span.event("e", 1n, attributes))
    assert.strictEqual(Object.keys(span.events[0]!.attributes).length, 128)
  })

  it("cut long strings, never inside a surrogate pair", () => {
    const span = ended(Exit.void, (span) => {
      span.attribute("exact", "x".repeat(4096))
      span.attribute("long", "x".repeat(100_000))
      span.attribute("emoji", "x".repeat(4095) + "😀")
      span.event("e", 1n, { long: "y".repeat(100_000) })
    })
    assert.strictEqual(span.attributes.get("exact"), "x".repeat(4096))
    assert.strictEqual(span.attributes.get("long"), "x".repeat(4096))
    assert.strictEqual(span.attributes.get("emoji"), "x".repeat(4095))
    assert.strictEqual(span.events[0]!.attributes["long"], "y".repeat(4096))
  })
})

describe("attribute values", () => {
  it("become plain and nobody else's", () => {
    const list: Array<unknown> = [1, "a", null, { deep: true }, ["x"]]
    const span = ended(Exit.void, (span) => {
      const values: Record<string, unknown> = {
        list,
        object: { a: 1, b: [1n] },
        date: new Date(0),
        never: new Date(NaN),
        error: new RangeError("out"),
        wrapped: { token: Redacted.make("s3cret"), note: Redacted.make("s3cret") },
        bigint: 5n,
        fn: () => 1,
        symbol: Symbol("s"),
        throwing: { toJSON: () => { throw new Error("no") } },
        undefined: undefined,
        null: null
      }
      for (const key of Object.keys(values)) span.attribute(key, values[key])
    })
    list.push("later")
    assert.deepStrictEqual(Object.fromEntries(span.attributes), {
      list: [1, "a", "null", "{\"deep\":true}", "[\"x\"]"],
      object: "{\"a\":1,\"b\":[\"1\"]}",
      date: "1970-01-01T00:00:00.000Z",
      never: "Invalid Date",
      error: "RangeError: out",
      wrapped: "{\"token\":\"REDACTED\",\"note\":\"<redacted>\"}",
      bigint: 5n,
      fn: "[function]",
      symbol: "Symbol(s)",
      throwing: "[unreadable]"
    })
  })

  it("of any size are read only in part", () => {
    const huge = { numbers: new Array(1_000_000).fill(1), text: "x".repeat(1_000_000) }
    const span = ended(Exit.void, (span) => {
      span.attribute("huge", huge)
      span.attribute("array", new Array(1_000_000).fill("y"))
    })
    assert.isAtMost((span.attributes.get("huge") as string).length, 4096)
    assert.strictEqual((span.attributes.get("array") as ReadonlyArray<string>).length, 128)
  })

  it("what is no key and no link, from untyped code, is left out", () => {
    const span = ended(Exit.void, (span) => {
      for (const key of [undefined, null, 5, Symbol("s"), {}]) span.attribute(key as never, 1)
      span.attribute("a", 1)
      span.addLinks([null, {}, { span: null }, { span: { traceId: 1 } }] as never)
    })
    assert.deepStrictEqual(Object.fromEntries(span.attributes), { a: 1 })
    assert.deepStrictEqual(span.links, [])
  })

  it("of events cannot touch a prototype and survive a throwing getter", () => {
    const attributes = JSON.parse("{\"__proto__\":[1],\"a\":1}")
    const throwing = { b: 2, get c(): number { throw new Error("no") } }
    const span = ended(Exit.void, (span) => {
      span.event("one", 1n, attributes)
      span.event("two", 2n, throwing)
    })
    assert.strictEqual(Object.getPrototypeOf(span.events[0]!.attributes), Object.prototype)
    assert.deepStrictEqual(span.events.map((event) => event.attributes), [{ a: 1 }, { "otel.attributes": "[unreadable]" }])
  })
})
