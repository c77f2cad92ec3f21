import { Duration, Effect, Ref } from "effect"
import { HttpBody, HttpClient } from "effect/http"

export interface TrafficCount {
  readonly sent: number
  readonly answered: number
  readonly failed: number
}

type Call = readonly ["GET" | "POST", string, unknown?]

/** What request `n` asks for: mostly reading, some buying, now and then a question to the supplier, a slow report and a refund that fails. */
const callOf = (n: number): Call => {
  const product = 1 + (n * 13) % 50
  const order = 1 + (n * 7) % 20
  switch (n % 25) {
    case 3:
    case 9:
    case 15:
    case 19:
    case 22:
      return ["POST", "/orders", { product, quantity: 1 + n % 3, channel: n % 2 === 0 ? "web" : "shop" }]
    case 5:
    case 11:
    case 17:
      return ["GET", `/orders/${order}`]
    case 7:
      return ["GET", `/stock?product=${product}&product=${1 + (product % 50)}`]
    case 13:
      return ["GET", "/reports/turnover"]
    case 21:
      return ["POST", `/orders/${order}/refund`]
    default:
      return ["GET", `/products/${product}`]
  }
}

/**
 * Sends real HTTP requests to the shop, `total` of them or without end, at most `perSecond`. It stands for the world outside:
 * nothing of it is traced.
 */
export const traffic = (options: {
  readonly url: string
  readonly total: number
  readonly perSecond: number
  readonly count: Ref.Ref<TrafficCount>
}) =>
  Effect.gen(function*() {
    const client = yield* HttpClient.HttpClient
    const { count, total, url } = options
    const lanes = 8
    const pause = Number.isFinite(options.perSecond) ? Duration.millis((1000 * lanes) / options.perSecond) : Duration.zero

    const send = (n: number) =>
      Effect.gen(function*() {
        const [method, path, body] = callOf(n)
        yield* Ref.update(count, (seen) => ({ ...seen, sent: seen.sent + 1 }))
        const response = method === "GET"
          ? yield* client.get(url + path)
          : yield* client.post(url + path, { body: body === undefined ? HttpBody.empty : HttpBody.jsonUnsafe(body) })
        yield* response.text
        yield* Ref.update(count, (seen) => ({ ...seen, answered: seen.answered + 1 }))
      }).pipe(
        Effect.catch(() => Ref.update(count, (seen) => ({ ...seen, failed: seen.failed + 1 })))
      )

    const lane = (first: number) =>
      Effect.gen(function*() {
        for (let n = first; n < total; n += lanes) {
          yield* send(n)
          if (!Duration.isZero(pause)) yield* Effect.sleep(pause)
        }
      })

    yield* Effect.forEach(Array.from({ length: lanes }, (_, i) => i), lane, { concurrency: "unbounded", discard: true })
  }).pipe(
    Effect.provideService(HttpClient.TracerDisabledWhen, () => true),
    Effect.provideService(HttpClient.TracerPropagationEnabled, false)
  )
