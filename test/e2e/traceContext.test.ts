import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { answering, sendRaw } from "../../packages/instrument/test/http/support/echo.ts"
import { suite } from "../../packages/instrument/test/http/support/traceContextSuite.ts"
import { Shop } from "./Shop.ts"

// The test is the caller of the shop and its supplier at once: it sees what went in and what came out at the other end.

const scope = Scope.makeUnsafe()
let shop: Shop
let port: number
let supplier: Effect.Success<ReturnType<typeof answering>>

beforeAll(async () => {
  supplier = await Effect.runPromise(Scope.provide(answering(JSON.stringify({ product: 1, inStock: 7 })), scope))
  shop = new Shop(["--rate", "0", "--alone", "--supplier-url", supplier.url])
  port = Number(new URL(await shop.url()).port)
})
afterAll(async () => {
  await shop?.dispose()
  await Effect.runPromise(Scope.close(scope, Exit.void))
})

let requests = 0

suite("the shop's server and client", (lines, times) =>
  Effect.gen(function*() {
    requests++
    const products = Array.from({ length: times }, (_, i) => `product=${i + 1}`).join("&")
    const before = supplier.seen.length
    const answer = yield* sendRaw(port, `/stock?${products}`, lines)
    return { answer, seen: supplier.seen.slice(before) }
  }))

it("the shop counted every request, and its books balance", async () => {
  const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  assert.include(page.split("\n"), `http_requests_total{method="GET",path="/stock",status="200"} ${requests}`)
  shop.signal("SIGTERM")
  assert.strictEqual(await shop.exit(), 0, shop.output)
  assert.match(shop.output, /postgres spans: accepted (\d+), exported \1, dropped 0, unconfirmed 0, waiting 0/)
  assert.match(shop.output, /the ledger balances/)
})
