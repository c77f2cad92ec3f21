import type { SpanData, SpanEvent } from "@effect-observability/core"

/**
 * Traces as a shop of five services makes them: 4 to 16 spans with 7 to 10 attributes, HTTP and SQL text, ids and sizes that
 * differ each time, 3 % failures with a stack. The same for the same seed.
 */
export interface Shop {
  /** One trace that begins at `start`, nanoseconds since the epoch. */
  readonly trace: (start: bigint) => ReadonlyArray<SpanData>
  readonly random: () => number
}

export const shop = (seed: number): Shop => {
  const random = mulberry32(seed)
  const below = (n: number) => Math.floor(random() * n)
  const pick = <A>(all: ReadonlyArray<A>): A => all[below(all.length)]!
  const hex = (digits: number) => Array.from({ length: digits }, () => below(16).toString(16)).join("")
  const trace = (start: bigint): ReadonlyArray<SpanData> => {
    const traceId = hex(32)
    const route = pick(routes)
    const user = `u-${below(50_000)}`
    const tenant = pick(tenants)
    const host = pick(hosts)
    const failed = random() < 0.03
    const count = 4 + below(13)
    const out: Array<SpanData> = []
    const duration = Math.exp(random() * 4) * 2e6
    const span = (more: Pick<SpanData, "name" | "kind"> & Partial<SpanData>, from: number, length: number): SpanData => {
      const one: SpanData = {
        traceId, spanId: hex(16), parentSpanId: undefined, status: "unset", statusMessage: undefined, attributes: new Map(), events: [], links: [],
        droppedAttributes: 0, droppedEvents: 0, droppedLinks: 0, weight: 1, traceState: "",
        startTime: start + BigInt(Math.round(from)), endTime: start + BigInt(Math.round(from + length)), ...more
      }
      out.push(one)
      return one
    }
    const status = failed ? 500 : pick([200, 200, 200, 200, 201, 204, 404])
    const root = span({
      name: `${route.method} ${route.path}`, kind: "server", status: failed ? "error" : "unset", statusMessage: failed ? "upstream timed out" : undefined,
      attributes: new Map<string, unknown>([
        ["http.request.method", route.method], ["http.route", route.path], ["url.path", route.path.replaceAll(/:\w+/g, () => String(below(100_000)))],
        ["url.scheme", "https"], ["server.address", host], ["http.response.status_code", status], ["client.address", `10.${below(4)}.${below(256)}.${below(256)}`],
        ["user_agent.original", pick(agents)], ["user_id", user], ["tenant_id", tenant]
      ])
    }, 0, duration)
    for (let i = 1; i < count; i++) {
      const parent = random() < 0.6 ? root : pick(out)
      const from = duration * random() * 0.8
      const length = duration * random() * 0.2
      const kind = below(4)
      const events: Array<SpanEvent> = failed && i === count - 1
        ? [{ name: "exception", time: start + BigInt(Math.round(from + length)), attributes: exception(pick) }]
        : []
      const base = { parentSpanId: parent.spanId, ...(events.length === 0 ? {} : { status: "error" as const, statusMessage: "connection reset by peer", events }) }
      if (kind <= 1) {
        const query = pick(queries)
        span({
          ...base, name: query.name, kind: "client",
          attributes: new Map<string, unknown>([
            ["db.system.name", "postgresql"], ["db.namespace", "shop"], ["db.operation.name", query.name.split(" ")[0]!], ["db.query.text", query.text],
            ["server.address", "db.internal"], ["server.port", 5432], ["db.response.returned_rows", below(200)], ["tenant_id", tenant]
          ])
        }, from, length)
      } else if (kind === 2) {
        span({
          ...base, name: `cache ${pick(["get", "set"])}`, kind: "internal",
          attributes: new Map<string, unknown>([
            ["cache.name", pick(["orders", "products", "sessions"])], ["cache.key", `${pick(["o", "p", "s"])}:${below(100_000)}`], ["cache.hit", random() < 0.8],
            ["server.address", "cache.internal"], ["thread.id", below(16)], ["code.function.name", "lookup"], ["tenant_id", tenant]
          ])
        }, from, length)
      } else {
        const service = pick(services)
        span({
          ...base, name: `POST ${service}`, kind: "client",
          attributes: new Map<string, unknown>([
            ["http.request.method", "POST"], ["url.full", `http://${service}.internal:8080/v1/${pick(["charge", "ship", "mail"])}/${below(1_000_000)}`],
            ["server.address", `${service}.internal`], ["server.port", 8080], ["http.response.status_code", events.length > 0 ? 503 : 200],
            ["http.request.body.size", 200 + below(4_000)], ["http.response.body.size", 100 + below(9_000)], ["tenant_id", tenant]
          ])
        }, from, length)
      }
    }
    return out
  }
  return { trace, random }
}

/** One span a line, as a program would write it to a file: what gzip is asked to shrink. */
export const jsonLine = (span: SpanData, serviceName: string): string =>
  `${
    JSON.stringify({
      traceId: span.traceId, spanId: span.spanId, parentSpanId: span.parentSpanId, name: span.name, kind: span.kind, serviceName,
      startTime: String(span.startTime), endTime: String(span.endTime), status: span.status, statusMessage: span.statusMessage,
      attributes: Object.fromEntries(span.attributes), ...(span.events.length === 0 ? {} : { events: span.events.map((event) => ({ ...event, time: String(event.time) })) })
    })
  }\n`

export const mulberry32 = (seed: number): () => number => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

const routes = [
  { method: "GET", path: "/orders/:id" }, { method: "POST", path: "/orders" }, { method: "GET", path: "/products/:id" }, { method: "GET", path: "/search" },
  { method: "PUT", path: "/cart/:id/items/:item" }, { method: "POST", path: "/checkout" }, { method: "GET", path: "/users/:id/profile" }, { method: "DELETE", path: "/cart/:id" }
]
const queries = [
  { name: "SELECT orders", text: "SELECT id, status, total FROM orders WHERE customer_id = $1 AND status <> $2 ORDER BY created_at DESC LIMIT 20" },
  { name: "SELECT products", text: "SELECT p.id, p.name, p.price FROM products p JOIN stock s ON s.product_id = p.id WHERE p.id = $1" },
  { name: "INSERT orders", text: "INSERT INTO orders (customer_id, total, status) VALUES ($1, $2, $3) RETURNING id" },
  { name: "UPDATE stock", text: "UPDATE stock SET reserved = reserved + $1 WHERE product_id = $2 AND available >= $1" },
  { name: "SELECT users", text: "SELECT id, email, locale FROM users WHERE id = $1" },
  { name: "DELETE cart_items", text: "DELETE FROM cart_items WHERE cart_id = $1" }
]
const services = ["payment", "shipping", "mail"]
const tenants = Array.from({ length: 40 }, (_, i) => `tenant-${i}`)
const hosts = Array.from({ length: 12 }, (_, i) => `shop-${i}.example.org`)
const agents = [
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
  "shop-app/4.2.1 (Android 15)"
]
const exception = (pick: <A>(all: ReadonlyArray<A>) => A) => ({
  "exception.type": "Error", "exception.message": "connection reset by peer",
  "exception.stacktrace": `Error: connection reset by peer\n    at Socket.onend (node:net:${pick([100, 200, 300])}:10)\n    at emit (node:events:530:35)\n    at endReadableNT (node:internal/streams/readable:1698:12)`
})
