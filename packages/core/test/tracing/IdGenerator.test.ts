import { assert, describe, it } from "@effect/vitest"
import * as IdGenerator from "../../src/tracing/IdGenerator.ts"
import { hex16 } from "../../src/tracing/internal/hex.ts"
import { LocalTrace } from "../../src/tracing/internal/LocalTrace.ts"
import { isSpanId, isTraceId } from "../../src/tracing/Propagation.ts"
import { recording } from "./support.ts"
import * as Effect from "effect/Effect"

const words = (ids: IdGenerator.IdGenerator, n: number) => Array.from({ length: n }, () => ids.next() >>> 0)

describe("IdGenerator", () => {
  it("repeats itself for the same seed and not for another", () => {
    assert.deepStrictEqual(words(IdGenerator.fromSeed(1), 8), words(IdGenerator.fromSeed(1), 8))
    assert.notDeepEqual(words(IdGenerator.fromSeed(1), 8), words(IdGenerator.fromSeed(2), 8))
    assert.notDeepEqual(words(IdGenerator.fromCrypto(), 8), words(IdGenerator.fromCrypto(), 8))
  })

  it("sets every bit in about half of the words", () => {
    const n = 20_000
    const counts = new Array<number>(32).fill(0)
    for (const word of words(IdGenerator.fromSeed(3), n)) {
      for (let bit = 0; bit < 32; bit++) counts[bit]! += (word >>> bit) & 1
    }
    // Four standard deviations of a fair coin.
    for (const count of counts) assert.isBelow(Math.abs(count - n / 2), 4 * Math.sqrt(n) / 2)
  })

  it("draws no id twice in 200,000", () => {
    const ids = IdGenerator.fromCrypto()
    const seen = new Set(Array.from({ length: 200_000 }, () => LocalTrace.random(ids).hex))
    assert.strictEqual(seen.size, 200_000)
  })

  it("writes every word as its eight digits", () => {
    const words = [0, 1, 0xff, 0x01234567, 0x89abcdef, -1, 0x80000000]
    const digits = ["00000000", "00000001", "000000ff", "01234567", "89abcdef", "ffffffff", "80000000"]
    for (let i = 0; i < words.length; i++) {
      const [a, b, c, d] = [0, 1, 2, 3].map((k) => (i + k) % words.length) as [number, number, number, number]
      assert.strictEqual(hex16(words[a]!, words[b]!), digits[a]! + digits[b]!)
      assert.strictEqual(
        new LocalTrace(words[a]!, words[b]!, words[c]!, words[d]!, undefined, "").hex,
        digits[a]! + digits[b]! + digits[c]! + digits[d]!
      )
    }
  })

  it.effect("never makes an all-zero id, even of a generator that only knows zero", () => {
    const { ended, provide } = recording({ ids: { next: () => 0 } })
    return Effect.gen(function*() {
      yield* Effect.void.pipe(Effect.withSpan("zero"), provide)
      assert.isTrue(isTraceId(ended[0]!.traceId))
      assert.isTrue(isSpanId(ended[0]!.spanId))
    })
  })
})
