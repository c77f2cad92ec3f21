import type { Bench, Side } from "../../../test/bench/Bench.ts"
import * as Redaction from "../src/redaction/Redaction.ts"

// R1: what redaction costs per attribute, the whole way from a value as recorded to the value kept. The attributes are those of an HTTP
// request and of its database call, with values that change from one to the next, so that nothing is remembered; `R1.same` repeats them.

const rounds = 500

const attributesOf = (i: number): ReadonlyArray<readonly [name: string, value: unknown]> => [
  ["http.request.method", i % 3 === 0 ? "POST" : "GET"],
  ["http.route", "/orders/:id"],
  ["url.path", `/orders/${i * 7919}`],
  ["url.full", `https://shop.example.org/orders/${i * 7919}?page=${i}`],
  ["user_agent.original", `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${100 + (i % 40)}.0.0.0 Safari/537.36`],
  ["client.address", `10.1.${i % 256}.${(i * 7) % 256}`],
  ["http.response.status_code", 200],
  ["db.query.text", `select id, total from orders where customer = $1 and id > ${i} order by id limit 50`],
  ["order.id", `ORD-2024-${String(i).padStart(6, "0")}`],
  ["order.total", i * 1.25],
  ["customer.tier", i % 2 === 0 ? "gold" : "silver"],
  ["cache.hit", i % 2 === 0]
]

const changing = Array.from({ length: rounds }, (_, i) => attributesOf(i)).flat()
const repeated = Array.from({ length: rounds }, () => attributesOf(1)).flat()

let kept: unknown

const side = (name: string, attributes: typeof changing, redaction: Redaction.Redactor): Side => ({
  name,
  ops: attributes.length,
  run: () => {
    for (const [key, value] of attributes) kept = redaction.value(key, value)
  }
})

const text = (name: string, texts: ReadonlyArray<string>, redaction: Redaction.Redactor): Side => ({
  name,
  ops: texts.length,
  run: () => {
    for (const one of texts) kept = redaction.text(one)
  }
})

export default (bench: Bench): void => {
  const on = Redaction.make()
  const off = Redaction.make({ enabled: false })
  const budget = { unit: "ns/op", budget: "value", must: 1_000 } as const
  bench.compare({ name: "R1", ...budget, moonshot: 300, baseline: side("redaction off", changing, off), subject: side("an attribute, its value never seen", changing, on) })
  bench.compare({ name: "R1.same", ...budget, moonshot: 100, baseline: side("redaction off", repeated, off), subject: side("an attribute, its value as the last time", repeated, on) })
  const messages = Array.from({ length: 500 }, (_, i) =>
    `order ${i} of customer ${i * 31} could not be charged: provider answered 402 after ${i} ms (attempt ${i % 5} of 5), trying again in ${i % 60} s`)
  bench.compare({ name: "R1.message", unit: "ns/op", budget: "value", must: 2_000, baseline: text("redaction off", messages, off), subject: text("a message of 120 characters", messages, on) })
}

/** Read by nobody; keeps the work from being optimised away. */
export const last = (): unknown => kept
