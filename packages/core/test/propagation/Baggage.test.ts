import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import * as Baggage from "../../src/propagation/Baggage.ts"

const plain = (baggage: Baggage.Baggage): Record<string, string> => Object.fromEntries([...baggage].map(([name, { properties, value }]) => [name, value + properties]))
const read = (header: unknown) => plain(Baggage.decode(header))

describe("a baggage header", () => {
  it("is read by the grammar", () => {
    const cases: ReadonlyArray<readonly [header: unknown, expected: Record<string, string>]> = [
      ["a=1", { a: "1" }],
      [" a = 1 ,\tb=2", { a: "1", b: "2" }],
      ["userId=alice%20b,isProduction=false", { userId: "alice b", isProduction: "false" }],
      ["a=1;p=x;flag ; q = y,b=2", { a: "1;p=x;flag;q = y", b: "2" }],
      ["a=%E8%AF%B7%F0%9F%8E%89", { a: "请🎉" }],
      ["a=x=y/z?#[]@!$&'()*+:", { a: "x=y/z?#[]@!$&'()*+:" }],
      ["a=", { a: "" }],
      ["a=1,a=2", { a: "2" }],
      // What breaks a rule goes alone.
      ["a=1,b,c=3", { a: "1", c: "3" }],
      ["=1,b=2", { b: "2" }],
      ["a b=1,c=3", { c: "3" }],
      ["请=1,c=3", { c: "3" }],
      ["a=\"1\",c=3", { c: "3" }],
      ["a=1\\2,c=3", { c: "3" }],
      ["a=%,b=%2,c=%zz,d=%2", {}],
      ["a=1;b c;p=x", { a: "1;p=x" }],
      ["a=1;p=\"x\"", { a: "1" }],
      // Decoded text may hold anything; it never leaves as it is.
      ["a=%0d%0aSet-Cookie:%20x=1,b=%00%2C%3B", { a: "\r\nSet-Cookie: x=1", b: "\u0000,;" }],
      // Bytes that are no UTF-8 (W3C Baggage, 3.3.1.3).
      ["a=%ff%41", { a: "\ufffdA" }],
      ["", {}], [",,,", {}], [undefined, {}], [7, {}], [{}, {}], [["a=1"], {}]
    ]
    for (const [header, expected] of cases) assert.deepStrictEqual(read(header), expected, String(header))
  })

  it("with __proto__ changes no prototype", () => {
    const baggage = Baggage.decode("__proto__=x,constructor=y,toString=z")
    assert.deepStrictEqual([...baggage.keys()], ["__proto__", "constructor", "toString"])
    assert.strictEqual(({} as Record<string, unknown>)["x"], undefined)
  })

  it("is read up to 64 entries, 8,192 bytes, 4,096 for one; whole entries only", () => {
    assert.strictEqual(Baggage.decode(Array.from({ length: 181 }, (_, i) => `k${i}=v`).join(",")).size, 64)
    assert.deepStrictEqual(Object.keys(read(`a=1,b=${"x".repeat(4095)},c=3`)), ["a", "c"])
    assert.deepStrictEqual(Object.keys(read(`a=${"x".repeat(4000)},b=${"x".repeat(4000)},c=${"x".repeat(200)},d=1`)), ["a", "b"])
    const huge = `a=1,b=${"x".repeat(10_000_000)}`
    assert.deepStrictEqual(read(huge), { a: "1" })
    assert.deepStrictEqual(read(`a=1,${"k".repeat(300)}=2`), { a: "1" })
  })

  it("is written within the limits, and read back the same", () => {
    fc.assert(fc.property(fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_.-]{0,20}$/), fc.string({ unit: "binary" }), { maxKeys: 80 }), (entries) => {
      const baggage = Baggage.edit(Baggage.empty, entries)
      const header = Baggage.toHeader(baggage)
      assert.isAtMost(header.length, 8192)
      // Nothing that could begin another header, entry or property.
      assert.match(header, /^[\x21-\x7e]*$/)
      const back = Baggage.decode(header)
      assert.isAtMost(back.size, 64)
      for (const [name, { value }] of back) assert.strictEqual(value, baggage.get(name)!.value)
      if (baggage.size <= 64) assert.strictEqual(back.size, baggage.size)
    }), { numRuns: 300 })
  })

  it("is never more than the limits, whatever is in it", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
      const header = Baggage.toHeader(Baggage.decode(text))
      assert.match(header, /^[\x20-\x7e\t]*$/)
      assert.notInclude(header, "\n")
    }), { numRuns: 1000 })
  })
})

describe("the baggage of a program", () => {
  it.effect("is what was added around it", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Baggage.current).size, 0)
      const inside = yield* Baggage.current.pipe(
        Baggage.with({ tenant: "b", plan: undefined, "no token": "x", "": "x" }),
        Baggage.with({ tenant: "a", plan: "gold" })
      )
      assert.deepStrictEqual(plain(inside), { tenant: "b" })
      assert.strictEqual(yield* Baggage.get("tenant").pipe(Baggage.with({ tenant: "a" })), "a")
      assert.strictEqual(yield* Baggage.get("tenant"), undefined)
    }))

  it.effect("fails no program, and lets nothing else out, whatever it is made of", () =>
    Effect.gen(function*() {
      const { proxy, revoke } = Proxy.revocable({}, {})
      revoke()
      for (const entries of [proxy, { get b(): string { throw new Error("no") } }]) {
        const found = yield* Baggage.current.pipe(Baggage.with(entries), Baggage.with({ a: "1" }))
        assert.deepStrictEqual(plain(found), { a: "1" })
      }
      const own = new Map<string, unknown>([
        ["a\r\nx-evil", { value: "1", properties: "" }],
        ["b", { value: 5, properties: "" }],
        ["c", { value: "1", properties: "\r\nx-evil: 1" }],
        ["d", { value: "1\r\nx: 1", properties: ";p=1" }]
      ])
      assert.strictEqual(Baggage.toHeader(own as never), "d=1%0D%0Ax%3A%201;p=1")
    }))

  it.effect("goes to forked fibers", () =>
    Effect.gen(function*() {
      const found = yield* Effect.all([Baggage.get("t"), Effect.andThen(Effect.yieldNow, Baggage.get("t"))], { concurrency: 2 }).pipe(Baggage.with({ t: "1" }))
      assert.deepStrictEqual(found, ["1", "1"])
    }))
})
