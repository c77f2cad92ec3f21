import * as Context from "effect/Context"
import { hex32 } from "./internal/hex.ts"

/**
 * Where trace and span ids come from: uniformly random 32-bit words, signed or not. It need not be unpredictable, only unlikely
 * to repeat between processes, so the default is a fast generator with a seed from the platform's `crypto`.
 */
export interface IdGenerator {
  readonly next: () => number
}

/** The generator of the program. Provide `fromSeed(n)` in tests that need the same ids in every run. */
export const IdGenerator: Context.Reference<IdGenerator> = Context.Reference("@effect-observability/core/IdGenerator", {
  defaultValue: () => processIds
})

/** xoshiro128** (Blackman and Vigna, 2018): period 2^128 - 1, all words equally likely. */
class Xoshiro128 implements IdGenerator {
  // Plain fields: V8 keeps 32-bit integers in them without a box, and reads them faster than a typed array.
  private s0: number
  private s1: number
  private s2: number
  private s3: number

  constructor(state: Int32Array) {
    // The all-zero state is the one this generator never leaves.
    this.s0 = (state[0]! | state[1]! | state[2]! | state[3]!) === 0 ? 1 : state[0]!
    this.s1 = state[1]!
    this.s2 = state[2]!
    this.s3 = state[3]!
  }

  next(): number {
    const s0 = this.s0
    const s1 = this.s1
    const mixed = Math.imul(s1, 5)
    const s2 = this.s2 ^ s0
    const s3 = this.s3 ^ s1
    this.s1 = s1 ^ s2
    this.s0 = s0 ^ s3
    this.s2 = s2 ^ (s1 << 9)
    this.s3 = (s3 << 11) | (s3 >>> 21)
    return Math.imul((mixed << 7) | (mixed >>> 25), 9)
  }
}

/** The same words in the same order for the same seed (32 bits of it are used). */
export const fromSeed = (seed: number): IdGenerator => {
  const state = new Int32Array(4)
  let word = seed | 0
  // splitmix32, so that near seeds give unrelated states.
  for (let i = 0; i < 4; i++) {
    word = (word + 0x9e3779b9) | 0
    let mixed = Math.imul(word ^ (word >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    state[i] = mixed ^ (mixed >>> 15)
  }
  return new Xoshiro128(state)
}

/** A generator with a fresh random seed of 128 bits. */
export const fromCrypto = (): IdGenerator => new Xoshiro128(globalThis.crypto.getRandomValues(new Int32Array(4)))

const processIds = fromCrypto()

/** 32 random lower-case hex digits, never all zero: for request ids and the like. */
export const hexId = (ids: IdGenerator): string => {
  const a = ids.next()
  const b = ids.next()
  const c = ids.next()
  const d = ids.next()
  return hex32(a, b, c, (a | b | c | d) === 0 ? 1 : d)
}
