import { Redacted } from "effect"
import { assert, describe, it } from "vitest"
import { addressOf, clientOf, isLoopback, Networks } from "../../src/ops/internal/addresses.ts"
import { Credentials } from "../../src/ops/internal/credentials.ts"
import { RateLimit } from "../../src/ops/internal/RateLimit.ts"
import * as NetAddress from "effect/net/NetAddress"

const token = "correct horse battery staple".replaceAll(" ", "-")
const header = (headers: Readonly<Record<string, ReadonlyArray<string> | string>>) => ({
  header: (name: string) => ([] as Array<string>).concat(headers[name] ?? [])
})
const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`

describe("credentials", () => {
  const all = new Credentials({
    bearer: [Redacted.make(token), Redacted.make("old-token")],
    basic: { user: "ops", password: Redacted.make("pä:ss wörd") },
    apiKey: { keys: [Redacted.make("key-1")] }
  })

  it("lets in who has one of them", () => {
    for (const headers of [
      { authorization: `Bearer ${token}` }, { authorization: `bearer ${token}` }, { authorization: "Bearer old-token" },
      { authorization: basic("ops:pä:ss wörd") }, { "x-api-key": "key-1" }
    ]) assert.isTrue(all.accepts(header(headers)), JSON.stringify(headers))
  })

  it("lets in nobody else", () => {
    for (const headers of [
      {}, { authorization: "" }, { authorization: "Bearer" }, { authorization: "Bearer " }, { authorization: token }, { authorization: `Bearer ${token}x` },
      { authorization: `Bearer ${token.slice(0, -1)}` }, { authorization: `Bearer ${token} x` }, { authorization: `Basic ${token}` },
      { authorization: [`Bearer ${token}`, `Bearer ${token}`] }, { authorization: `Bearer ${"x".repeat(10_000)}` },
      { authorization: basic("ops:") }, { authorization: basic("ops") }, { authorization: basic(":pä:ss wörd") }, { authorization: "Basic %%%" },
      { authorization: "Basic //79" }, { "x-api-key": "" }, { "x-api-key": "key-2" }, { "x-api-key": ["key-1", "key-1"] }, { "api-key": "key-1" }
    ] as const) assert.isFalse(all.accepts(header(headers)), JSON.stringify(headers).slice(0, 100))
  })

  it("an empty secret opens nothing, and still closes", () => {
    for (const closed of [
      new Credentials({ bearer: Redacted.make("") }), new Credentials({ basic: { user: "a", password: Redacted.make("") } }),
      new Credentials({ apiKey: { keys: [] } }), new Credentials({ apiKey: { keys: [Redacted.make("")] } })
    ]) {
      assert.isTrue(closed.isAsked)
      for (const headers of [{}, { authorization: "Bearer " }, { authorization: basic("a:") }, { "x-api-key": "" }]) assert.isFalse(closed.accepts(header(headers)))
    }
  })

  it("makes the same calls for a wrong length, a right beginning and a wrong value", () => {
    const calls: Array<string> = []
    const counted = new Credentials({ bearer: [Redacted.make(token), Redacted.make("old-token")] }, {
      digest: (text) => {
        calls.push("digest")
        return new TextEncoder().encode(text.padEnd(64, "\0").slice(0, 64))
      },
      equal: (a, b) => {
        calls.push(`equal ${a.length} ${b.length}`)
        return Buffer.compare(a, b) === 0
      }
    })
    const seen = [token, "old-token", "x", token.slice(0, -1), `${token}x`, `${token.slice(0, -1)}X`, "y".repeat(5_000)].map((given) => {
      calls.length = 0
      counted.accepts(header({ authorization: `Bearer ${given}` }))
      return calls.join()
    })
    assert.strictEqual(new Set(seen).size, 1, seen.join("\n"))
    assert.strictEqual(seen[0], "digest,equal 64 64,equal 64 64")
  })
})

describe("addresses", () => {
  const text = (address: NetAddress.IpAddress | undefined) => address === undefined ? undefined : NetAddress.formatIp(address)

  it("are read in one form, and nothing else is an address", () => {
    for (const [given, as] of [
      ["127.0.0.1", "127.0.0.1"], ["::ffff:10.1.2.3", "10.1.2.3"], ["::FFFF:0a01:0203", "10.1.2.3"], ["[::1]", "::1"], ["::1", "::1"], ["fe80::1%eth0", "fe80::1"],
      ["2130706433", undefined], ["127.1", undefined], ["0177.0.0.1", undefined], ["127.0.0.1.", undefined], ["127.0.0.1:80", undefined], ["localhost", undefined],
      ["", undefined], ["1".repeat(100), undefined], ["unknown", undefined], ["10.0.0.256", undefined]
    ] as const) assert.strictEqual(text(addressOf(given)), as, given)
    for (const one of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]) assert.isTrue(isLoopback(addressOf(one)!), one)
    for (const one of ["128.0.0.1", "::2", "10.0.0.1", "::ffff:10.0.0.1"]) assert.isFalse(isLoopback(addressOf(one)!), one)
  })

  it("networks hold their own", () => {
    const networks = new Networks(["10.0.0.0/8", "2001:db8::/32", "192.168.1.7", "loopback"])
    assert.deepStrictEqual(networks.wrong, [])
    for (const one of ["10.255.0.1", "::ffff:10.0.0.1", "2001:db8:1::5", "192.168.1.7", "127.0.0.1", "::1"]) assert.isTrue(networks.has(addressOf(one)!), one)
    for (const one of ["11.0.0.1", "2001:db9::1", "192.168.1.8", "::2"]) assert.isFalse(networks.has(addressOf(one)!), one)
    assert.isTrue(new Networks(["0.0.0.0/0"]).has(addressOf("8.8.8.8")!))
    assert.isFalse(new Networks(["0.0.0.0/0"]).has(addressOf("2001::1")!))
    assert.deepStrictEqual(new Networks(["10.0.0.0/33", "evil", "10.0.0.0/8/8", ""]).wrong, ["10.0.0.0/33", "evil", "10.0.0.0/8/8", ""])
  })

  it("what a stranger says about himself does not count", () => {
    const proxies = new Networks(["10.0.0.0/8"])
    const seen = (peer: string, forwarded?: string) => text(clientOf(addressOf(peer)!, forwarded, proxies))
    assert.strictEqual(seen("8.8.8.8", "127.0.0.1"), "8.8.8.8")
    assert.strictEqual(seen("10.0.0.1", "127.0.0.1, 8.8.8.8"), "8.8.8.8")
    assert.strictEqual(seen("10.0.0.1", "127.0.0.1, 8.8.8.8, 10.0.0.2"), "8.8.8.8")
    assert.strictEqual(seen("10.0.0.1", "garbage"), undefined)
    assert.strictEqual(seen("10.0.0.1", "10.0.0.2, garbage"), undefined)
    assert.strictEqual(seen("10.0.0.1", "10.0.0.2, 8.8.8.8:4711"), "8.8.8.8")
    assert.strictEqual(seen("10.0.0.1", "10.0.0.2, [2001:db8::1]:4711"), "2001:db8::1")
    assert.strictEqual(seen("10.0.0.1"), "10.0.0.1")
    assert.strictEqual(text(clientOf(addressOf("10.0.0.1")!, "127.0.0.1", new Networks([]))), "10.0.0.1")
    // However much is put before it, what the proxy wrote stands at the end.
    assert.strictEqual(seen("10.0.0.1", `${"x".repeat(10_000)}, 8.8.8.8`), "8.8.8.8")
    assert.strictEqual(seen("10.0.0.1", "9.9.9.9,".repeat(1_000)), undefined)
    assert.strictEqual(seen("10.0.0.1", "10.0.0.2, ".repeat(1_000) + "10.0.0.3"), undefined)
  })
})

describe("the rate limit", () => {
  it("gives each address its share, and all of them theirs", () => {
    const limit = new RateLimit(2, 5, 0)
    assert.deepStrictEqual(["a", "a", "a"].map((one) => limit.take(one, 0)), [0, 0, 30])
    assert.deepStrictEqual(["b", "c", "d", "e"].map((one) => limit.take(one, 0)), [0, 0, 0, 12])
    assert.strictEqual(limit.take("a", 30_000), 0)
    assert.strictEqual(limit.take("a", 30_000), 30)
    assert.strictEqual(limit.take("a", 20_000), 30, "a clock that went back gives nothing")
  })

  it("remembers a bounded number of addresses, whoever asks", () => {
    const limit = new RateLimit(10, 1e9, 0)
    for (let i = 0; i < 100_000; i++) limit.take(`10.${i >> 16}.${i >> 8 & 255}.${i & 255}`, 0)
    assert.isAtMost(limit.size, 4_096)
  })
})
