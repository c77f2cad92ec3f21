import * as Sentry from "@sentry/node"

const [dsn, what] = process.argv.slice(2)
const items = what === "spans" ? 20_000 : 2_000
Sentry.init({ dsn, tracesSampleRate: 1, defaultIntegrations: false })

const before = process.cpuUsage()
for (let round = 0; round < 20; round++) {
  for (let i = 0; i < items / 20; i++) {
    if (what === "spans") {
      Sentry.startSpan({ name: "GET /orders/:id", forceTransaction: true, attributes: { "http.request.method": "GET", "http.route": "/orders/:id", a: 1, b: true, c: "text" } }, () => {})
    } else Sentry.captureException(new Error(`broken ${i}`))
    if (i % 50 === 49) await Sentry.flush(5_000)
  }
  await Sentry.flush(5_000)
}
const { system, user } = process.cpuUsage(before)
process.stdout.write(String((system + user) / items))
process.exit()
